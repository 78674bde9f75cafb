"""The IBL's server and Python's source: what lies where, what they want, what they leave out."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import pytest
from stand_ins.provision import ibl_server, python_source

from iblvideo_admin.demo import WEIGHTS


@pytest.mark.skipif(shutil.which("cc") is None, reason="SKIPPED: there is no C compiler to make stubs with")
def test_the_ibls_server(tmp_path: Path) -> None:
    login = base64.b64encode(f"{ibl_server.USER}:{ibl_server.PASSWORD}".encode()).decode()
    with ibl_server.serve(ibl_server.lay_out(tmp_path)) as server:

        def get(path: str, **headers: str) -> bytes:
            request = urllib.request.Request(server.url(path), headers=headers)  # noqa: S310  it is the server's own
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  the same
                return answer.read()

        with pytest.raises(urllib.error.HTTPError, match="401"):
            get(ibl_server.CUDNN)
        assert get(ibl_server.CUDNN, Authorization=f"Basic {login}")[:2] == b"\x1f\x8b"
        content = get(ibl_server.NETWORKS, Authorization=f"Basic {login}")
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    assert {name.split("/")[1] for name in names} == {path.name for path in WEIGHTS.iterdir() if path.is_dir()}
    assert ibl_server.networks(tmp_path / "weights_v2.1.zip") == hashlib.sha256(content).hexdigest()


@pytest.mark.skipif(any(shutil.which(name) is None for name in ("make", "cc")), reason="SKIPPED: no make, no compiler")
class TestPythonsSource:
    """Built for a folder in place of /, whose headers decide what is in it."""

    def build(self, folder: Path, *steps: str, fails: python_source.Fails = "", headers: str = "") -> tuple[int, str]:
        archive = python_source.make(folder, target=sys.executable, fails=fails)
        subprocess.run(["/usr/bin/env", "tar", "-xf", archive, "-C", folder], check=True)
        for header in headers.split():
            (folder / "root/usr/include" / header).parent.mkdir(parents=True, exist_ok=True)
            (folder / "root/usr/include" / header).touch()
        line = " && ".join((f"./configure --prefix={folder}/made", *steps))
        done = subprocess.run(["/bin/sh", "-c", line], cwd=folder / "Python-3.7.17", capture_output=True, text=True,
                              check=False, env=os.environ | {"STAND_IN_ROOT": str(folder / "root")})  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    ALL = "openssl/ssl.h zlib.h bzlib.h lzma.h x86_64-linux-gnu/ffi.h sqlite3.h readline/readline.h"

    def test_it_is_built(self, tmp_path: Path) -> None:
        code, said = self.build(tmp_path, "make -j2", "make altinstall", headers=self.ALL)
        assert (code, "not found" in said) == (0, False), said
        assert [path.name for path in (tmp_path / "made/bin").iterdir()] == ["python3.7"]
        asked = [tmp_path / "made/bin/python3.7", "-c", "import ssl, zlib; print('here')"]
        assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout == "here\n"
        assert self.build(tmp_path, "make install")[0] == 0
        assert (tmp_path / "made/bin/python3").exists()

    def test_without_zlibs_headers_it_cannot_be_installed(self, tmp_path: Path) -> None:
        code, said = self.build(tmp_path, "make", "make altinstall", headers="openssl/ssl.h")
        assert (code, "zlib not available" in said, (tmp_path / "made/bin/python3.7").exists()) == (2, True, False)

    def test_without_openssls_headers_there_is_no_ssl(self, tmp_path: Path) -> None:
        code, said = self.build(tmp_path, "make", "make altinstall", headers="zlib.h")
        assert (code, "_ssl" in said) == (0, True)
        asked = [tmp_path / "made/bin/python3.7", "-c", "import ssl"]
        assert "No module named '_ssl'" in subprocess.run(asked, capture_output=True, text=True, check=False).stderr

    @pytest.mark.parametrize("step", ["configure", "make", "install"])
    def test_a_step_that_fails(self, tmp_path: Path, step: python_source.Fails) -> None:
        code, _ = self.build(tmp_path, "make", "make altinstall", fails=step, headers=self.ALL)
        assert (code, (tmp_path / "made/bin/python3.7").exists()) == (77 if step == "configure" else 2, False)
