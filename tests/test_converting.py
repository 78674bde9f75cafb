"""``weights convert``: what is made, what is refused, and what is said of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lab import Lab

from iblvideo_admin import converting
from iblvideo_admin.demo import WEIGHTS
from iblvideo_admin.engines import start
from iblvideo_admin.engines.onnx import Onnx
from iblvideo_admin.rigs import NETWORKS
from iblvideo_admin.settings import Settings


def test_every_network_is_converted(lab: Lab) -> None:
    document = lab.json("weights", "convert", str(WEIGHTS))
    assert document["exit_code"] == 0 and document["command"] == "weights convert"
    found = {one["name"]: one for one in document["data"]["networks"]}
    assert list(found) == list(NETWORKS)
    for one in found.values():
        assert Path(one["file"]).stat().st_size == one["bytes"] and one["compared"] is None
    said = lab.run("weights", "convert", str(WEIGHTS)).stdout
    assert said.count("not compared") == len(NETWORKS) and "mobilenet_v2_0.35" in said


def test_what_cannot_be_converted_does_not_stop_the_others(lab: Lab, tmp_path: Path) -> None:
    folder = shutil.copytree(WEIGHTS, tmp_path / "mine")
    [config] = folder.glob("eye-*/dlc-models/*/*/test/pose_cfg.yaml")
    config.write_text(config.read_text().replace("mobilenet_v2_0.35", "efficientnet-b3"))
    [data] = folder.glob("paw2-*/dlc-models/*/*/train/*.data-00000-of-00001")
    data.write_bytes(data.read_bytes()[:-1])
    document = lab.json("weights", "convert", str(folder))
    assert document["exit_code"] == 1
    assert [problem["code"] for problem in document["errors"]] == ["weights.not_convertible", "weights.damaged"]
    assert {one["name"] for one in document["data"]["networks"]} == NETWORKS.keys() - {"eye", "paws"}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["/nowhere"], "weights.missing"),
        ([str(WEIGHTS), "--verify"], "engine.not_available"),
        ([str(WEIGHTS), "--video", "/nowhere.mp4"], "usage"),
    ],
)
def test_wrong_calls(lab: Lab, words: list[str], code: str) -> None:
    document = lab.json("weights", "convert", *words, IBLVIDEO_ADMIN_DLC_PYTHON="/nowhere/python")
    assert [problem["code"] for problem in document["errors"]] == [code]
    assert document["exit_code"] in (2, 3)


class Reference(Onnx):
    """Stands in for TensorFlow: the same networks, their points moved by so much."""

    moved_px = 0.0

    def load(self, networks: list[Any]) -> dict[str, str]:
        super().load(networks)
        return {"tensorflow": "stand-in"}

    def submit(self, network: str, images: np.ndarray) -> Future[np.ndarray]:
        points = super().submit(network, images).result().copy()
        points[..., 0] += self.moved_px if network == "nose_tip" else 0.0
        done: Future[np.ndarray] = Future()
        done.set_result(points)
        return done


@pytest.mark.parametrize("moved_px", [0.0, 0.02])
def test_verified_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved_px: float) -> None:
    settings = Settings(scratch_dir=tmp_path, weights_dir=WEIGHTS)
    (python := tmp_path / "python").write_text("#!/bin/sh\n")
    python.chmod(0o755)

    @contextmanager
    def started(_: Settings, toolchain: Any, *__: object, **___: object) -> Iterator[Onnx]:
        kind = Reference if toolchain.name == converting.REFERENCE else Onnx
        with kind(start.converted_networks(settings)) as engine:
            yield engine

    monkeypatch.setattr(Reference, "moved_px", moved_px)
    monkeypatch.setattr(start, "start", started)
    monkeypatch.setattr(start, "chosen", lambda *_: None)
    result = converting.convert(settings, verify=True)
    compared = {one["name"]: one["compared"] for one in result.data["networks"]}
    if moved_px:
        [problem] = result.errors
        assert problem.code == "weights.differ" and "nose_tip differs by 0.02 px" in problem.message
        assert result.exit_code == 1 and compared.pop("nose_tip") is None
    else:
        assert result.errors == ()
    assert all(one["px"] == 0 and one["judged"] > 0 and one["with"] == ["drawn", "random"] for one in compared.values())
