"""The screen of ``status``: any width, no colour, hostile names, nothing to tell."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reporting import sample
from rich.console import Console

from iblvideo_admin.render import status
from iblvideo_admin.render.amounts import size, span


def drawn(data: dict[str, Any], width: int = 100, *, blocks: bool = True, colour: bool = False) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=colour, highlight=False,
                      color_system="standard" if colour else None)  # fmt: skip
    console.print(status.screen(data, width, blocks=blocks))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_busy_server_on_one_screen() -> None:
    text = drawn(sample.snapshot())
    for part in ("fail 5 h 33 min ago", "layer 7 nvml: GPU 2 is lost", "active for 12 days", "83 %",
                 "4.5 of 11.0 GiB", "64 °C", "matlab 998 of alice", "python3.7 1234 ours", "lost: GPU is lost",
                 "12 Waiting", "61 %",
                 "61.2 frames/s", "23 min left", "stuck", "2 x video.corrupt", "1 acknowledged", "about 13 days left",
                 "3 wait for Alyx", "1. job 69", "2. GPU 2 is lost", "about 8 h 20 min of work wait"):  # fmt: skip
        assert part in text, part
    assert len(text.splitlines()) <= 40


@pytest.mark.parametrize("width", [20, 40, 63, 64, 80, 200])
@pytest.mark.parametrize("blocks", [True, False])
def test_no_line_is_wider_than_the_terminal(width: int, blocks: bool) -> None:
    text = drawn(sample.snapshot(), width, blocks=blocks)
    assert max(map(len, text.splitlines())) <= width
    assert text.isascii() or blocks or not set("█░") & set(text)


@settings(deadline=None)
@given(st.text(min_size=1, max_size=400), st.integers(30, 120))
def test_any_name_is_text(name: str, width: int) -> None:
    data = sample.snapshot()
    data["running"][0]["session"] = data["recent"][0]["session"] = data["host"] = name
    data["gpus"][0]["processes"][0]["command"] = data["attention"][0] = name
    text = drawn(data, width)
    assert all(c.isprintable() or c in "\n\N{NARROW NO-BREAK SPACE}" for c in text)


def test_what_is_watched_has_the_urgent_at_its_top() -> None:
    console = Console(file=io.StringIO(), width=100)
    console.print(status.screen(sample.snapshot(), 100, watched=True))
    assert isinstance(console.file, io.StringIO)
    assert [line.split()[0] for line in console.file.getvalue().splitlines()[:4]] == [
        "server",
        "attention",
        "2.",
        "toolchain",
    ]


def test_colours_and_none() -> None:
    assert "\x1b[" in drawn(sample.snapshot(), colour=True)
    assert "\x1b" not in drawn(sample.snapshot())


def test_a_server_without_anything() -> None:
    lists = {name: [] for name in ("gpus", "running", "recent", "failures", "workers", "attention")}
    none = dict.fromkeys(("check", "service", "outbox"), None)
    text = drawn(sample.snapshot() | lists | none | {"queue": {"Waiting": 0}, "held": "by ann since noon"})
    for part in ("not run yet", "none here", "no jobs", "held by ann", "nothing waits for Alyx", "nothing needs you"):
        assert part in text, part


@pytest.mark.parametrize(("seconds", "said"), [
    (0, "0 s"), (89.4, "89 s"), (600, "10 min"), (12_000, "3 h 20 min"), (90_000, "25 h"), (20 * 86400, "20 days"),
    (None, "N/A"), (-5, "0 s"),
])  # fmt: skip
def test_times(seconds: float | None, said: str) -> None:
    assert span(seconds) == said


@pytest.mark.parametrize(("number", "said"), [
    (0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (66_000_000_000, "66 GB"), (999_600_000_000, "1.0 TB"), (None, "N/A"),
])  # fmt: skip
def test_sizes(number: float | None, said: str) -> None:
    assert size(number) == said
