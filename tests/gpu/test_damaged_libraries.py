"""Libraries and headers with damaged bytes: named, or read in spite of it, and never passed unread."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from gpu.stub_host import SYSTEM, Host, real
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from iblvideo_admin.gpu import cudnn, elf
from iblvideo_admin.gpu.checks import libraries
from iblvideo_admin.gpu.libraries import CACHE


@pytest.fixture(scope="module")
def harmed(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """One host for many corruptions: each is undone before the next."""
    folder = tmp_path_factory.mktemp("harmed") / "host"
    shutil.copytree(template, folder, symlinks=True)
    return Host(folder)


def corrupted(content: bytes, changes: list[tuple[float, bytes]], length: float) -> bytes:
    """Some bytes overwritten, in the headers above all, and the end cut off."""
    new = bytearray(content)
    for where, what in changes:
        at = int(where**4 * len(new))
        new[at : at + len(what)] = what
    return bytes(new[: int(length * len(new))])


DAMAGED = {
    "libcudart": "root/usr/local/cuda-10.0/lib64/libcudart.so.10.0",
    "libcudnn": "root/usr/local/cuda-10.0/lib64/libcudnn.so.7",
    "libcuda": f"root/{SYSTEM}/libcuda.so.1",
    "framework": f"env/lib/python3.7/site-packages/tensorflow/{libraries.TENSORFLOW[0]}",
    "pywrap": f"env/lib/python3.7/site-packages/tensorflow/{libraries.TENSORFLOW[1]}",
    "header": "root/usr/local/cuda-10.0/include/cudnn.h",
    "version": "root/usr/local/cuda-10.0/version.txt",
    "cache": f"root{CACHE}",
    "conf": "root/etc/ld.so.conf",
}

damages = {
    "what": st.sampled_from(sorted(DAMAGED)),
    "changes": st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=12)), max_size=4),
    "length": st.sampled_from([1.0, 1.0, 1.0, 0.99, 0.7, 0.1, 0.0]),
}


def never_passes_unread(host: Host, what: str, changes: list[tuple[float, bytes]], length: float) -> None:
    host.cached({"libcuda.so.1": f"/{SYSTEM}/libcuda.so.1", "libz.so.1": "/lib/libz.so.1"})
    host.write("/etc/ld.so.conf", "include /etc/ld.so.conf.d/*.conf\n/usr/local/lib\n")
    path = real(host.folder / DAMAGED[what])
    content = path.read_bytes()
    try:
        path.write_bytes(corrupted(content, changes, length))
        found = host.check()
        assert found.status in ("pass", "warn", "fail", "skip")
        if found.status != "pass":
            return
        if what == "header":
            assert cudnn.header_version(host.cuda) == 7605
        elif what == "version":
            assert path.read_bytes().strip().startswith(b"CUDA Version 10.0.")
        elif what in ("framework", "pywrap"):
            assert length == 1.0 and elf.read(path)
        elif what.startswith("lib"):
            assert length == 1.0 and elf.read(path).soname == Path(DAMAGED[what]).name
    finally:
        path.write_bytes(content)


slow = [HealthCheck.too_slow]


@hypothesis_settings(max_examples=30, deadline=None, suppress_health_check=slow)
@given(**damages)
def test_what_is_damaged_never_passes_unread(harmed: Host, what: str, changes: list, length: float) -> None:
    never_passes_unread(harmed, what, changes, length)


@pytest.mark.full
@pytest.mark.timeout(900)
@hypothesis_settings(max_examples=1000, deadline=None, suppress_health_check=slow)
@given(**damages)
def test_a_thousand_damages(harmed: Host, what: str, changes: list, length: float) -> None:
    never_passes_unread(harmed, what, changes, length)


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=slow)
@given(changes=damages["changes"], length=st.floats(0, 1))
def test_damaged_headers_are_one_kind_of_error(harmed: Host, changes: list, length: float) -> None:
    path = harmed.folder / "damaged.so"
    path.write_bytes(corrupted(real(harmed.lib64 / "libcublas.so.10.0").read_bytes(), changes, length))
    with suppress(elf.BrokenLibraryError):
        assert elf.read(path)
