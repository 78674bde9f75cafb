"""The real thing: TensorFlow 1.13.1 and DeepLabCut 2.1.5.2 with the demo's networks, run as a user does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from lab import Lab

from iblvideo_admin.demo.session import read_truth, render_session
from iblvideo_admin.demo.summary import summarize
from iblvideo_admin.engines.conversion.compare import JUDGED, LARGEST_LIKELIHOOD, LARGEST_PX
from iblvideo_admin.rigs import CAMERAS, NETWORKS
from iblvideo_admin.sessions import Video

WEIGHTS = Path(__file__).resolve().parents[2] / "iblvideo_admin/demo/weights"
LOWEST, HIGHEST = JUDGED
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
    # TensorFlow's own sums over a batch move a mobilenet by 0.01 to 0.04 px (docs/onnx.md), and these networks have
    # never seen such pictures: 0.08 px was seen
    onnx_gives_the_same(real_lab, videos, "--windows", windows, largest_px=0.1)


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


@dataclass(frozen=True)
class Recording:
    """A rendered video: the camera, its frames per second, how long, and the seed of its movements."""

    camera: str
    rate: float
    seconds: float
    seed: int = 1

    def __str__(self) -> str:
        return f"{self.camera} {self.rate:.0f} Hz"


@dataclass(frozen=True)
class Found:
    """One point of a table against the truth.

    ``median`` is the median error in pixels of the network's own picture, ``ratio`` how many times worse the points'
    mean place would do, ``sure`` the part of the frames in which the point can be seen with a likelihood above 0.9,
    ``ghosts`` the part of the others with one above 0.3; ``seen`` and ``hidden`` count those frames.
    """

    median: float
    ratio: float
    sure: float
    ghosts: float
    seen: int
    hidden: int


def onnx_gives_the_same(lab: Lab, videos: list[Video], *options: str | Path, largest_px: float = LARGEST_PX) -> None:
    """Track again with the other engine: every point that is neither certain nor lost lies where it lay.

    The median filter carries a point to its four neighbours, so that these must be so, too. Elsewhere ties decide
    which cell is the best (iblvideo_admin/engines/conversion/compare.py): such points are few, and no less certain.
    """
    before = {video: pq.read_table(video.table).to_pandas() for video in videos}
    document = lab.json(
        "process", *(video.path for video in videos), *options, "--engine", "onnx", "--overwrite", limit_s=400
    )
    assert document["exit_code"] == 0, document
    for video, wanted in before.items():
        software = json.loads(video.provenance.read_text())["software"]
        assert software["engine"] == "onnx" and "tensorflow" not in software
        found = pq.read_table(video.table).to_pandas()
        assert list(found.columns) == list(wanted.columns) and len(found) == len(wanted)
        for point in video.camera.points:
            likelihood = wanted[f"{point}_likelihood"].to_numpy()
            places = [f"{point}_x", f"{point}_y"]
            apart = np.abs(found[places] - wanted[places]).to_numpy().max(axis=1)
            counts = (likelihood > LOWEST) & (likelihood < HIGHEST)
            calm = np.array([counts[max(row - 2, 0) : row + 3].all() for row in range(len(counts))])
            (factor,) = {n.points_factor for name in video.camera.networks if point in (n := NETWORKS[name]).points}
            assert apart[calm].max(initial=0) <= largest_px * factor, point
            assert (apart > largest_px * factor).mean() <= 0.1, point
            assert np.abs(found[f"{point}_likelihood"] - likelihood).max() <= LARGEST_LIKELIHOOD, point


def track(lab: Lab, recordings: tuple[Recording, ...], limit_s: float) -> dict[str, Found]:
    """Render, track with one command and compare every point of every table with its truth."""
    sessions = [lab.session(number=f"{1 + index:03}") for index in range(len(recordings))]
    for session, recording in zip(sessions, recordings, strict=True):
        name, rates = recording.camera, {recording.camera: recording.rate}
        render_session(session, [name], recording.seconds, recording.seed, rates)
    document = lab.json("process", *sessions, limit_s=limit_s)
    assert document["exit_code"] == 0, document
    found = {}
    for session, recording in zip(sessions, recordings, strict=True):
        (summary,) = summarize(session)
        for point in summary.points:
            found[f"{recording} {point.name}"] = compare(summary.video, point.name)
    return found


def compare(video: Video, point: str) -> Found:
    camera = video.camera
    truth = read_truth(video.session, camera)[0][point]
    table = pq.read_table(video.table).to_pandas()
    likelihood = table[f"{point}_likelihood"].to_numpy()
    (factor,) = {n.points_factor for name in camera.networks if point in (n := NETWORKS[name]).points}
    seen = np.isfinite(truth[:, 0])
    places = table.loc[seen, [f"{point}_x", f"{point}_y"]].to_numpy() - MAPPED_BESIDE[camera.name]
    error, guess = (
        float(np.median(np.hypot(*(there - truth[seen]).T))) * camera.upscaled / factor
        for there in (places, truth[seen].mean(axis=0))
    )
    return Found(
        median=error,
        ratio=guess / error,
        sure=float((likelihood[seen] > 0.9).mean()),
        ghosts=float((likelihood[~seen] > 0.3).mean()) if not seen.all() else 0.0,
        seen=int(seen.sum()),
        hidden=int((~seen).sum()),
    )


def near(found: dict[str, Found]) -> dict[str, Found]:
    """All but the tongue's ends at 30 Hz, whose places the median over five frames wipes out: a lick lasts six.

    tests/demo/test_networks.py judges what the network itself says of them; their likelihoods are judged here.
    """
    return {name: one for name, one in found.items() if not name.startswith("left 30 Hz tongue_end")}


@pytest.mark.timeout(900)
def test_a_rendered_session_is_tracked_where_the_truth_is(real_lab: Lab) -> None:
    """One second at most, of movements that show the tongue in the middle; the training rig's 30 Hz for the left."""
    recordings = (Recording("left", 30, 1.0, seed=5), Recording("right", 150, 0.5), Recording("body", 30, 0.5))
    found = track(real_lab, recordings, limit_s=600)
    assert len(found) == 23
    assert min(one.seen for one in found.values()) >= 8
    assert all(one.hidden >= 15 for name, one in found.items() if "tongue_end" in name)
    assert {name: one for name, one in near(found).items() if not one.median <= 2} == {}
    assert {name: one for name, one in found.items() if not (one.sure >= 0.98 and one.ghosts <= 0.02)} == {}
    sessions = [real_lab.session(number=f"{number:03}") for number in (1, 2, 3)]
    cameras = [CAMERAS[recording.camera] for recording in recordings]
    onnx_gives_the_same(real_lab, [Video(*pair) for pair in zip(sessions, cameras, strict=True)])


@pytest.mark.full
@pytest.mark.timeout(2400)
def test_ten_seconds_of_every_camera_are_tracked_where_the_truth_is(real_lab: Lab) -> None:
    """All three cameras and the training rig's left one; and guessing the mean place would be four times worse."""
    every = (("left", 60), ("left", 30), ("right", 150), ("body", 30))
    found = track(real_lab, tuple(Recording(camera, rate, 10.0) for camera, rate in every), limit_s=1800)
    assert len(found) == 34
    assert {name: one for name, one in near(found).items() if not (one.median <= 2 and one.ratio >= 4)} == {}
    assert {name: one for name, one in found.items() if not (one.sure >= 0.98 and one.ghosts <= 0.02)} == {}


@pytest.mark.timeout(600)
def test_check_gpu_passes_on_the_real_environment(real_lab: Lab) -> None:
    document = real_lab.json("check-gpu", limit_s=400)
    assert document["data"]["verdict"] == "pass", document
    assert "TensorFlow 1.13.1" in json.dumps(document)
