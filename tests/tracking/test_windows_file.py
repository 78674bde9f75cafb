"""Points that a person gives: a good file, and every way to get it wrong."""

import json
from pathlib import Path

import pytest

from iblvideo_admin.errors import UserError
from iblvideo_admin.tracking import windows_file

LEFT = "nose_tip = [340, 560]\npupil_top_r = [640.5, 313]\ntube_top = [330, 672]\ntube_bottom = [318, 728]\n"
GOOD = f"[left]\n{LEFT}[body]\ntail_start = [0, 511.9]\n"


def test_good(tmp_path: Path) -> None:
    path = tmp_path / "windows.toml"
    path.write_text(GOOD)
    read = windows_file.read(path)
    assert read["left"]["pupil_top_r"] == (640.5, 313.0)
    assert read["body"] == {"tail_start": (0.0, 511.9)}
    (tmp_path / "windows.json").write_text(json.dumps(read))
    assert windows_file.read(tmp_path / "windows.json") == read


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "names no camera"),
        ("# [left]\n", "names no camera"),
        ("[left\n", "cannot be read"),
        ("x" * 10, "cannot be read"),
        (f"[top]\n{LEFT}", "no camera 'top'"),
        ("left = 3\n", "not a table of points"),
        ("[left]\nnose_tip = [1, 2]\n", "lacks the point"),
        (f"[left]\n{LEFT}paw_l = [1, 2]\n", "no anchor 'paw_l'"),
        ("[body]\ntail_start = [1]\n", "must be [x, y]"),
        ("[body]\ntail_start = [1, 2, 3]\n", "must be [x, y]"),
        ("[body]\ntail_start = 'left'\n", "must be [x, y]"),
        ("[body]\ntail_start = ['1', '2']\n", "must be [x, y]"),
        ("[body]\ntail_start = [true, false]\n", "must be [x, y]"),
        ("[body]\ntail_start = [640, 10]\n", "outside the picture of 640x512"),
        ("[body]\ntail_start = [10, 512]\n", "outside"),
        ("[body]\ntail_start = [-1, 10]\n", "outside"),
        ("[body]\ntail_start = [nan, 10]\n", "outside"),
        ("[body]\ntail_start = [inf, 10]\n", "outside"),
        (f"[body]\ntail_start = [{'9' * 400}, 10]\n", ""),
    ],
)
def test_wrong(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "windows.toml"
    path.write_text(content)
    with pytest.raises(UserError) as caught:
        windows_file.read(path)
    assert caught.value.code == "windows.invalid"
    assert said in caught.value.message and "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("windows.json", b"[1, 2]"),
        ("windows.json", b"{"),
        ("windows.json", b'{"body": {"tail_start": [' + b"9" * 400 + b", 1]}}"),
        ("windows.json", b"[" * 200_000),
        ("windows.toml", b"\xff\xfe"),
        ("windows.toml", b"a = " + b"[" * 200_000),
    ],
)
def test_wrong_bytes(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        windows_file.read(tmp_path / name)
    assert caught.value.code == "windows.invalid"


def test_no_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(UserError) as caught:
            windows_file.read(path)
        assert caught.value.code == "windows.invalid"
