"""Passwords: in no output, on no command line, and in no file that others can read."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from e2e.provision.faulty import Faulty
from stand_ins.provision import ibl_server

from iblvideo_admin.demo import WEIGHTS

pytestmark = [pytest.mark.full, pytest.mark.xdist_group("hosts"), pytest.mark.timeout(1200)]

ROOT = Path(__file__).resolve().parents[3]
DATA, ALYX = "d4ta-of-the-server-7Zq", "alyx-of-the-lab-9Xw"  # of no server, and of no Alyx
# What runs on a host is seen from here, too.
SAMPLER = """
import json, os, sys, threading, time
words = [word.encode() for word in sys.argv[1:]]
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
found, seen, rounds, me = set(), set(), 0, str(os.getpid())
while not ended.wait(0.02):
    rounds += 1
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if pid == me:
            continue
        for name in ("cmdline", "environ"):
            try:
                with open("/proc/" + pid + "/" + name, "rb") as file:
                    text = file.read()
            except OSError:
                continue
            if name == "cmdline":
                seen.add(text.replace(b"\\0", b" ").decode("utf-8", "replace")[:200])
            if any(word in text for word in words):
                found.add(name + " of " + text.replace(b"\\0", b" ").decode("utf-8", "replace")[:300])
print(json.dumps({"found": sorted(found), "seen": sorted(seen), "rounds": rounds}))
"""


@contextmanager
def sampled(*words: str) -> Iterator[dict[str, list[str]]]:
    """Command lines and environments of all processes, every 20 ms; what is found is there at the end."""
    said: dict[str, list[str]] = {}
    # the words are on the sampler's own command line, which it leaves out
    with subprocess.Popen(
        [sys.executable, "-c", SAMPLER, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield said
        said.update(json.loads(process.communicate()[0]))


def test_nobody_else_learns_a_password(faulty: Callable[..., Faulty], tmp_path: Path) -> None:
    place = faulty(
        cudnn_from="ibl", weights_source="", weights_version="2.1", data_server_user="lab-of-us",
        data_server_password=DATA, one_alyx_login="lab_server", one_alyx_password=ALYX,
    )  # fmt: skip
    server = place.makers.server
    server.logins["/resources/"] = ("lab-of-us", DATA)
    archive = tmp_path / "weights_v2.1.zip"
    ibl_server.networks(archive, WEIGHTS)
    server.publish(ibl_server.NETWORKS, archive)
    place.site.variables.pop("weights_name")
    place.site.change(data_server_url=server.base)
    with sampled(DATA, ALYX) as processes:
        first = place.run("-vvv", "--tags", "base,cuda,cudnn,weights,one").good()
        # and where it goes wrong
        wrong = place.run("-vvv", "--tags", "one", one_cache_dir="/data", one_alyx_url="x").failed()
        place.sh("rm -r /usr/local/cuda-10.0/lib64/libcudnn*")
        server.logins["/resources/"] = ("lab-of-us", "changed meanwhile")
        refused = place.run("-vvv", "--tags", "cudnn").failed("the server answered 401")
        again = place.run("-vvv", "--tags", "one").good()
    assert again.changes() == []
    for said in (first, wrong, refused, again):
        for word in (DATA, ALYX, base64.b64encode(f"lab-of-us:{DATA}".encode()).decode()):
            assert word not in said.text
    assert int(str(processes["rounds"])) > 100
    assert any(line.startswith("sudo -H -S -n") for line in processes["seen"]), "the host's own processes were not seen"
    assert any("cuda" in line and "--toolkitpath" in line for line in processes["seen"])
    assert processes["found"] == []

    hits = place.sh(
        f"grep -rlIF -e {DATA} -e {ALYX} / --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev 2>/dev/null; "
        f"grep -rlF -e {DATA} -e {ALYX} /var/log /run /tmp /root /home /etc /opt 2>/dev/null || :"
    ).split()
    assert {re.sub(r"/[^/]*$", "", hit) for hit in hits} == {"/var/lib/iblvideo-admin/.one"}
    for hit in hits:
        modes = place.sh(f"stat -c '%a %U' {hit} $(dirname {hit})").split("\n")[:2]
        assert modes == ["600 iblvideo", "700 iblvideo"], (hit, modes)
    assert place.host.ssh("sudo", "-u", "nobody", "ls", "/var/lib/iblvideo-admin/.one", check=False).returncode != 0
    here = [path for path in place.site.folder.rglob("*") if path.is_file() and path.name != "inventory.yml"]
    assert [path for path in here if any(word.encode() in path.read_bytes() for word in (DATA, ALYX))] == []


def test_the_command_lines_settings_have_no_password() -> None:
    """The configuration is readable by everybody."""
    for path in (ROOT / "roles/iblvideo_admin").rglob("*"):
        if path.suffix in (".j2", ".yml"):
            assert not re.search(r"one_alyx_password|data_server_password", path.read_text()), path
