"""Time limits for ONE, which sets none: a server that hangs, or sends a byte now and then, costs a limited time.

``requests`` itself only limits a silence.  So each call of ours runs in a thread that is left alone when its time is
over; what it may still try to send then is refused.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

_Answer = TypeVar("_Answer")
_CONNECT_S = 10.0
_LEAST_S = 0.05
_here = threading.local()


class TimeIsOverError(OSError):
    """A call took longer than it may."""


def within(limit_s: float, call: Callable[[], _Answer], *, each_s: float) -> _Answer:
    """What ``call`` gives, each of whose requests may be silent for ``each_s``.

    Raises :class:`TimeIsOverError` when there is nothing after ``limit_s`` seconds.
    """
    outcome: list[Any] = []
    done = threading.Event()

    def work() -> None:
        _here.until, _here.each_s = time.monotonic() + limit_s, each_s
        try:
            outcome.extend((True, call()))
        except BaseException as error:  # noqa: BLE001  raised where it is waited for
            outcome.extend((False, error))
        finally:
            done.set()

    threading.Thread(target=work, name="alyx", daemon=True).start()
    if not done.wait(limit_s):
        raise TimeIsOverError(f"no answer within {limit_s:g} s")
    worked, found = outcome
    if not worked:
        raise found
    return found  # type: ignore[no-any-return]


def limited(send: Callable[..., Any]) -> Callable[..., Any]:
    """A function of ``requests`` that ends in time; outside of :func:`within` nothing is sent."""

    @functools.wraps(send)
    def wrapped(*arguments: Any, **options: Any) -> Any:
        left_s = getattr(_here, "until", 0.0) - time.monotonic()
        if left_s <= 0:
            raise TimeIsOverError("the time of this call is over")
        silence_s = max(min(left_s, _here.each_s), _LEAST_S)
        return send(*arguments, **{**options, "timeout": (min(_CONNECT_S, silence_s), silence_s)})

    return wrapped
