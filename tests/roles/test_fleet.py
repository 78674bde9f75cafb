"""What many servers say becomes one table, one document and one page; a server that does not answer is a row."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from reporting import sample
from roles.conftest import load

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def fleet() -> ModuleType:
    return load("roles/base/filter_plugins/fleet.py")


def said(**changes: Any) -> dict[str, Any]:
    return {"stdout": json.dumps({"schema": 1, "data": {**sample.snapshot(), **changes}, "errors": []}), "stderr": ""}


def hostvars(fleet: ModuleType, **results: dict[str, Any]) -> dict[str, Any]:
    return {name: {"__iblvideo_admin_fleet": fleet.fleet_answer(result)} for name, result in results.items()}


@pytest.mark.parametrize(
    ("result", "why"),
    [
        ({"unreachable": True, "msg": "Failed to connect to the host via ssh: no route"}, "no route"),
        ({"stdout": "", "stderr": "sudo: a password is required\n"}, "sudo: a password is required"),
        ({"stdout": "[]"}, "it does not answer"),
        ({"stdout": "null", "msg": "x\ny"}, "y"),
        ({"stdout": '{"data": {"host": "old"}, "errors": []}'}, "nothing that this version understands"),
        (
            {"stdout": '{"data": {}, "errors": [{"code": "settings.invalid", "message": "bad"}]}'},
            "settings.invalid: bad",
        ),
        ({}, "it does not answer"),
    ],
)
def test_a_server_that_says_nothing_of_use(fleet: ModuleType, result: dict[str, Any], why: str) -> None:
    answer = fleet.fleet_answer(result)
    assert not answer["answers"] and why in answer["why"]


def test_the_table(fleet: ModuleType) -> None:
    known = hostvars(fleet, good=said(attention=[]), bad=said(attention=["a\nb", "c"]), gone={"msg": "no route"})
    lines = fleet.fleet_table([*known, "never"], {**known, "never": {}})
    assert lines[0].split() == ["server", "check-gpu", "toolchain", "service", "waiting", "running", "failed", "free",
                                "attention"]  # fmt: skip
    assert lines[1].split() == ["good", "fail", "dlc-tf1-cuda10.0", "active", "12", "2", "2", "66", "GB", "0"]
    assert lines[3].split() == ["gone", "no", "answer", "1"] and lines[4].startswith("never")
    assert lines[5:] == ["bad: a\\nb", "bad: c", "gone: no route", "never: it does not answer"]


def test_the_document(fleet: ModuleType) -> None:
    known = hostvars(fleet, good=said(), gone={})
    document = json.loads(fleet.fleet_json(list(known), known, now=5.0))
    assert document["schema"] == 1 and document["time"] == 5.0
    assert document["servers"]["good"]["data"]["queue"]["Waiting"] == 12
    assert document["servers"]["gone"] == {"answers": False, "data": None, "why": "it does not answer"}


def test_the_page_escapes_everything(fleet: ModuleType) -> None:
    hostile = "<script>window.hacked=1</script>"
    known = hostvars(fleet, good=said(attention=[hostile]), gone={"msg": hostile})
    page = fleet.fleet_page(list(known), known, now=sample.NOW)
    assert hostile not in page and page.count("&lt;script&gt;window.hacked=1&lt;/script&gt;") == 2
    assert "2 of 2 need somebody" in page and "http://" not in page and "https://" not in page
    quiet = hostvars(fleet, good=said(attention=[]))
    assert "Nothing needs you" in fleet.fleet_page(["good"], quiet)


def test_the_playbook_with_a_server_that_is_gone(tmp_path: Path) -> None:
    command = tmp_path / "bin/iblvideo-admin"
    command.parent.mkdir()
    (tmp_path / "answer.json").write_text(said(attention=["job 1 failed"])["stdout"])
    command.write_text(f"#!/bin/sh\n[ \"$*\" = 'status --json' ] && cat {tmp_path}/answer.json; exit 1\n")
    command.chmod(0o755)
    (tmp_path / "inventory").write_text(
        "[iblvideo_servers]\n"
        f"here ansible_connection=local ansible_python_interpreter={sys.executable}\n"
        'gone ansible_host=127.0.0.1 ansible_port=9 ansible_ssh_common_args="-o ConnectTimeout=2"\n'
        "[iblvideo_servers:vars]\nbase_create_accounts=false\n"
        f"iblvideo_bin_dir={command.parent}\n"
    )
    words = ["-i", tmp_path / "inventory", ROOT / "playbooks/status.yml"]
    words += ["-e", f"status_json={tmp_path}/out/s.json", "-e", f"status_html={tmp_path}/out/s.html"]
    play = [Path(sys.executable).with_name("ansible-playbook"), *words]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(play, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "gone    no answer" in done.stdout and "here: job 1 failed" in done.stdout
    servers = json.loads((tmp_path / "out/s.json").read_text())["servers"]
    assert servers["here"]["answers"] and not servers["gone"]["answers"] and "refused" in servers["gone"]["why"]
    assert "job 1 failed" in (tmp_path / "out/s.html").read_text()
    strict = subprocess.run([*play, "-e", "status_strict=true"], cwd=ROOT, env=environment, capture_output=True,
                            text=True, check=False)  # fmt: skip
    assert strict.returncode == 2 and "needs somebody" in strict.stdout
