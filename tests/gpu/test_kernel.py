"""The kernel's log and lists, from whichever file may be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from gpu.machines import KERNEL, Machine

from iblvideo_admin.gpu import kernel
from iblvideo_admin.gpu.sysroot import CannotLookError

OLD = "Nov 23 10:00:00 host kernel: [    0.000000] Linux version 6.1.0-24-amd64\n"
BOOT = "2026-11-24T04:00:00.123456+00:00 host kernel: [    0.000000] Linux version 6.1.0-25-amd64\n"
OTHER = "Nov 24 04:00:01 host systemd[1]: kernel NVRM: Xid (PCI:0000:01:00): 79\n"


def line(text: str) -> str:
    return f"Nov 24 04:00:02 host kernel: [   12.345678] {text}\n"


def test_kmsg(tmp_path: Path) -> None:
    machine = Machine(tmp_path).log("one", "two\\x0athree; and more")
    assert kernel.log(machine.sysroot)[1:] == ["one", "two", "three; and more"]


def test_continuation_lines_are_no_messages(tmp_path: Path) -> None:
    machine = Machine(tmp_path).write("/dev/kmsg", "6,0,0,-;one\n SUBSYSTEM=pci\n DEVICE=+pci:0000:01:00.0\n")
    assert kernel.log(machine.sysroot) == ["one"]


def test_only_this_boot_of_kern_log(tmp_path: Path) -> None:
    machine = Machine(tmp_path).write("/var/log/kern.log", OLD + line("old") + BOOT + OTHER + line("new#012more"))
    machine.remove("/dev/kmsg")
    assert kernel.log(machine.sysroot) == ["Linux version 6.1.0-25-amd64", "new", "more"]


def test_kern_log_rotated_since_the_boot(tmp_path: Path) -> None:
    machine = Machine(tmp_path).write("/var/log/kern.log", line("late"))
    machine.unreadable("/dev/kmsg")
    assert kernel.log(machine.sysroot) == ["late"]
    machine.write("/var/log/kern.log.1", OLD + line("old") + BOOT + line("early"))
    assert kernel.log(machine.sysroot)[1:] == ["early", "late"]


def test_kmsg_that_has_lost_its_beginning(tmp_path: Path) -> None:
    machine = Machine(tmp_path).write("/dev/kmsg", "6,900,12500000,-;late\n")
    assert kernel.log(machine.sysroot) == ["late"]
    machine.write("/var/log/kern.log", BOOT + line("early") + line("late"))
    assert kernel.log(machine.sysroot)[1:] == ["early", "late"]


def test_only_the_end_of_a_long_log_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(tmp_path).write("/var/log/kern.log", BOOT + line("x" * 50) * 100 + line("last"))
    machine.remove("/dev/kmsg")
    monkeypatch.setattr(kernel, "_TAIL", 1000)
    found = kernel.log(machine.sysroot)
    assert found[-1] == "last" and 5 < len(found) < 15


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\0\n", b"one\ntwo\n"])
def test_a_log_without_messages_is_none(tmp_path: Path, content: bytes) -> None:
    machine = Machine(tmp_path).write("/dev/kmsg", content).write("/var/log/kern.log", content)
    with pytest.raises(CannotLookError, match="no kernel log"):
        kernel.log(machine.sysroot)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.remove("/dev/kmsg")
    os.mkfifo(machine.path("/dev/kmsg"))
    with pytest.raises(CannotLookError):
        kernel.log(machine.sysroot)


def test_records_of_the_real_device_come_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel gives a record a read, EPIPE for an overwritten one, and EAGAIN at the end."""
    answers = [b"6,0,0,-;Linux version 1\n", BrokenPipeError(), b"4,7,9,-;two\n SUBSYSTEM=x\n", BlockingIOError()]

    def read(descriptor: int, count: int) -> bytes:
        answer = answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    monkeypatch.setattr(kernel.os, "read", read)
    monkeypatch.setattr(kernel.stat, "S_ISCHR", lambda mode: True)
    assert kernel.log(Machine(tmp_path).sysroot) == ["Linux version 1", "two"]


def test_the_running_kernels_release(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert kernel.release(machine.sysroot) == KERNEL
    for text in ("", "\0\0", "../../etc", "6.1.0\n6.2.0\n"):
        with pytest.raises(CannotLookError):
            kernel.release(machine.write("/proc/sys/kernel/osrelease", text).sysroot)


def test_loaded_modules(tmp_path: Path) -> None:
    machine = Machine(tmp_path).load("nvidia_uvm")
    assert kernel.modules(machine.sysroot) == {"ext4", "e1000e", "nvidia_uvm"}
    assert not kernel.surely_loaded(machine.sysroot, "nvidia")
    assert not kernel.surely_loaded(machine.unreadable("/proc/modules").sysroot, "ext4")
