"""What somebody made by hand where ours would be: refused, then adopted as it is, and left there in the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from e2e.provision.faulty import MARKER, Faulty
from stand_ins.provision import cuda_toolkit, cudnn_archive
from stand_ins.provision.cuda_toolkit import CUDA_10_0

from iblvideo_admin import toolchains

pytestmark = [pytest.mark.full, pytest.mark.xdist_group("hosts"), pytest.mark.timeout(1200)]

CUDA = "/usr/local/cuda-10.0"
HABIT = "/home/deploy/Documents/PYTHON/envs/dlc"
ENVS = "/opt/iblvideo/envs/dlc-tf1-cpu"
WORKS = """#!/bin/sh
[ "$PYTHONDONTWRITEBYTECODE" = 1 ] || touch "$(dirname "$0")/compiled"
echo 'PROOF {"problems": []}'
"""
BROKEN = "#!/bin/sh\necho 'ImportError: libcublas.so.10.0: cannot open shared object file' >&2\nexit 1\n"


def toolkit_by_hand(place: Faulty, tmp_path: Path, cudnn: cudnn_archive.Release | None) -> None:
    """As the guide of the time had it."""
    cuda_toolkit.install(CUDA_10_0, place.host.root / CUDA.lstrip("/"))
    if cudnn:
        archive = cudnn_archive.make(tmp_path / cudnn.version, cudnn)
        (place.host.root / "srv" / archive.name).write_bytes(archive.read_bytes())
        place.sh(
            f"cd /srv && tar -xzf {archive.name} && cp -P cuda/include/cudnn.h {CUDA}/include && "
            f"cp -P cuda/lib64/libcudnn* {CUDA}/lib64 && rm -r cuda {archive.name}"
        )
    place.sh(f"touch {CUDA}/of-a-colleague && ln -s cuda-10.0 /usr/local/cuda")


def only_the_marker(before: list[str], after: list[str], folder: str) -> None:
    """The folder's own time and size change as something is put into it; nothing else does."""
    assert [
        line for line in after if line not in before and not line.startswith((f"{folder}/{MARKER} ", f"{folder} "))
    ] == []
    kept = [line for line in before if not line.startswith(f"{folder} ")]
    assert [line for line in kept if line not in after] == []
    owner = {line.split()[1:4] == other.split()[1:4] for line in before for other in after
             if line.startswith(f"{folder} ") and other.startswith(f"{folder} ")}  # fmt: skip
    assert owner == {True}


def test_a_toolkit_with_its_cudnn(faulty: Callable[..., Faulty], tmp_path: Path) -> None:
    place = faulty()
    toolkit_by_hand(place, tmp_path, cudnn_archive.CUDNN_7_6_5)
    before = place.everything("/usr/local/cuda", CUDA)
    place.fails(f"path.taken: {CUDA} exists and was not installed by iblvideo-admin. Set adopt=true")
    assert place.everything("/usr/local/cuda", CUDA) == before
    place.site.change(adopt=True)
    place.run().good()
    only_the_marker(before, place.everything("/usr/local/cuda", CUDA), CUDA)
    assert place.marker() == {"release": "10.0.130", "state": "adopted"}
    assert place.makers.server.log == [], "something was fetched"
    assert place.run(adopt=False).good().changes() == [], "once adopted, it stays so"
    place.uninstall()
    after = [line for line in place.everything("/usr/local/cuda", CUDA) if not line.startswith(f"{CUDA} ")]
    assert after == [line for line in before if not line.startswith(f"{CUDA} ")]


def test_a_toolkit_without_cudnn_gets_ours_and_nothing_else(faulty: Callable[..., Faulty], tmp_path: Path) -> None:
    place = faulty(adopt=True)
    toolkit_by_hand(place, tmp_path, None)
    before = place.everything("/usr/local/cuda", CUDA)
    place.run().good()
    folders = (f"{CUDA} ", f"{CUDA}/include ", f"{CUDA}/lib64 ")
    after = place.everything("/usr/local/cuda", CUDA)
    assert [line for line in before if line not in after and not line.startswith(folders)] == []
    added = {
        line.split()[0].removeprefix(f"{CUDA}/")
        for line in after
        if line not in before and not line.startswith(folders)
    }
    assert added == {
        MARKER, "include/cudnn.h",
        *(f"lib64/libcudnn{end}" for end in (".so", ".so.7", ".so.7.6.5", "_static.a")),
    }  # fmt: skip
    assert place.run().good().changes() == []
    assert f"{CUDA} is not ours and stays as it is, with the cuDNN that may have been added" in place.uninstall().words
    assert place.there(CUDA, "libcudnn.so.7") and not place.there(CUDA, MARKER)


def test_a_toolkit_with_another_cudnn_is_not_touched(faulty: Callable[..., Faulty], tmp_path: Path) -> None:
    place = faulty(adopt=True)
    toolkit_by_hand(place, tmp_path, cudnn_archive.seven("7.4.2.24"))
    before = place.everything("/usr/local/cuda", CUDA)
    place.fails(
        f"path.taken: {CUDA} is not ours, and its cuDNN is 7402 (header 7402), not 7605",
        "remove its cudnn files by hand, or move the toolkit away",
    )
    only_the_marker(before, place.everything("/usr/local/cuda", CUDA), CUDA)


def test_an_incomplete_toolkit_is_not_adopted(faulty: Callable[..., Faulty], tmp_path: Path) -> None:
    place = faulty(adopt=True)
    toolkit_by_hand(place, tmp_path, None)
    place.sh(f"cd {CUDA}/lib64 && rm libcufft.so.10.0 libcurand.so.10.0.130 && echo text >libcusparse.so.10.0.130")
    before = place.everything("/usr/local/cuda", CUDA)
    place.fails(
        f"{CUDA} lacks lib64/libcufft.so.10.0: not there; lib64/libcurand.so.10.0: a link to nothing; "
        "lib64/libcusparse.so.10.0: no library. So it cannot be adopted: move it away",
    )
    assert place.everything("/usr/local/cuda", CUDA) == before
    place.sh(f"mv {CUDA} {CUDA}.old")
    place.completes()
    assert place.there(f"{CUDA}.old", "of-a-colleague")


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_an_environment_by_hand(faulty: Callable[..., Faulty], kind: str) -> None:
    place = faulty(dlc_env_links=[HABIT])
    ours_is_ready(place)
    folder = HABIT if kind == "folder" else "/home/deploy/miniconda3/envs/dlc"
    place.host.ssh("mkdir", "-p", f"{folder}/bin", str(Path(HABIT).parent))
    place.host.ssh("sh", "-ec", f"cat >{folder}/bin/python && chmod 755 {folder}/bin/python", input=WORKS)
    if kind == "link":
        place.host.ssh("ln", "-s", folder, HABIT)
    tags = ("--tags", "base,dlc")
    before = place.everything("/home/deploy")
    place.fails(f"path.taken: {HABIT} exists and is no link of iblvideo-admin", "set adopt=true", tags=tags)
    assert place.everything("/home/deploy") == before
    place.site.change(adopt=True)
    said = place.run(*tags).good()
    assert f"{HABIT} was adopted: it stays as it is. It works. The service uses {ENVS}/current." in said.words
    only_the_marker(before, place.everything("/home/deploy"), folder)
    assert place.sh(f"readlink {ENVS}/current").strip() == LOCK[:12]
    assert place.run(*tags, adopt=False).good().changes() == [], "once adopted, it stays so"
    place.uninstall()
    only_the_marker(before, place.everything("/home/deploy"), folder)


def test_an_environment_by_hand_that_does_not_work(faulty: Callable[..., Faulty]) -> None:
    place = faulty(dlc_env_links=[HABIT], adopt=True)
    ours_is_ready(place)
    tags = ("--tags", "base,dlc")
    place.host.ssh("mkdir", "-p", HABIT)
    before = place.everything("/home/deploy")
    place.fails(f"path.taken: {HABIT} cannot be adopted, as it is no environment (there is no bin/python)", tags=tags)
    place.host.ssh("sh", "-ec", f"rmdir {HABIT} && ln -s /nowhere {HABIT}")
    place.fails(f"path.taken: {HABIT} cannot be adopted, as it is no environment", tags=tags)
    assert place.sh(f"readlink {HABIT}") == "/nowhere\n"
    place.host.ssh(
        "sh",
        "-ec",
        f"rm {HABIT} && mkdir -p {HABIT}/bin && cat >{HABIT}/bin/python && chmod 755 {HABIT}/bin/python",
        input=BROKEN,
    )
    before = place.everything("/home/deploy")
    said = place.run(*tags).good()
    assert "It does not work: its Python ended with 1: ImportError: libcublas.so.10.0: cannot open" in said.words
    only_the_marker(before, place.everything("/home/deploy"), HABIT)


def test_a_command_of_that_name_is_not_overwritten(faulty: Callable[..., Faulty]) -> None:
    place = faulty()
    ours_is_ready(place)
    place.sh("echo 'exec dlc of the lab' >/usr/local/bin/dlc; chmod 2775 /usr/local/bin")
    place.fails(
        "path.taken: /usr/local/bin/dlc exists and was not written by iblvideo-admin", tags=("--tags", "base,dlc")
    )
    place.sh("rm /usr/local/bin/dlc")
    place.run("--tags", "base,dlc").good()
    assert place.sh("stat -c %a /usr/local/bin") == "2775\n", "a folder that is there keeps its mode"


LOCK = toolchains.load("dlc-tf1-cpu").lock_sha256()


def ours_is_ready(place: Faulty) -> None:
    """Building the real one takes two minutes, and is proven elsewhere."""
    env = f"{ENVS}/{LOCK[:12]}"
    place.sh(
        f"mkdir -p {env}/bin && ln -s /usr/bin/python3 {env}/bin/python && "
        f"""echo '{{"state": "proven", "key": "{LOCK}", "path": "{env}"}}' >{env}/{MARKER}"""
    )
