"""The engine in this process: right numbers, bounded, and an end with a reason whatever goes wrong."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from iblvideo_admin.engines import onnx, weights
from iblvideo_admin.engines.onnx import Onnx
from iblvideo_admin.engines.weights import NetworkFiles
from iblvideo_admin.errors import UserError
from iblvideo_admin.gpu import known
from iblvideo_admin.rigs import NETWORKS

SIDE = ["roi_detect", "nose_tip", "eye", "paws", "tongue"]
FEW_PX = 4.0


@pytest.fixture
def networks(demo_weights: Path) -> list[NetworkFiles]:
    return weights.load(demo_weights, SIDE)


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Converted once for all tests of this file."""
    return tmp_path_factory.getbasetemp() / "converted"


class Session:
    """Stands in for onnxruntime's: ``run`` answers as told."""

    def __init__(self, answer: Callable[[np.ndarray], np.ndarray], provider: str = "CPUExecutionProvider") -> None:
        self.answer, self.provider = answer, provider

    def get_providers(self) -> list[str]:
        return [self.provider]

    def get_outputs(self) -> list[Any]:
        return [SimpleNamespace(shape=["N", 4, 3])]

    def run(self, _: list[str], feeds: dict[str, np.ndarray], options: Any) -> list[np.ndarray]:
        return [self.answer(feeds["frames"])]


def answered(monkeypatch: pytest.MonkeyPatch, answer: Callable[[np.ndarray], np.ndarray], **about: str) -> None:
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: Session(answer, **about))


def points(images: np.ndarray) -> np.ndarray:
    return np.full((len(images), 4, 3), len(images), np.float32)


def test_the_demos_networks_find_a_drawn_mouse(networks: list[NetworkFiles], folder: Path) -> None:
    pictures, truth = known.scene()
    with Onnx(folder) as engine:
        versions = engine.load(networks)
        asked = {one.name: engine.submit(one.name, pictures[one.name]) for one in networks}
        for one in networks:
            found = asked[one.name].result()
            assert found.shape == (len(pictures[one.name]), len(one.points), 3) and found.dtype == np.float32
            columns = [one.points.index(point) for point in NETWORKS[one.name].points]
            limit = FEW_PX * (3 if len(found) == 1 else 1)
            assert known.error(found[:, columns, :2], truth[one.name]) <= limit
    assert versions["onnxruntime"] == onnxruntime.__version__ and versions["provider"] == "CPUExecutionProvider"
    assert engine.warnings == []


def test_threads_change_nothing(networks: list[NetworkFiles], folder: Path) -> None:
    pictures = known.scene()[0]["eye"]
    found = []
    for threads in (1, 4):
        with Onnx(folder, threads=threads) as engine:
            engine.load(networks)
            asked = [engine.submit("eye", pictures) for _ in range(12)]
            found += [future.result() for future in asked]
    for each in found[1:]:
        np.testing.assert_array_equal(found[0], each)


def test_nothing_to_load_is_nothing(folder: Path) -> None:
    with Onnx(folder) as engine:
        assert engine.load([]) == {}


def test_a_network_that_cannot_be_loaded_ends_it_and_is_named(
    networks: list[NetworkFiles], demo_weights: Path, folder: Path, tmp_path: Path
) -> None:
    """One of those that get ready meanwhile: who waits hears of it, and who comes later."""
    shutil.copytree(demo_weights, tmp_path / "weights")
    bad = weights.load(tmp_path / "weights", ["tongue"])[0]
    Path(f"{bad.snapshot}.data-00000-of-00001").write_bytes(b"no weights")
    with Onnx(folder) as engine:
        engine.load([*networks[:-1], bad])
        for _ in range(2):
            with pytest.raises(UserError) as raised:
                engine.submit("tongue", np.zeros((1, 160, 160), np.uint8)).result(timeout=30)
            assert raised.value.code == "weights.damaged" and "data-00000-of-00001" in raised.value.message


def test_the_first_that_cannot_be_loaded_is_raised_at_once(networks: list[NetworkFiles], folder: Path) -> None:
    with Onnx(folder) as engine, pytest.raises(UserError) as raised:
        engine.load([replace(networks[0], snapshot=Path("/nowhere/snapshot-1"))])
    assert raised.value.code == "weights.damaged"


def test_names_that_do_not_fit_the_network_are_refused(networks: list[NetworkFiles], folder: Path) -> None:
    with Onnx(folder) as engine, pytest.raises(UserError, match="names 2 points") as raised:
        engine.load([replace(networks[2], points=("one", "two"))])
    assert raised.value.code == "weights.damaged"


def test_it_never_goes_on_with_the_cpu(
    networks: list[NetworkFiles], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which onnxruntime does without an error where CUDA cannot be loaded."""
    answered(monkeypatch, points)
    monkeypatch.setattr(onnx, "providers", lambda _: [])
    with Onnx(folder, gpu="GPU-0") as engine, pytest.raises(UserError, match="does not run on the GPU") as raised:
        engine.load(networks)
    assert raised.value.code == "engine.failed"


def test_who_submits_too_much_waits(
    networks: list[NetworkFiles], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded: two threads, two batches that wait, and no fifth."""
    go, running = threading.Event(), threading.Semaphore(0)

    def slow(images: np.ndarray) -> np.ndarray:
        running.release()
        go.wait(30)
        return points(images)

    answered(monkeypatch, slow)
    with Onnx(folder, threads=2) as engine:
        engine.load([networks[2]])
        asked = [engine.submit("eye", np.zeros((1, 8, 8), np.uint8)) for _ in range(4)]
        for _ in range(2):
            assert running.acquire(timeout=30)
        assert not running.acquire(timeout=0.2)
        fifth = threading.Thread(target=lambda: engine.submit("eye", np.zeros((1, 8, 8), np.uint8)), daemon=True)
        fifth.start()
        time.sleep(0.2)
        assert fifth.is_alive()
        go.set()
        fifth.join(30)
        assert not fifth.is_alive()
        assert [future.result(30).shape for future in asked] == [(1, 4, 3)] * 4


def test_closing_ends_what_runs(networks: list[NetworkFiles], folder: Path, demo_weights: Path) -> None:
    """Also a batch that would take seconds: 16 whole frames on one thread."""
    with Onnx(folder, threads=1) as engine:
        engine.load(networks)
        asked = engine.submit("roi_detect", np.zeros((16, 1024, 1280), np.uint8))
        time.sleep(0.3)
        begun = time.monotonic()
    assert time.monotonic() - begun < 5
    with pytest.raises(UserError, match="closed"):
        asked.result(0)
    with pytest.raises(UserError, match="closed"):
        engine.submit("eye", np.zeros((1, 8, 8), np.uint8))


def test_too_large_batches_are_parted(
    networks: list[NetworkFiles], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First alone, then in halves, once and for all, with one warning."""
    sizes: list[int] = []

    def small(images: np.ndarray) -> np.ndarray:
        sizes.append(len(images))
        if len(images) > 2:
            raise RuntimeError(
                "[ONNXRuntimeError] : 1 : FAIL : Failed to allocate memory for requested buffer of size 9"
            )
        return points(images)

    answered(monkeypatch, small)
    with Onnx(folder, threads=1) as engine:
        engine.load([networks[2]])
        first = engine.submit("eye", np.zeros((8, 8, 8), np.uint8)).result()
        assert first.shape == (8, 4, 3) and sizes == [8, 8, 4, 2, 2, 2, 2]
        engine.submit("eye", np.zeros((8, 8, 8), np.uint8)).result()
        assert sizes[7:] == [2, 2, 2, 2]
    assert len(engine.warnings) == 1 and "8 pictures of eye at once" in engine.warnings[0]
    assert "2 at a time" in engine.warnings[0]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("CUDA failure 2: out of memory ; GPU=0", "engine.out_of_memory"),
        ("CUDA failure 700: illegal address", "engine.failed"),
    ],
)
def test_what_onnxruntime_says_becomes_one_sentence(
    networks: list[NetworkFiles], folder: Path, monkeypatch: pytest.MonkeyPatch, said: str, code: str
) -> None:
    def broken(images: np.ndarray) -> np.ndarray:
        raise RuntimeError(f"{said}\nsecond line")

    answered(monkeypatch, broken)
    with Onnx(folder, threads=1) as engine:
        engine.load([networks[2]])
        with pytest.raises(UserError) as raised:
            engine.submit("eye", np.zeros((1, 8, 8), np.uint8)).result()
    assert raised.value.code == code and raised.value.message == f"network eye: {said}"
