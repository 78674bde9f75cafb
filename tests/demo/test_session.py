"""Rendered sessions: the videos' format, the truth beside them, and what is left alone the second time."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from iblvideo_admin.demo import __main__ as command
from iblvideo_admin.demo import session as demo
from iblvideo_admin.demo.scenes import View
from iblvideo_admin.demo.video import VideoWriter
from iblvideo_admin.rigs import CAMERAS

SECONDS = 0.2


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("session")
    calls: list[tuple[str, int, int]] = []
    demo.render_session(folder, seconds=SECONDS, seed=7, rates={"left": 30.0}, progress=lambda *c: calls.append(c))
    assert {name: max(done for n, done, _ in calls if n == name) for name in CAMERAS} == {
        "left": 6,
        "right": 30,
        "body": 6,
    }
    return folder


@pytest.mark.parametrize(("name", "rate", "count"), [("left", 30, 6), ("right", 150, 30), ("body", 30, 6)])
def test_video_is_as_a_rig_writes_it(rendered: Path, name: str, rate: float, count: int) -> None:
    camera = CAMERAS[name]
    with av.open(str(rendered / "raw_video_data" / camera.raw_name)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(video=0))
        assert (stream.width, stream.height) == (camera.width, camera.height)
        assert stream.average_rate == rate
        assert stream.codec_context.name == "h264"
        assert stream.pix_fmt == "yuv420p"
        assert stream.codec_context.color_range in (0, 1)  # limited: x264 says so by saying nothing
    assert len(frames) == count


@pytest.mark.parametrize("name", list(CAMERAS))
def test_decoded_frames_are_the_painted_ones(rendered: Path, name: str) -> None:
    count = demo.frame_count(SECONDS, 30.0 if name == "left" else CAMERAS[name].rates[0])
    view = View(CAMERAS[name], 7)
    motion = view.motion(np.arange(count) / (30.0 if name == "left" else CAMERAS[name].rates[0]))
    with av.open(str(demo.video_path(rendered, name))) as container:
        luma = [frame.to_ndarray()[: frame.height] for frame in container.decode(video=0)]
    for i in (0, count - 1):
        assert np.abs(luma[i].astype(float) - view.frame(motion, i)).mean() < 4.0


@pytest.mark.parametrize("name", list(CAMERAS))
def test_truth_has_a_row_per_frame_and_says_how_it_was_made(rendered: Path, name: str) -> None:
    camera = CAMERAS[name]
    points, metadata = demo.read_truth(rendered, camera)
    rate = 30.0 if name == "left" else camera.rates[0]
    assert metadata == {"seed": "7", "fps": str(rate)}
    table = pq.read_table(demo.truth_path(rendered, name))
    assert table.column_names == [f"{point}_{axis}" for point in camera.points for axis in "xy"]
    assert {str(kind) for kind in table.schema.types} == {"double"}
    assert {len(xy) for xy in points.values()} == {demo.frame_count(SECONDS, rate)}
    view = View(camera, 7)
    expected = view.truth(view.motion(np.arange(table.num_rows) / rate))
    for point in camera.points:
        assert np.array_equal(points[point], expected[point], equal_nan=True)
    assert not (rendered / "alf").exists()


def test_second_run_leaves_the_same_session_alone(rendered: Path) -> None:
    before = demo.video_path(rendered, "body").stat().st_mtime_ns
    demo.render_session(rendered, ["body"], SECONDS, 7)
    assert demo.video_path(rendered, "body").stat().st_mtime_ns == before


@pytest.mark.parametrize("change", [{"seed": 8}, {"seconds": 0.3}, {"rates": {"body": 60.0}}])
def test_another_seed_length_or_rate_renders_again(tmp_path: Path, change: dict[str, object]) -> None:
    demo.render_session(tmp_path, ["body"], SECONDS, 7)
    first = demo.video_path(tmp_path, "body").read_bytes()
    demo.render_session(tmp_path, ["body"], **({"seconds": SECONDS, "seed": 7} | change))  # type: ignore[arg-type]
    assert demo.video_path(tmp_path, "body").read_bytes() != first


def test_video_without_truth_is_rendered_again(tmp_path: Path) -> None:
    demo.render_session(tmp_path, ["body"], SECONDS, 7)
    demo.truth_path(tmp_path, "body").unlink()
    demo.render_session(tmp_path, ["body"], SECONDS, 7)
    assert demo.is_rendered(tmp_path, "body", 7, 30.0, 6)


def _write_and_fail(path: Path) -> None:
    with VideoWriter(path, 64, 64, 30.0, 21, "veryfast") as writer:
        writer.write(np.full((64, 64), 90, np.uint8))
        raise ZeroDivisionError


def test_failed_video_leaves_nothing_behind_and_keeps_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError):
        _write_and_fail(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["video.mp4"]
    assert path.read_bytes() == b"old"


def test_failure_in_another_process_is_told(tmp_path: Path) -> None:
    (tmp_path / "raw_video_data").write_text("a file where a folder must be")
    with pytest.raises(RuntimeError, match="camera failed: FileExistsError"):
        demo.render_session(tmp_path, ["left", "body"], SECONDS, 7)


def test_command_renders_one_camera_with_plain_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["render", str(tmp_path), "--seconds", "0.2", "--camera", "body"]) == 0
    assert demo.is_rendered(tmp_path, "body", command.DEMO_SEED, 30.0, 6)
    captured = capsys.readouterr()
    assert captured.err == "rendering body: 6 of 6 frames\n"
    assert captured.out == f"{tmp_path}\n"


@pytest.mark.parametrize("length", ["0", "-1", "inf", "nan"])
def test_command_refuses_impossible_lengths(length: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(["render", str(tmp_path), "--seconds", length])
