"""What every command returns: one frozen value, made into text or JSON by :mod:`iblvideo_admin.render`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from iblvideo_admin.errors import UserError

SCHEMA = 1


@dataclass(frozen=True)
class Problem:
    """One thing that went wrong: stable code, what happened, what to do."""

    code: str
    message: str
    remedy: str

    @classmethod
    def of(cls, error: UserError) -> Problem:
        """The problem that an error describes."""
        return cls(error.code, error.message, error.remedy)


@dataclass(frozen=True)
class Result:
    """A command's outcome.  ``data`` holds only what JSON can hold; ``exit_code`` follows the contract."""

    command: str
    data: dict[str, Any] = field(default_factory=dict)
    exit_code: int = 0
    errors: tuple[Problem, ...] = ()

    @classmethod
    def failure(cls, command: str, error: UserError, data: dict[str, Any] | None = None) -> Result:
        """The outcome of a command that ended with ``error``."""
        return cls(command, data or {}, error.exit_code, (Problem.of(error),))

    def document(self) -> dict[str, Any]:
        """The JSON document of the contract."""
        return {
            "schema": SCHEMA,
            "command": self.command,
            "exit_code": self.exit_code,
            "data": self.data,
            "errors": [vars(problem) for problem in self.errors],
        }
