"""What goes wrong on the way to CUDA and cuDNN: one sentence that helps, and a run that completes once it is mended."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e.provision.faulty import Faulty
from stand_ins.provision import cudnn_archive, download_server, ibl_server

pytestmark = [pytest.mark.xdist_group("hosts"), pytest.mark.timeout(1200)]
full = pytest.mark.full

WRONG = "wrong one"


def test_two_faults_are_named_and_mended(faulty: Callable[..., Faulty]) -> None:
    place = faulty(cuda_verisons=["10.0"])
    place.fails("cuda_verisons is no variable of these roles: did you mean cuda_versions? Change the inventory.")
    del place.site.variables["cuda_verisons"]
    wrong = {
        "10.0": {
            **place.makers.definitions["10.0"],
            "cuda": {**place.makers.definitions["10.0"]["cuda"], "sha256": "0" * 64},
        }
    }
    place.site.change(cuda_definitions=wrong)
    place.fails("CUDA 10.0 could not be fetched from", f"wanted is {'0' * 64}", "cuda_definitions['10.0'].cuda")
    assert place.ls("/usr/local/cuda-10.0") == [] and place.ls("/opt/iblvideo/downloads") == []
    place.site.change(cuda_definitions=place.makers.definitions)
    place.completes()
    print(place.seconds)


@full
def test_another_cudnn_than_was_wanted(faulty: Callable[..., Faulty], tmp_path: Path) -> None:
    place = faulty()
    other = cudnn_archive.make(tmp_path / "other", header="7.4.2")
    definitions = {"10.0": {**place.makers.definitions["10.0"]}}
    definitions["10.0"]["cudnn"] = {**definitions["10.0"]["cudnn"], "sha256": "1" * 64}
    place.fails(
        "cuDNN 7.6.5.32 could not be fetched from", f"wanted is {'1' * 64}", "cudnn_url", cuda_definitions=definitions
    )
    # the checksum is right, and the archive holds another version all the same
    place.makers.server.publish(place.path("10.0", "cudnn"), other)
    definitions["10.0"]["cudnn"]["sha256"] = hashlib.sha256(other.read_bytes()).hexdigest()
    place.fails(
        "cuDNN in /usr/local/cuda-10.0 is not 7605: its header says 7402, its library 7605. Remove include/cudnn*.h",
        cuda_definitions=definitions,
    )
    place.makers.server.publish(place.path("10.0", "cudnn"), place.makers.server.file(ibl_server.CUDNN))
    place.completes()
    assert place.run().changes() == []


@full
def test_a_connection_that_is_cut(faulty: Callable[..., Faulty]) -> None:
    place = faulty()
    server, path = place.makers.server, place.path("10.0", "cuda")
    server.faults[path] = download_server.cut(1000)
    place.fails(
        "CUDA 10.0 could not be fetched from", "the connection was lost after 4000 of", "Run the playbook again"
    )
    server.faults[path] = download_server.cut(10_000, times=2)
    place.completes()
    assert [request.range for request in server.asked(path)][4:] == ["bytes=4000-", "bytes=14000-", "bytes=24000-"]


@full
def test_what_a_server_answers(faulty: Callable[..., Faulty]) -> None:
    place = faulty()
    server, path = place.makers.server, place.path("10.0", "cuda")
    server.faults[path] = download_server.missing()
    place.fails(
        "CUDA 10.0 could not be fetched from", path, "the server answered 404.", "cuda_definitions['10.0'].cuda.url"
    )
    assert len(server.asked(path)) == 1
    server.faults[path] = download_server.unavailable()
    place.fails("the server answered 503.", "Run the playbook again when the server answers")
    server.faults[path] = download_server.html()
    place.fails("it is a web page", "cuda_definitions['10.0'].cuda.url")
    server.faults[path] = download_server.unavailable(times=2)
    place.completes()
    assert [request.status for request in server.asked(path)][-3:] == [503, 503, 200]


@full
def test_the_login_of_the_ibls_server(faulty: Callable[..., Faulty]) -> None:
    place = faulty(cudnn_from="ibl")
    server = place.makers.server
    place.site.change(data_server_url=server.base + "/")
    place.fails("cudnn_from is ibl", "data_server_user is empty", "ansible-vault create", "cudnn_from=nvidia")
    place.site.change(data_server_user=ibl_server.USER)
    place.fails("cudnn_from is ibl", "data_server_password is empty")
    place.site.change(data_server_password=WRONG)
    said = place.fails(
        "cuDNN 7.6.5.32 could not be fetched from", "the server answered 401.",
        f"data_server_user is {ibl_server.USER}", "Set data_server_user and data_server_password (in a vault)",
    )  # fmt: skip
    assert WRONG not in said.text
    place.site.change(data_server_password=ibl_server.PASSWORD)
    place.completes()
    assert [(request.status, request.user) for request in server.asked(ibl_server.CUDNN)] == [
        (401, ibl_server.USER),
        (200, ibl_server.USER),
    ]
    others = [request for request in server.log if not request.path.startswith("/resources/")]
    assert others and all(request.user is None for request in others), "the login went to others"
    place.fails("cudnn_from is elsewhere; wanted is nvidia or ibl", cudnn_from="elsewhere")


@full
def test_no_room_for_downloads(faulty: Callable[..., Faulty]) -> None:
    place = faulty()
    place.sh("mkdir /opt/iblvideo && mount -t tmpfs -o size=16k,mode=755 small /opt/iblvideo")
    place.fails(
        "/opt/iblvideo would have 0.0 GB free, base_min_free_gb wants 10",
        "set iblvideo_prefix to a folder on a larger disk",
    )
    place.fails(
        "CUDA 10.0 could not be fetched from", "No space left on device",
        "Make room on the disk of /opt/iblvideo/downloads", base_min_free_gb=0,
    )  # fmt: skip
    assert place.ls("/opt/iblvideo/downloads") == [] and place.ls("/usr/local/cuda-10.0") == []
    place.sh("mount -o remount,size=64k /opt/iblvideo")
    place.fails(
        "CUDA 10.0 could not be installed into /usr/local/cuda-10.0", "No space left on device",
        "Make room on the disks of /usr/local/cuda-10.0 and /opt/iblvideo/downloads", base_min_free_gb=0,
    )  # fmt: skip
    assert place.ls("/opt/iblvideo/downloads") == [] and not place.there("/usr/local", "cuda-10.0")
    place.sh("mount -o remount,size=500m /opt/iblvideo")
    place.completes(base_min_free_gb=0.1)


@full
def test_words_of_the_inventory(faulty: Callable[..., Faulty]) -> None:
    place = faulty(weights_remote_src=True)
    place.fails("weights_remote_src is called weights_on_host now. Change the inventory.")
    place.fails(
        "cuda_verisons",
        "did you mean cuda_versions?",
        "weights_remote_src is called weights_on_host now",
        cuda_verisons=[],
    )
    del place.site.variables["weights_remote_src"]
    place.site.change()
    place.fails("cuda_versions names 9.9; known are 10.0, 11.8.", "cuda_definitions", cuda_versions=["10.0", "9.9"])
    place.fails("cuda_versions names 9.9; known are 10.0, 11.8.", cuda_versions="9.9")
    half = {"12.4": {"cuda": {"root": "/usr/local/cuda-12.4", "url": "http://x"}}}
    place.fails(
        "cuda_definitions['12.4'].cuda lacks release, file, sha256", cuda_versions=["12.4"], cuda_definitions=half
    )
    place.fails(
        "one_alyx_login is lab_server, but one_alyx_password is empty: put it into a vault",
        tags=("--tags", "base,one"), one_alyx_login="lab_server",
    )  # fmt: skip
    place.fails(
        "one_alyx_url is alyx.example.org; wanted is an address",
        tags=("--tags", "base,one"), one_alyx_login="lab_server", one_alyx_password=WRONG,
        one_alyx_url="alyx.example.org",
    )  # fmt: skip
    place.completes(cuda_versions="10.0")
    print(place.seconds)
