"""SIGINT and SIGTERM: an end at once, except in the moments that must not be left half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def end_on_sigterm() -> None:
    """SIGTERM ends a command as Ctrl-C does: with KeyboardInterrupt."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def ignore() -> None:
    """From now on nothing interrupts this process: what is left to be done takes seconds at most."""
    if threading.current_thread() is threading.main_thread():  # no other may say so, and none is interrupted
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def ignored() -> Iterator[None]:
    """As :func:`ignore`, until the end of the block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    ignore()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
