"""What a job can be: Alyx's words, each with the fields that only it has, and the changes that are allowed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

CLOCK_SLACK_S = 5.0  # how far a clock is corrected without notice


@dataclass(frozen=True)
class State:
    """Common to all: since when (seconds since the epoch)."""

    status: ClassVar[str]
    since: float

    def as_data(self) -> dict[str, Any]:
        """As plain values, the status among them."""
        return {"status": self.status, **asdict(self)}


@dataclass(frozen=True)
class Waiting(State):
    """To be run, not before ``not_before``; ``because`` says why it is back, where it is."""

    status = "Waiting"
    not_before: float = 0.0
    because: str = ""


@dataclass(frozen=True)
class Held(State):
    """Not to be run until somebody releases it, or ``until`` has come (0: never by itself).

    ``code`` is set where the queue itself holds it: a person should look.
    """

    status = "Held"
    because: str = ""
    until: float = 0.0
    code: str = ""


@dataclass(frozen=True)
class Started(State):
    """A child process runs it: ``pid``, on ``device``, started by ``worker`` (see :mod:`queue.slots`)."""

    status = "Started"
    pid: int = 0
    device: str = ""
    worker: str = ""


@dataclass(frozen=True)
class Complete(State):
    """The table is in place."""

    status = "Complete"
    frames: int = 0
    fps: float = 0.0
    seconds: float = 0.0
    sha256: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Errored(State):
    """It failed for a reason that trying again does not change, or too often."""

    status = "Errored"
    code: str = "bug"
    message: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Incomplete(State):
    """Some of a group's videos were tracked (Alyx tasks only)."""

    status = "Incomplete"


@dataclass(frozen=True)
class Empty(State):
    """There was no video (Alyx tasks only)."""

    status = "Empty"


@dataclass(frozen=True)
class Abandoned(State):
    """Given up by a person."""

    status = "Abandoned"
    because: str = ""


STATES: dict[str, type[State]] = {
    state.status: state for state in (Waiting, Held, Started, Complete, Errored, Incomplete, Empty, Abandoned)
}

TRANSITIONS: dict[str, frozenset[str]] = {
    "Waiting": frozenset({"Held", "Started", "Abandoned"}),
    "Held": frozenset({"Waiting", "Abandoned"}),
    "Started": frozenset({"Waiting", "Held", "Complete", "Errored", "Abandoned"}),
    "Complete": frozenset({"Waiting"}),
    "Errored": frozenset({"Waiting", "Abandoned"}),
    "Incomplete": frozenset({"Waiting"}),
    "Empty": frozenset({"Waiting"}),
    "Abandoned": frozenset({"Waiting"}),
}
ENDED = frozenset({"Complete", "Errored", "Incomplete", "Empty", "Abandoned"})


def from_data(data: dict[str, Any]) -> State:
    """The state that :meth:`State.as_data` described; fields of a newer version are passed over."""
    kind = STATES[data["status"]]
    known = {f.name for f in fields(kind)}
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in data.items() if name in known}
    return kind(**values)
