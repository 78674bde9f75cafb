"""A server's day with Alyx: looks of the real drain, and between them jobs that take no time."""

from __future__ import annotations

import pytest
from alyx_lab import AlyxLab
from alyx_life import work

from iblvideo_admin.alyx.book import Book
from iblvideo_admin.alyx.drain import Drain
from iblvideo_admin.queue.ledger import Ledger


class Day:
    """A server's day: looks into Alyx, and jobs between them."""

    def __init__(self, lab: AlyxLab, monkeypatch: pytest.MonkeyPatch, **environment: str) -> None:
        for name, value in lab.environment.items():
            monkeypatch.setenv(name, value)
        self.lab, self.settings = lab, lab.settings(**environment)
        self.ledger = Ledger(self.settings.state_dir)
        self.drain = Drain(self.settings)
        self.corrupt: tuple[str, ...] = ()

    @property
    def book(self) -> Book:
        return Book(self.ledger, self.drain.place)

    def look(self) -> None:
        self.drain.turn(self.ledger)

    def work(self) -> None:
        work(self.ledger, self.corrupt, self.settings)

    def pass_(self, rounds: int = 6) -> None:
        """Until nothing is left."""
        for _ in range(rounds):
            self.look()
            self.work()
            if self.drain.is_over(self.ledger) and not self.ledger.numbers("Waiting"):
                return
        raise AssertionError("it does not end")

    def video(self, subject: str, *cameras: str) -> None:
        for camera in cameras:
            path = self.lab.at(subject, camera).path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"a video")

    def mouse(self, subject: str, *cameras: str, **options: object) -> tuple[str, tuple[str, str, str]]:
        self.video(subject, *cameras)
        session = self.lab.world.session(subject)
        return session, self.lab.world.pipeline(session, **options)  # type: ignore[arg-type]

    def close(self) -> None:
        self.drain.close()
        self.ledger.close()
