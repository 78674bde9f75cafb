"""Progress on a terminal."""

from __future__ import annotations

import io
import sys
from contextlib import suppress

import pytest

from iblvideo_admin.cli.watching import Bars, Lines
from iblvideo_admin.queue.ledger import Job
from iblvideo_admin.queue.states import Complete, Started


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("subject", ["[/red]", "[bold]x", "a\x1b[2Jb", "{task}"])
def test_names_are_shown_as_they_are(monkeypatch: pytest.MonkeyPatch, subject: str) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    job = Job(1, "/v", subject, "2026-01-01", "001", "left", 0, 0, 0, "", None, None, 0.0, Started(1.0))
    with Bars() as watcher:
        watcher.started(job)
        watcher.progress(job, {"stage": "tracking", "done": 3, "total": 9, "fps": 2.0})
        watcher._bars.refresh()
        watcher.ended(Job(1, "/v", subject, "2026-01-01", "001", "left", 0, 0, 0, "", None, None, 0.0, Complete(2.0)))
    assert subject.replace("\x1b", "\\x1b")[:4] in terminal.getvalue()
    assert "\x1b[2J" not in terminal.getvalue()


def test_the_cursor_comes_back_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with suppress(KeyboardInterrupt), Bars() as watcher:
        watcher.started(Job(1, "/v", "A", "2026-01-01", "001", "left", 0, 0, 0, "", None, None, 0.0, Started(1.0)))
        raise KeyboardInterrupt
    assert terminal.getvalue().rindex("\x1b[?25h") > terminal.getvalue().rindex("\x1b[?25l")


def test_without_a_terminal_a_line_says_how_far_how_fast_and_how_long(
    capsys: pytest.CaptureFixture[str],
) -> None:
    job = Job(1, "/v", "A", "2026-01-01", "001", "left", 0, 0, 0, "", None, None, 0.0, Started(1.0))
    with Lines() as watcher:
        watcher.progress(job, {"stage": "tracking", "done": 30, "total": 9000, "fps": 15.0, "eta_s": 598.0})
        watcher.progress(job, {"stage": "tracking", "done": 40, "total": 9000, "fps": 15.0, "eta_s": 597.0})
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["A/2026-01-01/001 left: tracking, frame 30 of 9000, 15.0 frames/s, 10 min left"]
