"""What the running kernel says: its release, its modules, its log, and how modprobe is told to treat a module."""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress

from iblvideo_admin.gpu.sysroot import CannotLookError, Sysroot

_MODPROBE = (
    "/etc/modprobe.d",
    "/run/modprobe.d",
    "/usr/local/lib/modprobe.d",
    "/usr/lib/modprobe.d",
    "/lib/modprobe.d",
)
_RELEASE = re.compile(r"[0-9]+\.[0-9][\w.+~-]*")
_MODULE = re.compile(r"^(\w+) \d+ (?:\d+|-) ", re.ASCII)
_TAIL = 1 << 22
_RECORD = 1 << 13  # the kernel gives one record of /dev/kmsg a read, and refuses a smaller buffer
_KMSG = re.compile(r"^(\d+),(\d+),\d+,[^;]*;(.*)$")
_SYSLOG = re.compile(r"^\S.*? kernel: (?:\[\s*\d+\.\d+\] ?)?(.*)$")
_BOOT = "Linux version "


def release(sysroot: Sysroot) -> str:
    """The running kernel, as `uname -r` says it.  Raises CannotLookError."""
    path = "/proc/sys/kernel/osrelease"
    text = (sysroot.text(path) or "").strip()
    if not _RELEASE.fullmatch(text):
        raise CannotLookError(f"{path} holds no kernel release: {text[:40]!r}")
    return text


def modules(sysroot: Sysroot) -> set[str]:
    """The loaded modules.  Raises CannotLookError, also where /proc/modules is not as the kernel writes it."""
    lines = (sysroot.text("/proc/modules") or "").splitlines()
    found = [_MODULE.match(line) for line in lines]
    if not lines or None in found:
        raise CannotLookError("/proc/modules is not there, empty or not as the kernel writes it")
    return {match[1] for match in found if match}


def surely_loaded(sysroot: Sysroot, module: str) -> bool:
    """Whether a module is seen to be loaded; False also where that cannot be seen."""
    try:
        return module in modules(sysroot)
    except CannotLookError:
        return False


def barred(sysroot: Sysroot, module: str) -> str | None:
    """The line, with its file, that keeps the kernel from loading a module by itself; None where there is none.

    Raises CannotLookError where there is none and a file could not be read.
    """
    name = rf"(?<![\w-]){re.escape(module)}(?![\w-])"
    setting = re.compile(rf"^(blacklist\s+{name}|alias\s+{name}\s+off|install\s+{name}\s+\S*/(false|true))$")
    option = re.compile(rf"(?:module_blacklist|modprobe\.blacklist|rd\.driver\.blacklist)=\S*{name}|{name}\.modeset=0")
    unread: list[CannotLookError] = []
    for path in _settings(sysroot, unread):
        try:
            lines = (sysroot.text(path) or "").splitlines()
        except CannotLookError as error:
            unread.append(error)
            continue
        for line in lines:
            if setting.match(line.strip()):
                return f"{path}: {line.strip()}"
    if match := option.search(sysroot.text("/proc/cmdline") or ""):
        return f"/proc/cmdline: {match[0]}"
    if unread:
        raise unread[0]
    return None


def _settings(sysroot: Sysroot, unread: list[CannotLookError]) -> list[str]:
    """The files that modprobe reads."""
    found = []
    for folder in _MODPROBE:
        try:
            found += [f"{folder}/{file}" for file in sysroot.names(folder) if file.endswith(".conf")]
        except CannotLookError as error:
            unread.append(error)
    return found


def log(sysroot: Sysroot) -> list[str]:
    """The kernel's messages since this boot, oldest first, each a line.  Raises CannotLookError.

    From /dev/kmsg, or from /var/log/kern.log where that may not be read or has lost its beginning.
    """
    try:
        records = [match for line in _tail(sysroot, "/dev/kmsg").splitlines() if (match := _KMSG.match(line))]
        if not records:
            raise CannotLookError("/dev/kmsg holds no message")
    except CannotLookError as error:
        refused, recent = error, []
    else:
        recent = [line for match in records for line in match[3].split("\\x0a")]
        if int(records[0][2]) == 0:  # the first message of the boot
            return recent
    try:
        return _syslog(sysroot)
    except CannotLookError as error:
        if recent:
            return recent
        raise CannotLookError(f"no kernel log: {refused}; {error}") from error


def _syslog(sysroot: Sysroot) -> list[str]:
    lines = _messages(_tail(sysroot, "/var/log/kern.log"))
    if not any(line.startswith(_BOOT) for line in lines):  # rotated since the boot
        with suppress(CannotLookError):
            lines = _messages(_tail(sysroot, "/var/log/kern.log.1")) + lines
    if not lines:
        raise CannotLookError("/var/log/kern.log holds no message")
    boots = [number for number, line in enumerate(lines) if line.startswith(_BOOT)]
    return lines[boots[-1] if boots else 0 :]


def _messages(text: str) -> list[str]:
    found = (_SYSLOG.match(line) for line in text.splitlines())
    return [line for match in found if match for line in match[1].split("#012")]


def _tail(sysroot: Sysroot, absolute: str) -> str:
    """The end of a log.  Never waits: /dev/kmsg would, for the next message."""
    try:
        descriptor = os.open(sysroot.path(absolute), os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise CannotLookError(f"{absolute} cannot be opened: {getattr(error, 'strerror', error)}") from error
    try:
        about = os.fstat(descriptor)
        if stat.S_ISCHR(about.st_mode):
            content = _drain(descriptor)
        else:
            if stat.S_ISREG(about.st_mode):
                os.lseek(descriptor, max(0, about.st_size - _TAIL), os.SEEK_SET)
            content = os.read(descriptor, _TAIL)
    except OSError as error:
        raise CannotLookError(f"{absolute} cannot be read: {error.strerror}") from error
    finally:
        os.close(descriptor)
    return content.decode("utf-8", "replace")


def _drain(descriptor: int) -> bytes:
    records: list[bytes] = []
    while len(records) < _TAIL // 64:
        try:
            record = os.read(descriptor, _RECORD)
        except BlockingIOError:
            break
        except BrokenPipeError:
            continue  # the next record was overwritten meanwhile; the one after it comes next
        if not record:
            break
        records.append(record)
    return b"".join(records)
