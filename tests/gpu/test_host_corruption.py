"""Whatever the host's files hold, layers 1 to 6 give a finding, and none passes on what could not be read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from gpu.machines import EFIVAR, KERNEL, Machine, finding, working
from hypothesis import given, settings
from hypothesis import strategies as st

LAYERS = ("pci", "nouveau", "secure_boot", "headers", "module", "devices")
CARD = "/sys/bus/pci/devices/0000:01:00.0"
MODULE = f"/lib/modules/{KERNEL}/updates/dkms/nvidia.ko"
INFORMATION = "/proc/driver/nvidia/gpus/0000:01:00.0/information"
# what a layer's pass rests upon, with no other witness
DECIDES = [
    ("pci", f"{CARD}/vendor"), ("pci", f"{CARD}/class"), ("pci", f"{CARD}/device"),
    ("nouveau", f"{CARD}/driver"), ("nouveau", "/proc/modules"), ("nouveau", "/etc/modprobe.d/blacklist-nouveau.conf"),
    ("secure_boot", EFIVAR), ("headers", "/proc/sys/kernel/osrelease"), ("headers", MODULE),
    ("module", "/proc/modules"), ("module", "/dev/kmsg"),
    ("devices", INFORMATION), ("devices", "/dev/nvidia0"), ("devices", "/dev/nvidiactl"),
    ("devices", "/dev/nvidia-uvm"),
]  # fmt: skip
GARBAGE = (b"", b"\n", b"\0" * 64, b"\xff\xfe\xfd", b"-1\n", b"<html>\n", b"\x80" * 4096)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """One machine for all; what a test does to it is undone."""
    return working(tmp_path_factory.mktemp("machine") / "root")


@pytest.fixture(scope="module")
def files(machine: Machine) -> list[Path]:
    return sorted(path for path in machine.root.rglob("*") if path.is_symlink() or path.is_file())


@contextmanager
def damaged(machine: Machine, path: Path, kind: str, content: bytes, number: int = 0) -> Iterator[None]:
    """A file or link gone, a folder in its place, other bytes in it, or only its beginning left."""
    kept = machine.root.with_name(f"kept-{number}")  # not in a folder that is looked at
    path.rename(kept)
    if kind == "folder":
        path.mkdir()
    elif kind == "bytes":
        path.write_bytes(content)
    elif kind == "cut" and kept.is_file() and not kept.is_symlink():
        path.write_bytes(kept.read_bytes()[: len(content)])
    elif kind == "loop":
        path.symlink_to(path.name)
    try:
        yield
    finally:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        kept.rename(path)


@pytest.mark.parametrize(("layer", "path"), DECIDES)
def test_a_layer_never_passes_without_what_decides(machine: Machine, layer: str, path: str) -> None:
    assert finding(machine, layer).status == "pass"
    node = path.startswith("/dev/nvidia")
    damages = [("folder", b""), ("loop", b"")] + [("bytes", content) for content in GARBAGE if not node]
    for kind, content in damages:
        with damaged(machine, machine.path(path), kind, content):
            assert finding(machine, layer).status != "pass", (kind, content)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_whatever_is_damaged_there_is_a_finding(machine: Machine, files: list[Path], data: st.DataObject) -> None:
    _damage(machine, files, data, 1)


@pytest.mark.full
@settings(max_examples=1000, deadline=None)
@given(st.data())
def test_three_things_damaged_at_once(machine: Machine, files: list[Path], data: st.DataObject) -> None:
    _damage(machine, files, data, 3)


def _damage(machine: Machine, files: list[Path], data: st.DataObject, count: int) -> None:
    with ExitStack() as stack:
        for number in range(count):
            path = data.draw(st.sampled_from(files), "path")
            kind = data.draw(st.sampled_from(["gone", "folder", "bytes", "cut", "loop"]), "kind")
            content = data.draw(st.binary(max_size=300), "content")
            if os.path.lexists(path):
                stack.enter_context(damaged(machine, path, kind, content, number))
        for layer in LAYERS:
            found = finding(machine, layer)
            assert found.status in ("pass", "warn", "fail", "skip") and found.summary
            assert found.status in ("pass", "skip") or found.evidence or found.remedy


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whole_folders_may_be_hidden(machine: Machine, data: st.DataObject) -> None:
    folders = sorted(path for path in machine.root.rglob("*") if path.is_dir() and not path.is_symlink())
    path = data.draw(st.sampled_from(folders), "path")
    kind = data.draw(st.sampled_from(["gone", "folder", "bytes", "loop"]), "kind")
    with damaged(machine, path, kind, b"x"):
        statuses = {layer: finding(machine, layer).status for layer in LAYERS}
    if machine.path(CARD).is_relative_to(path):
        assert statuses["pci"] != "pass"
    if path == machine.path("/proc"):
        assert statuses["module"] == statuses["nouveau"] == "skip"
