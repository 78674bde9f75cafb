"""Where a session's files lie, whatever people call their mice and wherever their links lead."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iblvideo_admin.errors import UserError
from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.sessions import Video, find_videos, is_session, require_inside

ODD_NAMES = [
    "mouse",
    "a mouse",
    "it's",
    'a "mouse"',
    "a;rm -rf",
    "two\nlines",
    "мышь",
    "鼠",
    "$(x)`y`",
    "-rf",
    "*",
    "a\\b",
    " ",
]
BAD_NAME = os.fsdecode(b"mouse\xff")


def add_video(subjects: Path, subject: str = "mouse", day: str = "2024-01-31/001", camera: str = "left") -> Path:
    path = subjects / subject / day / "raw_video_data" / f"_iblrig_{camera}Camera.raw.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"video")
    return path


def refused(code: str, *call: object) -> UserError:
    function, *arguments = call
    with pytest.raises(UserError) as caught:
        function(*arguments)  # type: ignore[operator]
    assert caught.value.code == code
    assert "\n" not in caught.value.remedy and caught.value.remedy
    caught.value.message.encode("utf-8")  # can be printed and stored
    return caught.value


@pytest.mark.parametrize("subject", ODD_NAMES)
def test_odd_names(tmp_path: Path, subject: str) -> None:
    path = add_video(tmp_path / "Subjects", subject)
    [video] = find_videos(tmp_path / "Subjects")
    assert video.path == path
    assert (video.subject, video.date, video.number) == (subject, "2024-01-31", "001")
    assert Video.at(path) == video
    require_inside(video, tmp_path / "Subjects")


@given(st.text(st.characters(blacklist_characters="/\0", codec="utf-8"), min_size=1).filter(lambda n: n not in ".."))
def test_any_name_is_parsed(subject: str) -> None:
    video = Video.at(Path("/data") / subject / "2024-01-31/002/raw_video_data/_iblrig_rightCamera.raw.mp4")
    assert video.subject == subject and video.camera is CAMERAS["right"] and video.number == "002"


def test_file_names(tmp_path: Path) -> None:
    video = Video.at(add_video(tmp_path))
    session = tmp_path / "mouse/2024-01-31/001"
    assert video.session == session
    assert video.table == session / "alf/_ibl_leftCamera.dlc.pqt"
    assert video.work == session / "alf/.iblvideo-admin"
    assert video.provenance == session / "alf/.iblvideo-admin/left.provenance.json"


def test_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = add_video(tmp_path)
    monkeypatch.chdir(path.parent)
    assert Video.at(Path(path.name)).path == path
    assert find_videos(Path("../../..")) == [Video.at(path)]


@pytest.mark.parametrize(
    "path",
    [
        "mouse/2024-01-31/001/raw_video_data/_iblrig_leftCamera.raw.avi",
        "mouse/2024-01-31/001/raw_video_data/_iblrig_topCamera.raw.mp4",
        "mouse/2024-01-31/001/raw_video_data/_iblrig_leftCamera.raw.mp4\n",
        "mouse/2024-01-31/001/video/_iblrig_leftCamera.raw.mp4",
        "mouse/2024-01-31/1/raw_video_data/_iblrig_leftCamera.raw.mp4",
        "mouse/2024-1-31/001/raw_video_data/_iblrig_leftCamera.raw.mp4",
        "mouse/2024-01-31/\u0660\u0660\u0661/raw_video_data/_iblrig_leftCamera.raw.mp4",
        "mouse/\u0662\u0660\u0662\u0664-01-31/001/raw_video_data/_iblrig_leftCamera.raw.mp4",
        "_iblrig_leftCamera.raw.mp4",
    ],
)
def test_not_a_video(tmp_path: Path, path: str) -> None:
    refused("path.not_a_video", Video.at, tmp_path / path)


def test_not_a_session() -> None:
    assert is_session(Path("/a/2024-01-31/001"))
    assert not is_session(Path("/2024-01-31/001"))
    assert not is_session(Path("/a/2024-01-31/001x"))
    assert not is_session(Path("/a/b/c"))


def test_missing_and_empty(tmp_path: Path) -> None:
    refused("path.missing", find_videos, tmp_path / "nothing")
    refused("path.missing", find_videos, tmp_path / ("long" * 200))
    refused("path.no_videos", find_videos, tmp_path)
    add_video(tmp_path)
    refused("path.no_videos", find_videos, tmp_path, ["body"])
    (tmp_path / "file").write_text("no video")
    refused("path.not_a_video", find_videos, tmp_path / "file")


def test_what_a_path_means(tmp_path: Path) -> None:
    left, body = add_video(tmp_path, camera="left"), add_video(tmp_path, camera="body")
    other = add_video(tmp_path, "another", "2023-01-01/002", "right")
    session = left.parent.parent
    (session / "raw_video_data/_iblrig_leftCamera.raw.txt").write_text("")
    assert [v.path for v in find_videos(left)] == [left]
    assert [v.path for v in find_videos(session)] == [left, body]
    assert [v.path for v in find_videos(left.parent)] == [left, body]
    assert [v.path for v in find_videos(tmp_path)] == [other, left, body]
    assert [v.path for v in find_videos(tmp_path, ["body", "right"])] == [other, body]


def test_any_depth(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["lab"] * 30, "Subjects")
    path = add_video(deep)
    add_video(tmp_path / ".hidden")
    assert [v.path for v in find_videos(tmp_path)] == [path]


def test_a_dead_link_is_found_and_named_later(tmp_path: Path) -> None:
    path = add_video(tmp_path)
    path.unlink()
    path.symlink_to("nowhere")
    assert [v.path for v in find_videos(tmp_path)] == [path]


def test_link_loops(tmp_path: Path) -> None:
    path = add_video(tmp_path / "a")
    add = tmp_path / "a" / "mouse"
    (add / "itself").symlink_to("itself")
    (add / "up").symlink_to(tmp_path)
    (add / "dead").symlink_to("nowhere")
    (tmp_path / "b").mkdir()
    for name in ("one", "two"):
        (tmp_path / "b" / name).symlink_to(tmp_path / "a")
        (tmp_path / "a" / name).symlink_to(tmp_path / "b")
    (tmp_path / "entry").symlink_to(tmp_path / "a")
    assert [v.path for v in find_videos(tmp_path)] == [path]
    assert [v.path for v in find_videos(tmp_path / "b")] == [
        tmp_path / "b/one/mouse/2024-01-31/001" / "raw_video_data" / path.name
    ]
    assert len(find_videos(tmp_path / "entry")) == 1


def test_a_session_has_its_own_name_rather_than_a_links(tmp_path: Path) -> None:
    path = add_video(tmp_path, "zoe")
    (tmp_path / "adam").symlink_to("zoe")
    assert [v.path for v in find_videos(tmp_path)] == [path]


@pytest.mark.parametrize("what", ["alf", "work", "session", "subject"])
def test_leading_outside(tmp_path: Path, what: str) -> None:
    subjects, outside = tmp_path / "Subjects", tmp_path / "outside"
    video = Video.at(add_video(subjects))
    video.work.mkdir(parents=True)
    require_inside(video, subjects)
    path = {
        "alf": video.alf,
        "work": video.work,
        "session": video.session,
        "subject": subjects / "mouse",
    }[what]
    path.rename(outside)
    path.symlink_to(outside)
    error = refused("path.outside", require_inside, video, subjects)
    assert str(outside) in error.message


@pytest.mark.parametrize("what", ["video", "raw_video_data"])
def test_raw_videos_may_be_kept_elsewhere(tmp_path: Path, what: str) -> None:
    """They are only read; what is written is found by the link's own place."""
    video = Video.at(add_video(tmp_path / "Subjects"))
    path = video.path if what == "video" else video.path.parent
    path.rename(tmp_path / "other_disk")
    path.symlink_to(tmp_path / "other_disk")
    require_inside(video, tmp_path / "Subjects")


def test_links_inside_are_fine(tmp_path: Path) -> None:
    video = Video.at(add_video(tmp_path / "real"))
    (tmp_path / "link").symlink_to("real")
    require_inside(video, tmp_path / "link")
    require_inside(Video.at(tmp_path / "link" / video.path.relative_to(tmp_path / "real")), tmp_path / "real")


def test_a_sibling_with_the_same_beginning_is_outside(tmp_path: Path) -> None:
    refused("path.outside", require_inside, Video.at(add_video(tmp_path / "Subjects2")), tmp_path / "Subjects")


def test_an_alf_that_links_to_itself(tmp_path: Path) -> None:
    video = Video.at(add_video(tmp_path))
    video.alf.symlink_to("alf")
    require_inside(video, tmp_path)  # it leads nowhere: writing there fails, and says so
    assert len(video.key) == 24


def test_the_key_is_the_files(tmp_path: Path) -> None:
    path = add_video(tmp_path / "real")
    (tmp_path / "link").symlink_to("real")
    linked = Video.at(tmp_path / "link" / path.relative_to(tmp_path / "real"))
    assert linked.key == Video.at(path).key
    assert linked.key != Video.at(add_video(tmp_path / "real", camera="body")).key


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    """JSON and SQLite cannot hold them: refused one by one, so that the other sessions are still tracked."""
    bad = add_video(tmp_path, BAD_NAME)
    good = add_video(tmp_path, "mouse")
    error = refused("path.not_a_video", Video.at, bad)
    assert "mouse\\xff" in error.message and "Rename" in error.remedy
    refused("path.not_a_video", find_videos, bad)
    videos = find_videos(tmp_path)
    assert [v.path for v in videos] == [good, bad]
    require_inside(videos[0], tmp_path)
    refused("path.not_a_video", require_inside, videos[1], tmp_path)
    empty = tmp_path / BAD_NAME / "empty"
    empty.mkdir()
    refused("path.no_videos", find_videos, empty)
    refused("path.missing", find_videos, empty / "x")
