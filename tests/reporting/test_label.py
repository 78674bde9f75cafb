"""Labelled videos and pictures: what is in them, which frames, what is never written over."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from lab import Lab, write_video
from PIL import Image
from reporting import tables

from iblvideo_admin.errors import UserError
from iblvideo_admin.reporting import contact_sheet, labelled_video, traces
from iblvideo_admin.reporting.canvas import Canvas, mark, yuv
from iblvideo_admin.reporting.contact_sheet import spread
from iblvideo_admin.reporting.labelled_frame import Labeller, as_rgb, caption
from iblvideo_admin.reporting.labelled_video import Source, Wish
from iblvideo_admin.reporting.palette import SHAPES, look
from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.sessions import Video
from iblvideo_admin.tracking.video import Reader, VideoInfo

CODES = {"output.taken": 2, "output.not_writable": 1}


def decoded(path: Path) -> tuple[list[np.ndarray], Any]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        about = (stream.codec_context.name, stream.codec_context.pix_fmt, float(stream.average_rate))
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)], about


def near(picture: np.ndarray, x: float, y: float, colour: tuple[int, int, int]) -> bool:
    """Whether something of this colour, as coarse as the planes hold it, is there."""
    part = picture[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3].reshape(-1, 3).astype(int)
    return bool((np.abs(part - colour).max(axis=1) < 60).any())


def test_points_are_where_the_table_says(lab: Lab) -> None:
    video = lab.video("body", 20)
    tables.write(video.table, tables.still(20, tail_start=(200.0, 300.0, 0.99)))
    out = lab.folder / "out.mp4"
    data = lab.json("label", video.path, "--out", out)["data"]
    assert (data["frames"], data["warnings"]) == (20, [])
    frames, (codec, pixels, rate) = decoded(out)
    assert (codec, pixels, rate, len(frames)) == ("h264", "yuv420p", 30.0, 20)
    colour, _ = look(["tail_start"])["tail_start"]
    assert all(near(frame, 200, 300, colour) for frame in frames)
    assert not near(frames[0], 400, 100, colour)
    content = out.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat"), "it plays only when all of it is there"


def test_large_pictures_are_halved_unless_asked(lab: Lab) -> None:
    video = lab.video("left", 4)
    tables.write(video.table, tables.still(4, nose_tip=(641.0, 401.0, 1.0), pupil_top_r=(900.0, 300.0, 1.0)))
    for more, x, y, width in (((), 320, 200, 816), (("--full-size",), 641, 401, 1632)):
        out = lab.folder / "out.png"
        lab.json("label", video.path, "--frames", "2", "--out", out, *more)
        picture = np.array(Image.open(out))
        assert picture.shape[1] == width
        assert near(picture, x, y, look(["nose_tip"])["nose_tip"][0])


def test_unsure_points_are_faint_and_nan_is_nowhere(lab: Lab) -> None:
    video = lab.video("body", 3)
    xyp = tables.still(3, tail_start=(200.0, 300.0, 0.99))["tail_start"]
    xyp[1, 2], xyp[2, 0] = 0.3, np.nan
    tables.write(video.table, {"tail_start": xyp})
    source = Source(Wish(video.path))
    shown = [labelled_video.picture(source, number) for number in range(3)]
    bare = [
        int(np.abs(picture[290:311, 190:211, 2].astype(int) - picture[290:311, 190:211, 1]).max()) for picture in shown
    ]
    assert bare[0] > 100 > bare[1] > 20 > bare[2]


@pytest.mark.parametrize(("frames", "numbers"), [
    ("3:6", range(3, 6)), (":2", range(2)), ("17:", range(17, 20)), ("5", range(5, 6)), ("18:99", range(18, 20)),
])  # fmt: skip
def test_ranges_are_those_frames(lab: Lab, frames: str, numbers: range) -> None:
    video = lab.video("body", 20)
    tables.write(video.table, tables.still(20, tail_start=(600.0, 30.0, 0.99)))
    out = lab.folder / "out.mp4"
    assert lab.json("label", video.path, "--frames", frames, "--out", out)["data"]["frames"] == len(numbers)
    found, _ = decoded(out)
    wanted = [luma for _, luma in Reader(video.path).frames_at(numbers)]
    table = Reader(video.path).levels
    for picture, luma in zip(found, wanted, strict=True):
        assert np.abs(picture[100:400, 100:500, 1].astype(int) - table[luma[100:400, 100:500]]).mean() < 2


@pytest.mark.parametrize("frames", ["", "x", "-1:3", "5:5", "6:2", "1:2:3", "20:", "99"])
def test_ranges_that_are_none(lab: Lab, frames: str) -> None:
    video = lab.video("body", 20)
    tables.tracked(video, 20)
    document = lab.json("label", video.path, f"--frames={frames}", "--out", lab.folder / "out.mp4")
    assert document["errors"][0]["code"] == "usage" and not (lab.folder / "out.mp4").exists()


def test_what_is_never_written_over(lab: Lab) -> None:
    video, other = lab.video("body", 5), lab.video("left", 5)
    tables.tracked(video, 5)
    before = {path: path.read_bytes() for path in (video.path, other.path, video.table)}
    link = lab.folder / "link.mp4"
    link.symlink_to(video.path)
    source = Source(Wish(video.path))
    for out, code in (
        (video.path, "output.taken"), (other.path, "output.taken"), (video.path.with_name("new.mp4"), "output.taken"),
        (link, "output.taken"), (lab.folder / "no/such.mp4", "output.not_writable"),
        (Path("/proc/x.mp4"), "output.not_writable"),
    ):  # fmt: skip
        for write in (labelled_video.write, lambda source, out: contact_sheet.write(source, out, [0])):
            with pytest.raises(UserError) as caught:
                write(source, out)
            assert (caught.value.code, caught.value.exit_code) == (code, CODES[code]), out
    assert lab.json("label", video.path, "--out", video.table)["errors"][0]["code"] == "usage"
    assert lab.json("label", video.path, "--out", other.path)["errors"][0]["code"] == "output.taken"
    assert {path: path.read_bytes() for path in before} == before
    assert not list(lab.folder.rglob("*.part*"))


def test_videos_and_tables_that_do_not_fit(lab: Lab) -> None:
    video = lab.video("body", 20)
    assert lab.json("label", video.path)["errors"][0]["code"] == "path.missing"
    tables.tracked(video, 7)
    out = lab.folder / "out.mp4"
    data = lab.json("label", video.path, "--out", out)["data"]
    assert data["frames"] == 20 and data["warnings"] == ["the video has 20 frames, the table 7 rows"]
    assert lab.json("label", video.path, "--table", video.path)["errors"][0]["code"] == "table.not_usable"
    assert lab.json("label", lab.folder / "none.mp4")["errors"][0]["code"] in ("video.missing", "path.missing")
    for content in (b"", b"text", video.path.read_bytes()[:3000]):
        (lab.folder / "bad.mp4").write_bytes(content)
        document = lab.json(
            "label", lab.folder / "bad.mp4", "--table", video.table, "--out", lab.folder / "bad-out.mp4"
        )
        assert document["errors"][0]["code"].startswith("video."), document
    assert not (lab.folder / "bad-out.mp4").exists()


@pytest.mark.parametrize(("width", "height", "frames"), [(64, 48, 1), (66, 50, 3), (640, 480, 2), (1920, 1080, 2)])
def test_any_size_and_any_points(tmp_path: Path, width: int, height: int, frames: int) -> None:
    path = tmp_path / "anything.mp4"
    write_video(path, width, height, frames)
    points = {f"point {n}": np.tile([n * width / 8, n * height / 8, 0.99], (frames, 1)) for n in range(-2, 12)}
    points["far"] = np.tile([1e300, -1e300, 1.0], (frames, 1))
    points["nowhere"] = np.full((frames, 3), np.nan)
    table = tables.write(tmp_path / "t.pqt", points)
    data = labelled_video.write(Source(Wish(path, table)), tmp_path / "out.mp4")
    assert data["frames"] == frames and data["width"] % 2 == data["height"] % 2 == 0
    assert len(decoded(tmp_path / "out.mp4")[0]) == frames


def test_odd_sizes_are_drawn(tmp_path: Path) -> None:
    info = VideoInfo(641, 481, 30.0, 1, "h264", "gray", 1.0)
    table = traces.read(tables.write(tmp_path / "t.pqt", tables.still(1, a=(640.0, 480.0, 1.0), b=(0.0, 0.0, 0.1))))
    picture = Labeller(info, np.arange(256, dtype=np.uint8), table, None, 0.9)(0, np.full((481, 641), 90, np.uint8))
    assert as_rgb(picture).shape[1] % 2 == 0


def test_the_eye_and_the_tongue_are_enlarged(lab: Lab) -> None:
    video = lab.video("right", 3)
    points = tables.still(
        3, pupil_top_r=(300.0, 200.0, 1.0), tube_top=(450.0, 330.0, 1.0), tube_bottom=(460.0, 350.0, 1.0)
    )
    tables.write(video.table, points)
    picture = labelled_video.picture(Source(Wish(video.path)), 1)
    panel = picture[:, 648:]
    assert near(panel, 80, 22 + 80, look(["pupil_top_r"])["pupil_top_r"][0]), "in the middle of its inset"


def test_a_contact_sheet(lab: Lab) -> None:
    video = lab.video("left", 40)
    tables.tracked(video, 40)
    page = lab.folder / "sheet.png"
    data = lab.json("label", video.path, "--contact-sheet", page)["data"]
    assert data["frames"] == 12 and Image.open(page).size[0] > 1600
    assert lab.json("label", video.path, "--contact-sheet", page, "--frames", "3:5")["data"]["frames"] == 2
    assert lab.json("label", video.path, "--contact-sheet", page, "--out", page)["errors"][0]["code"] == "usage"
    assert spread(0, 1) == [0] and spread(5, 8) == [5, 6, 7] and len(spread(0, 10**6)) == 12


def test_lightning_poses_table_will_do(lab: Lab) -> None:
    video = lab.video("body", 5)
    tables.write(video.alf / "_ibl_bodyCamera.lightningPose.pqt", tables.still(5, tail_start=(9.0, 9.0, 1.0)))
    data = lab.json("label", video.path, "--out", lab.folder / "x.mp4")["data"]
    assert data["table"].endswith("lightningPose.pqt")


def test_a_real_mouse(shared: Path, tmp_path: Path) -> None:
    video, points = shared / "data/openfield/m3v1mp4.mp4", shared / "data/openfield/CollectedData_Pranav.csv"
    data = labelled_video.write(Source(Wish(video, points, 100, 130)), tmp_path / "out.mp4")
    assert (data["frames"], data["width"], data["height"]) == (30, 816, 480)
    assert data["warnings"] == ["the video has 2330 frames, the table 116 rows"]


def test_colours_and_shapes_are_fixed_and_differ() -> None:
    for camera in CAMERAS.values():
        assert len(set(look(camera.points).values())) == len(camera.points)
    assert look(["paw_l"]) == {"paw_l": look(CAMERAS["left"].points)["paw_l"]}
    many = look([f"p{n}" for n in range(60)])
    assert len(many) == 60 and len(set(many.values())) == 28


@pytest.mark.parametrize("shape", SHAPES)
def test_marks_keep_their_colour_whatever_the_parity_of_their_place(shape: str) -> None:
    sprite = mark(shape, (230, 159, 0), 5)
    for x in (20, 21):
        for y in (30, 31):
            canvas = Canvas(64, 64, (90, 90, 90))
            canvas.blend(sprite, x, y, (0, 0, 64, 64))
            assert canvas.luma[y, x] == pytest.approx(yuv((230, 159, 0))[0], abs=2)
            assert canvas.chroma[0, y // 2, x // 2] == pytest.approx(yuv((230, 159, 0))[1], abs=6)
            rows, columns = np.nonzero(canvas.luma != yuv((90, 90, 90))[0])
            assert abs((rows.min() + rows.max()) / 2 - y) <= 1 and abs((columns.min() + columns.max()) / 2 - x) <= 1


@pytest.mark.parametrize("place", [(-50, 5), (0, 0), (63, 63), (200, 200), (-3, 70)])
def test_marks_at_the_border_are_cut(place: tuple[int, int]) -> None:
    canvas = Canvas(64, 64)
    canvas.blend(mark("disc", (255, 255, 255), 6), *place, (0, 0, 64, 64))
    assert as_rgb(canvas.planes).shape == (64, 64, 3)


def test_captions() -> None:
    assert caption(216_000, 60.0) == "frame 216000   1:00:00.000" and caption(7, 0.0) == "frame 7"


def test_names(lab: Lab) -> None:
    assert labelled_video.usual_name(lab.video("body", 1).path) == "KS001_2026-01-15_001_body.mp4"
    assert labelled_video.usual_name(Path("/x/film.avi")) == "film.labelled.mp4"


@pytest.mark.full
def test_how_much_dearer_than_decoding(lab: Lab) -> None:
    """In processor time, which other work changes little.  The demo's frames are the cheapest to decode (1.7 kB)."""
    from iblvideo_admin.demo.session import render_session

    def spent(work: Callable[[], object]) -> float:
        begun = resource.getrusage(resource.RUSAGE_SELF)
        work()
        ended = resource.getrusage(resource.RUSAGE_SELF)
        return ended.ru_utime + ended.ru_stime - begun.ru_utime - begun.ru_stime

    session = lab.session()
    render_session(session, ["left"], 5.0)
    video = Video(session, CAMERAS["left"])
    tables.tracked(video, 300)
    ratios = []
    for _ in range(3):
        decoding = spent(lambda: sum(1 for _ in Reader(video.path).frames()))
        labelling = spent(lambda: labelled_video.write(Source(Wish(video.path)), lab.folder / "out.mp4"))
        ratios.append(decoding / labelling)
        print(f"ms a frame: decoding {decoding / 0.3:.1f}, labelling with it {labelling / 0.3:.1f}")
    assert max(ratios) >= 0.2
