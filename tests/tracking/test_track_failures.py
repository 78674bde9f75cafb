"""A video that cannot be tracked ends with a code, leaves nothing behind, and never replaces a table."""

import shutil
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tracking.telling import left_behind, ramp, telling

from iblvideo_admin.engines import weights
from iblvideo_admin.errors import UserError
from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.sessions import Video
from iblvideo_admin.tracking.track import track


def refused(code: str, video: Video, engine: Any, weights_dir: Path, **options: Any) -> UserError:
    with pytest.raises(UserError) as caught:
        track(video, engine, weights_dir, **options)
    assert caught.value.code == code
    assert left_behind(video) == []
    return caught.value


def test_nothing_found(
    session_video: Callable[..., Video], fake_engine: Callable[..., Any], weights_dir: Path, tmp_path: Path
) -> None:
    video = session_video("body", ramp(12))
    engine = fake_engine(lambda network, images: np.zeros((len(images), 1, 3)))
    error = refused("regions.not_found", video, engine, weights_dir, pictures=tmp_path / "job")
    picture = tmp_path / "job" / "regions.png"
    assert str(picture) in error.message
    assert Image.open(picture).width == 1280


def test_a_picture_that_cannot_be_drawn_does_not_hide_the_reason(
    session_video: Callable[..., Video], fake_engine: Callable[..., Any], weights_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "job").write_text("a file where the folder should be")
    video = session_video("body", ramp(12))
    engine = fake_engine(lambda network, images: np.zeros((len(images), 1, 3)))
    refused("regions.not_found", video, engine, weights_dir, pictures=tmp_path / "job")


def test_the_engine_dies_in_the_middle(
    session_video: Callable[..., Video], fake_engine: Callable[..., Any], weights_dir: Path
) -> None:
    video = session_video("body", ramp(60))
    engine = fake_engine(telling)
    original, calls = engine.submit, iter(range(10_000))

    def submit(network: str, images: np.ndarray) -> Future[np.ndarray]:
        if next(calls) == 25:
            raise UserError("engine.crashed", "it died")
        return original(network, images)  # type: ignore[no-any-return]

    engine.submit = submit
    refused("engine.crashed", video, engine, weights_dir)


@pytest.mark.parametrize("what", ["wrong size", "no bytes", "text", "cut"])
def test_videos_that_are_none(
    session_video: Callable[..., Video], fake_engine: Callable[..., Any], weights_dir: Path, what: str
) -> None:
    engine = fake_engine(telling)
    if what == "cut":
        generator = np.random.default_rng(0)
        noise = [generator.integers(0, 255, (512, 640)).astype(np.uint8) for _ in range(12)]
        video = session_video("body", noise, flags="faststart")
        content = video.path.read_bytes()
        video.path.write_bytes(content[: len(content) // 2])
        refused("video.truncated", video, engine, weights_dir)
        return
    video = session_video("body", ramp(2, (64, 64)))
    if what == "wrong size":
        refused("video.wrong_size", video, engine, weights_dir)
        assert not video.alf.exists()
    else:
        video.path.write_bytes(b"" if what == "no bytes" else b"text " * 1000)
        refused("video.empty" if what == "no bytes" else "video.corrupt", video, engine, weights_dir)
    assert engine.loaded == []


def test_missing_weights_are_noticed_before_anything_is_started(
    session_video: Callable[..., Video], fake_engine: Callable[..., Any], weights_dir: Path
) -> None:
    engine = fake_engine(telling)
    refused("weights.missing", session_video("body", ramp(6)), engine, weights_dir / "nothing")
    assert engine.loaded == []


def test_an_existing_table_stays(
    session_video: Callable[..., Video], fake_engine: Callable[..., Any], weights_dir: Path
) -> None:
    video = session_video("body", ramp(6))
    video.alf.mkdir(parents=True)
    video.table.write_bytes(b"of somebody else")
    with pytest.raises(FileExistsError):
        track(video, fake_engine(telling), weights_dir)
    assert video.table.read_bytes() == b"of somebody else"
    track(video, fake_engine(telling), weights_dir, replace=True)
    [kept] = (video.work / "replaced").glob("*/*.pqt")
    assert kept.read_bytes() == b"of somebody else"


def test_networks_of() -> None:
    assert weights.networks_of(CAMERAS["left"]) == ("roi_detect", "nose_tip", "eye", "paws", "tongue")
    assert weights.networks_of(CAMERAS["body"]) == ("tail_start",)


def test_a_video_that_changes_meanwhile_is_not_delivered(
    session_video: Callable[..., Video], fake_engine: Callable[..., Any], weights_dir: Path
) -> None:
    video = session_video("body", ramp(12))

    def growing(network: str, images: np.ndarray) -> np.ndarray:
        with open(video.path, "ab") as file:
            file.write(b"more")
        return telling(network, images)

    with pytest.raises(UserError) as caught:
        track(video, fake_engine(growing), weights_dir)
    assert caught.value.code == "video.changed" and caught.value.transient
    assert left_behind(video) == []


@pytest.mark.parametrize("how", ["written", "exchanged", "removed"])
def test_weights_that_change_meanwhile(
    session_video: Callable[..., Video], fake_engine: Callable[..., Any], weights_dir: Path, how: str
) -> None:
    """What is gone has been read; of what is another, nobody knows which of the two was."""
    video = session_video("body", ramp(12))
    [snapshot] = weights_dir.glob("tail-mic-*/dlc-models/*/*/train/*.data-00000-of-00001")

    def changing(network: str, images: np.ndarray) -> np.ndarray:
        if how == "written":
            snapshot.write_bytes(b"others")
        elif how == "exchanged":
            other = snapshot.with_name("other")
            other.write_bytes(b"others")
            other.replace(snapshot)
        else:
            shutil.rmtree(weights_dir, ignore_errors=True)
        return telling(network, images)

    if how == "removed":
        assert track(video, fake_engine(changing), weights_dir).frames == 12
        return
    with pytest.raises(UserError, match="changed while") as caught:
        track(video, fake_engine(changing), weights_dir)
    assert caught.value.code == "weights.damaged"
    assert left_behind(video) == []
