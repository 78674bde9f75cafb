"""Who computes on a card: NVML gives process numbers, ``/proc`` gives the people."""

from __future__ import annotations

import ctypes
import pwd
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iblvideo_admin.gpu.sysroot import CannotLookError, Sysroot

_ENGINE = "iblvideo_admin/engines/"


@dataclass(frozen=True)
class Process:
    """A process with memory on a card.  Another namespace's process has no user and no command here."""

    pid: int
    memory: int | None
    user: str | None
    command: str | None
    graphics: bool = False
    """Draws (an X server) rather than computes."""
    ours: bool = False
    """An engine of this project."""

    def __str__(self) -> str:
        memory = "N/A" if self.memory is None else f"{self.memory / 2**20:.0f} MiB"
        return f"{self.command or 'process'} {self.pid} of {self.user or 'an unknown user'} ({memory})"


Ask = Callable[..., Any]


def on_card(ask: Ask, sysroot: Sysroot) -> tuple[Process, ...] | None:
    """All processes on a card, those that compute first; None where the driver tells nothing of them.

    ``ask(question, *arguments)`` puts a question of pynvml's to the card and gives None for no answer.
    """
    computing, drawing = _listed(ask, "Compute"), _listed(ask, "Graphics")
    if computing is None and drawing is None:
        return None
    known = dict(computing or ())
    extra = {pid: memory for pid, memory in drawing or () if pid not in known}
    return (
        *(_process(pid, memory, sysroot, graphics=False) for pid, memory in known.items()),
        *(_process(pid, memory, sysroot, graphics=True) for pid, memory in extra.items()),
    )


def _listed(ask: Ask, kind: str) -> list[tuple[int, int | None]] | None:
    """Numbers and bytes, from the driver's newest entry point: the third came with R510, the second with R450."""
    import pynvml

    name = f"nvmlDeviceGet{kind}RunningProcesses"
    for question in (f"{name}_v3", f"{name}_v2"):
        found = ask(getattr(pynvml, question))
        if found is not None:
            return [(int(one.pid), one.usedGpuMemory) for one in found]
    found = ask(lambda handle: _before_450(handle, name))
    return None if found is None else list(found)


class _First(ctypes.Structure):
    """NVML's process as drivers before R450 give it."""

    _fields_ = (("pid", ctypes.c_uint), ("memory", ctypes.c_ulonglong))


def _before_450(handle: Any, name: str) -> Iterable[tuple[int, int | None]]:
    """The first entry point, which pynvml has left behind; raises NVMLError as its functions do."""
    import pynvml

    function, most = pynvml._nvmlGetFunctionPointer(name), 256  # noqa: SLF001  there is no public way to old entry points
    count, room = ctypes.c_uint(most), (_First * most)()
    pynvml._nvmlCheckReturn(function(handle, ctypes.byref(count), room))  # noqa: SLF001
    not_told = pynvml.NVML_VALUE_NOT_AVAILABLE_ulonglong.value
    return [(one.pid, None if one.memory == not_told else one.memory) for one in room[: count.value]]


def _process(pid: int, memory: int | None, sysroot: Sysroot, *, graphics: bool) -> Process:
    user = command = None
    ours = False
    with suppress(CannotLookError):
        status = sysroot.text(f"/proc/{pid}/status") or ""
        # the program's name only: a command line may hold a password
        command = (sysroot.text(f"/proc/{pid}/comm") or "").strip() or None
        uid = next((line.split()[1] for line in status.splitlines() if line.startswith("Uid:\t")), None)
        user = _name(uid, sysroot) if uid else None
        ours = _ENGINE in (sysroot.text(f"/proc/{pid}/cmdline") or "")
    return Process(pid, memory, user, command, graphics, ours)


def _name(uid: str, sysroot: Sysroot) -> str:
    for line in (sysroot.text("/etc/passwd") or "").splitlines():
        fields = line.split(":")
        if fields[2:3] == [uid]:
            return fields[0]
    if sysroot.root == Path("/"):
        with suppress(KeyError, ValueError, OverflowError):  # a user of the lab's directory is in no file
            return pwd.getpwuid(int(uid)).pw_name
    return uid
