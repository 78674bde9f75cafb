"""A whole video with an engine that has no networks: the right table, or nothing at all."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from scipy.signal import medfilt
from tracking.telling import FULL, SURE_AT, ramp, sha256, telling

import iblvideo_admin
from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.sessions import Video
from iblvideo_admin.tracking import table
from iblvideo_admin.tracking import track as track_module
from iblvideo_admin.tracking.track import Progress, track

Frames = Callable[[int, tuple[int, int]], list[np.ndarray]]


@pytest.mark.parametrize("count", [1, 4, 5, 23])
def test_a_whole_body_video(
    session_video: Callable[..., Video], fake_engine: Callable[..., Any], weights_dir: Path, count: int
) -> None:
    frames = ramp(count)
    video = session_video("body", frames, **FULL)
    raw = sha256(video.path)
    steps: list[Progress] = []
    done = track(video, fake_engine(telling), weights_dir, about={"toolchain": "none"}, progress=steps.append)
    content = pq.read_table(video.table)
    assert content.num_rows == done.frames == count
    grey = np.array([float(frame[0, 0]) for frame in frames])
    x = (medfilt(grey, 5) if count >= 5 else grey) + SURE_AT[0] - 110
    if count < 5:
        assert done.warnings == ("fewer than 5 frames: left unfiltered",)
    else:
        x[medfilt(grey, 5) == 0] = SURE_AT[0] - 110
        assert done.warnings == ()
    np.testing.assert_allclose(content["tail_start_x"].to_numpy(), x, atol=1e-4)
    assert (content["tail_start_likelihood"].to_numpy() == 0.5).all()
    assert steps[0].stage == "starting"
    assert steps[-1] == Progress("tracking", count, count)
    assert sha256(video.path) == raw and done.sha256 == sha256(video.table)


def test_the_provenance_is_complete(
    session_video: Callable[..., Video], fake_engine: Callable[..., Any], weights_dir: Path
) -> None:
    video = session_video("body", ramp(12))
    track(video, fake_engine(telling), weights_dir, about={"toolchain": "none", "gpu": None, "driver": "1.2"})
    provenance = table.provenance_of(video.table)
    assert provenance is not None
    assert provenance["software"] == {
        "iblvideo_admin": iblvideo_admin.__version__,
        "engine": "fake",
        "fake_software": "1.0",
    }
    assert provenance["video"] == {
        "name": video.path.name,
        "sha256": sha256(video.path),
        "frames": 12,
        "rate": 30.0,
        "codec": "h264",
        "pixel_format": "yuv420p",
        "container_frames": 12,
    }
    model = next(weights_dir.glob("tail-mic-*")) / "dlc-models/iteration-0/taskJan1-trainset95shuffle1/train"
    both = (model / "snapshot-500.index").read_bytes() + (model / "snapshot-500.data-00000-of-00001").read_bytes()
    assert provenance["weights"] == {
        "version": "networks_v2.1",
        "networks": {"tail_start": {"folder": "tail-mic-Anna-2020-01-01", "sha256": hashlib.sha256(both).hexdigest()}},
    }
    assert provenance["regions"]["how"] == "found" and len(provenance["regions"]["frames"]) == 12
    assert provenance["regions"]["windows"] == {"tail_start": {"x": 190, "y": 140, "width": 220, "height": 220}}
    assert provenance["filter"] == {"median": 5} and provenance["batch_sizes"] == {"tail_start": 4}
    assert provenance["schema"] == 1 and provenance["started"] > 1e9
    assert set(provenance["seconds"]) == {"start", "regions", "tracking"}
    assert (provenance["toolchain"], provenance["gpu"], provenance["driver"]) == ("none", None, "1.2")


@pytest.mark.parametrize("camera", ["left", "right"])
def test_a_side_camera(
    session_video: Callable[..., Video], fake_engine: Callable[..., Any], weights_dir: Path, camera: str
) -> None:
    shape = (1024, 1280) if camera == "left" else (512, 640)
    video = session_video(camera, ramp(6, shape), rate=60)
    engine = fake_engine(telling)
    track(video, engine, weights_dir)
    assert [network.name for network in engine.loaded] == ["roi_detect", "nose_tip", "eye", "paws", "tongue"]
    content = pq.read_table(video.table)
    assert content.num_rows == 6 and content.num_columns == 33
    values = np.stack([column.to_numpy() for column in content.columns])
    assert np.isfinite(values).all()
    paws = [i[0] for n, i in engine.batches if n == "paws"]
    assert paws[0].shape == (102, 128)
    top = content["tube_top_y"].to_numpy()[2]
    assert top == pytest.approx((250 - 100) / (1 if camera == "left" else 2))


@pytest.mark.parametrize("even", [False, True])
def test_even_offsets_reproduce_the_references_bias(
    session_video: Callable[..., Video], fake_engine: Callable[..., Any], weights_dir: Path, even: bool
) -> None:
    """The picture is cut at even offsets, the odd ones are added to the points: so these lie a pixel off."""
    rows, columns = np.indices((512, 640))
    frame = (columns % 100 + rows % 50).astype(np.uint8)
    video = session_video("body", [frame] * 6, **FULL)
    engine = fake_engine(telling)
    track(video, engine, weights_dir, by_hand={"tail_start": (311.0, 251.0)}, even_offsets=even)
    provenance = table.provenance_of(video.table)
    assert provenance is not None and provenance["even_offsets"] is even
    assert provenance["regions"]["windows"]["tail_start"] == {"x": 201, "y": 141, "width": 220, "height": 220}
    x, y = (200, 140) if even else (201, 141)
    grey = frame[y : y + 220, x : x + 220]
    np.testing.assert_array_equal(engine.batches[0][1][0], grey)
    content = pq.read_table(video.table)
    assert content["tail_start_x"].to_numpy()[2] == pytest.approx(201 + grey.mean(), abs=1e-4)
    assert content["tail_start_y"].to_numpy()[2] == 141


def test_what_the_engine_warns_of_is_told(
    session_video: Callable[..., Video], fake_engine: Callable[..., Any], weights_dir: Path
) -> None:
    video = session_video("body", ramp(6))
    engine = fake_engine(telling)
    engine.warnings.append("batches were halved")
    done = track(video, engine, weights_dir)
    provenance = table.provenance_of(video.table)
    assert provenance is not None
    assert done.warnings == ("batches were halved",) and provenance["warnings"] == ["batches were halved"]


@pytest.mark.parametrize("camera", ["right", "body"])
def test_the_tables_blocks_leave_no_seam(
    session_video: Callable[..., Video],
    fake_engine: Callable[..., Any],
    weights_dir: Path,
    camera: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Row groups of 7 rows hold the same numbers as one of all rows, filter and mapping included."""
    video = session_video(camera, ramp(23))
    track(video, fake_engine(telling), weights_dir)
    whole = pq.read_table(video.table)
    monkeypatch.setattr(track_module, "ROWS_AT_ONCE", 7)
    track(video, fake_engine(telling), weights_dir, replace=True)
    assert pq.read_metadata(video.table).num_row_groups == 4
    assert pq.read_table(video.table).equals(whole)


@pytest.mark.full
def test_the_memory_grows_by_less_than_the_table() -> None:
    """From the file to the table, decoded frames, peak resident memory: the benchmark's measurement, shorter."""
    from bench import memory

    body, few, many = CAMERAS["body"], 1_000, 30_000
    slope = (memory.tracked(body, many) - memory.tracked(body, few)) / (many - few)
    assert slope <= 24 + memory.TARGET


def test_windows_by_hand_need_no_region_network_to_find_anything(
    session_video: Callable[..., Video], fake_engine: Callable[..., Any], weights_dir: Path
) -> None:
    video = session_video("body", ramp(6))
    engine = fake_engine(telling)
    track(video, engine, weights_dir, by_hand={"tail_start": (10.0, 500.0)})
    provenance = table.provenance_of(video.table)
    assert provenance is not None and provenance["regions"]["how"] == "by hand"
    assert provenance["regions"]["windows"]["tail_start"] == {"x": 0, "y": 292, "width": 220, "height": 220}
    assert all(images.shape[1:] == (220, 220) for _, images in engine.batches)


def test_the_networks_may_know_more_points_in_another_order(
    session_video: Callable[..., Video], fake_engine: Callable[..., Any], weights_dir: Path
) -> None:
    [pose] = weights_dir.glob("tail-mic-*/dlc-models/*/*/test/pose_cfg.yaml")
    pose.write_text(yaml.safe_dump({"all_joints_names": ["tail_tip", "tail_start"], "net_type": "resnet_50"}))

    def points(network: str, images: np.ndarray) -> np.ndarray:
        right = telling(network, images)
        return np.concatenate([np.full_like(right, 0.95), right], axis=1)

    video = session_video("body", ramp(6), **FULL)
    track(video, fake_engine(points), weights_dir)
    provenance = table.provenance_of(video.table)
    assert provenance is not None
    assert provenance["regions"]["windows"]["tail_start"] == {"x": 190, "y": 140, "width": 220, "height": 220}
    content = pq.read_table(video.table)
    assert content.column_names == ["tail_start_x", "tail_start_y", "tail_start_likelihood"]
    assert (content["tail_start_likelihood"].to_numpy() == 0.5).all()


def test_a_container_that_does_not_count_its_frames(
    session_video: Callable[..., Video], fake_engine: Callable[..., Any], weights_dir: Path
) -> None:
    video = session_video("body", ramp(50), flags="frag_keyframe+empty_moov")
    steps: list[Progress] = []
    track(video, fake_engine(telling), weights_dir, progress=steps.append)
    provenance = table.provenance_of(video.table)
    assert provenance is not None
    assert len(provenance["regions"]["frames"]) == 20 and provenance["regions"]["frames"][-1] == 49
    assert steps[-1] == Progress("tracking", 50, 50) and steps[0].total == 50


def test_real_frames(
    session_video: Callable[..., Video],
    fake_engine: Callable[..., Any],
    weights_dir: Path,
    rig_frames: Callable[[str], np.ndarray],
) -> None:
    frames = [frame for frame in rig_frames("body") for _ in range(3)][:12]
    video = session_video("body", frames)
    engine = fake_engine(telling)
    track(video, engine, weights_dir, by_hand={"tail_start": (320.0, 256.0)})
    grey = next(images for name, images in engine.batches)[0]
    wanted = frames[0][146:366, 210:430].astype(float)
    assert np.corrcoef(grey.ravel(), wanted.ravel())[0, 1] > 0.99  # levels beyond the limited range are clipped
