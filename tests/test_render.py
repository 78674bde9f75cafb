"""Text and JSON of results."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from iblvideo_admin.render import columns, plain, render
from iblvideo_admin.result import Problem, Result


@given(st.text())
def test_plain_is_one_printable_line(text: str) -> None:
    assert plain(text).isprintable()
    assert plain("mouse ünïcödé 鼠") == "mouse ünïcödé 鼠"


@given(st.text(), st.text())
def test_a_document_is_one_line_of_json_whatever_is_in_it(name: str, message: str) -> None:
    document = Result("process", {"video": name}, 1, (Problem("bug", message, ""),)).document()
    text = json.dumps(document)
    assert json.loads(text)["data"] == {"video": name} and "\n" not in text


def test_columns_are_aligned() -> None:
    assert columns([("a", "bb"), ("ccc", "d", "e")]) == ["a    bb", "ccc  d   e"]
    assert columns([]) == []


def test_errors_go_to_standard_error(capsys) -> None:
    render(Result("status", {}, 1, (Problem("disk.full", "no room\nleft", "Free it."),)), as_json=False)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error disk.full: no room\\nleft. Free it.\n"
