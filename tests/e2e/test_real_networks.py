"""The real thing: TensorFlow 1.13.1 and DeepLabCut 2.1.5.2 with the demo's networks, run as a user does."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from lab import Lab

from iblvideo_admin.demo.session import read_truth, render_session
from iblvideo_admin.demo.summary import summarize
from iblvideo_admin.rigs import CAMERAS, NETWORKS
from iblvideo_admin.sessions import Video

WEIGHTS = Path(__file__).resolve().parents[2] / "iblvideo_admin/demo/weights"
WINDOWS = """
[left]
nose_tip = [330, 560]
pupil_top_r = [640, 320]
tube_top = [330, 672]
tube_bottom = [318, 728]
[right]
nose_tip = [470, 280]
pupil_top_r = [320, 160]
tube_top = [475, 336]
tube_bottom = [481, 364]
[body]
tail_start = [430, 300]
"""


@pytest.fixture
def real_lab(lab: Lab, dlc_python: Path) -> Lab:
    """The lab with the real environment and networks instead of the stand-ins."""
    lab.environment["IBLVIDEO_ADMIN_DLC_PYTHON"] = str(dlc_python)
    lab.environment["IBLVIDEO_ADMIN_WEIGHTS_DIR"] = str(WEIGHTS)
    return lab


def rig_video(video: Video, stills: np.ndarray, frames: int) -> None:
    """Real frames of an IBL camera as a video: slow pan and noise."""
    random = np.random.default_rng(1)
    camera = video.camera
    with av.open(str(video.path), "w") as container:
        stream = container.add_stream("libx264", rate=int(camera.rates[0]), options={"crf": "20"})
        stream.width, stream.height, stream.pix_fmt = camera.width, camera.height, "yuv420p"
        for index in range(frames):
            still = np.roll(stills[index * len(stills) // frames], index // 3, axis=1).astype(float)
            noisy = np.clip(still + random.normal(0, 3, still.shape), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, format="gray")))
        container.mux(stream.encode())


@pytest.mark.timeout(600)
def test_real_pixels(real_lab: Lab, shared: Path) -> None:
    """Pictures of real cameras: with windows by hand complete tables; without, nothing is found and that is said."""
    session = real_lab.session("ZM_1887", "2019-07-19")
    videos = [Video(session, camera) for camera in CAMERAS.values()]
    for video, frames in zip(videos, (11, 17, 9), strict=True):
        rig_video(video, np.load(shared / f"data/rig_frames/{video.camera.name}.npy"), frames)
    document = real_lab.json("process", session, "--camera", "left", limit_s=400)
    assert [problem["code"] for problem in document["errors"]] == ["regions.not_found"], document
    assert "--windows" in document["errors"][0]["remedy"]
    picture = Path(document["errors"][0]["message"].rsplit(" ", 1)[1])
    assert picture.is_file() and not videos[0].table.exists()
    windows = real_lab.folder / "windows.toml"
    windows.write_text(WINDOWS)
    document = real_lab.json("process", session, "--windows", windows, limit_s=400)
    assert document["exit_code"] == 0, document
    for video, frames in zip(videos, (11, 17, 9), strict=True):
        table = pq.read_table(video.table).to_pandas()
        assert len(table) == frames
        assert np.isfinite(table.to_numpy()).all()
        # the first and last two rows are pulled down by the median filter's zeros, so they stay inside too
        assert table.filter(regex="_x$").to_numpy().min() >= 0
        assert table.filter(regex="_x$").to_numpy().max() <= video.camera.width
        assert table.filter(regex="_y$").to_numpy().max() <= video.camera.height
        assert table.filter(regex="_likelihood$").to_numpy().max() <= 1
        assert json.loads(video.provenance.read_text())["software"]["tensorflow"] == "1.13.1"


def test_a_real_mouse_of_another_size_is_refused(lab: Lab, shared: Path) -> None:
    """A recording of 640x480 under the name of a left camera."""
    video = Video(lab.session(), CAMERAS["left"])
    video.path.symlink_to(lab.subjects / "m3v1.mp4")
    (lab.subjects / "m3v1.mp4").write_bytes((shared / "data/openfield/m3v1mp4.mp4").read_bytes())
    document = lab.json("process", video.session)
    problem = document["errors"][0]
    assert (document["exit_code"], problem["code"]) == (1, "video.wrong_size")
    assert "640x480" in problem["message"] and "1280x1024" in problem["message"]


# The IBL maps the right camera's points back beside the pixel centres (docs/tracking.md): not the networks' fault.
MAPPED_BESIDE = {"left": (0.0, 0.0), "right": (0.75, 0.25), "body": (0.0, 0.0)}


def judge(lab: Lab, seconds: float) -> tuple[dict[str, float], dict[str, float]]:
    """Render, track and compare; by point, median error in the network's own pixels, and how much worse a guess is."""
    session = lab.session("demo")
    render_session(session, seconds=seconds)
    document = lab.json("process", session, limit_s=900)
    assert document["exit_code"] == 0, document
    errors, ratios = {}, {}
    for summary in summarize(session):
        camera = summary.video.camera
        truth, _ = read_truth(session, camera)
        table = pq.read_table(summary.video.table).to_pandas()
        factors = {point: NETWORKS[name].points_factor for name in camera.networks for point in NETWORKS[name].points}
        for point in summary.points:
            name = point.name
            seen = np.isfinite(truth[name][:, 0])
            found = table.loc[seen, [f"{name}_x", f"{name}_y"]].to_numpy() - MAPPED_BESIDE[camera.name]
            beside = np.median(np.hypot(*(found - truth[name][seen]).T))
            errors[f"{camera.name} {name}"] = beside * camera.upscaled / factors[name]
            ratios[f"{camera.name} {name}"] = point.guess / point.median
    return errors, ratios


@pytest.mark.timeout(900)
def test_a_rendered_session_is_tracked_where_the_truth_is(real_lab: Lab) -> None:
    """Half a second: too short for the tongue, whose points the median filter smooths away at its video's ends."""
    errors, _ = judge(real_lab, 0.5)
    assert len(errors) == 23
    assert {name: error for name, error in errors.items() if "tongue" not in name and not error <= 2} == {}


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_the_networks_beat_guessing_the_mean_four_times(real_lab: Lab) -> None:
    errors, ratios = judge(real_lab, 10.0)
    assert {name: error for name, error in errors.items() if not error <= 2} == {}
    assert {name: ratio for name, ratio in ratios.items() if not ratio >= 4} == {}


@pytest.mark.timeout(600)
def test_check_gpu_passes_on_the_real_environment(real_lab: Lab) -> None:
    document = real_lab.json("check-gpu", limit_s=400)
    assert document["data"]["verdict"] == "pass", document
    assert "TensorFlow 1.13.1" in json.dumps(document)
