"""What servers say of themselves becomes one table, and a sentence for each that cannot track."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest

from iblvideo_admin.queue.whole_queue import Hold


def check(verdict: str = "pass", errors: list[dict[str, str]] | None = None, **data: Any) -> dict[str, Any]:
    answer = {"schema": 1, "command": "check-gpu", "exit_code": 0, "errors": errors or [],
              "data": {"verdict": verdict, "toolchain": "dlc-tf1-cuda10.0", **data}}  # fmt: skip
    return {"stdout": json.dumps(answer), "stderr": ""}


SMOKE = {"stdout": 'some noise\n{"result": "pass", "said": "30 frames in 2 s"}'}
ERROR = {"code": "gpu.lost", "message": "GPU 0 has fallen off the bus", "remedy": "restart the server"}


def test_a_good_server(servers: ModuleType) -> None:
    assert servers.server_state(check(), SMOKE, ["pass"], True) == {
        "verdict": "pass", "toolchain": "dlc-tf1-cuda10.0", "smoke": "pass: 30 frames in 2 s",
        "accepted": True, "why": "",
    }  # fmt: skip


def test_the_check_says_why_not(servers: ModuleType) -> None:
    state = servers.server_state(check("fail", [ERROR, ERROR | {"remedy": "x"}]), {"skipped": True}, ["pass"], True)
    assert not state["accepted"] and state["verdict"] == "fail"
    assert state["why"] == f"{ERROR['message']}: restart the server; {ERROR['message']}: x"
    assert state["smoke"] == "SKIPPED: check-gpu does not say pass"


def test_a_verdict_without_a_reason_is_named_all_the_same(servers: ModuleType) -> None:
    state = servers.server_state(check("unknown"), {"skipped": True}, ["pass", "warn"], True)
    assert state["why"] == "check-gpu: unknown (accepted: pass, warn)"


def test_accepted_is_what_verify_accept_says(servers: ModuleType) -> None:
    assert servers.server_state(check("unknown", [ERROR]), {"skipped": True}, ["pass", "unknown"], True)["accepted"]


def test_where_no_gpu_is_expected_unknown_is_skipped_and_fail_is_not(servers: ModuleType) -> None:
    state = servers.server_state(check("unknown", [ERROR]), {"skipped": True}, ["pass"], False)
    assert state["accepted"] and state["verdict"].startswith("SKIPPED: no GPU is expected")
    assert not servers.server_state(check("fail", [ERROR]), {"skipped": True}, ["pass"], False)["accepted"]


@pytest.mark.parametrize(("verdict", "statuses", "remembered", "wanted"), [
    ("unknown", ["skip", "skip"], True, "pass"),
    ("unknown", ["skip", "skip"], False, "unknown"),
    ("unknown", ["skip", "unknown"], True, "unknown"),
    ("unknown", [], True, "unknown"),
    ("fail", ["skip", "fail"], True, "fail"),
    ("pass", ["pass", "skip"], True, "pass"),
])  # fmt: skip
def test_where_no_quick_layer_applies_what_passed_before_counts(
    servers: ModuleType, verdict: str, statuses: list[str], remembered: bool, wanted: str
) -> None:
    answer = check(verdict, checks=[{"id": "pci", "status": status} for status in statuses])
    state = servers.server_state(answer, SMOKE, ["pass"], True, remembered)
    assert (state["verdict"], state["accepted"]) == (wanted, wanted == "pass")


@pytest.mark.parametrize(("smoke", "said"), [
    ({"stdout": '{"result": "fail", "said": "no table"}'}, "no table"),
    ({"stdout": "", "stderr": "Traceback\nKeyError: 1"}, "KeyError: 1"),
    ({"stdout": "nonsense", "msg": "non-zero return code"}, "non-zero return code"),
    ({}, "it does not answer"),
])  # fmt: skip
def test_tracking_that_fails_is_a_reason(servers: ModuleType, smoke: dict[str, str], said: str) -> None:
    state = servers.server_state(check(), smoke, ["pass"], True)
    assert not state["accepted"] and state["why"] == f"tracking a drawn mouse: {said}"
    assert state["smoke"] == f"fail: {said}"


@pytest.mark.parametrize(("answer", "said"), [
    ({"stdout": "", "stderr": "sudo: a password is required\n"}, "sudo: a password is required"),
    ({"stdout": "", "msg": "[Errno 2] No such file or directory: b'iblvideo-admin'"}, "[Errno 2] No such file"),
    ({"stdout": "Killed"}, "it does not answer"),
    ({"stdout": "", "stderr": "", "rc": 2, "msg": "Error executing command."},
     "iblvideo-admin cannot be run there (No such file or directory): provision it with site.yml"),
    ({"unreachable": True, "msg": "Failed to connect to the host via ssh: no route"},
     "it does not answer: Failed to connect to the host via ssh: no route"),
    ({"unreachable": True, "msg": 'Task failed: Data could not be sent to remote host "a". Make sure this host can be '
      "reached over ssh: ssh: connect to host a port 22: Connection refused"},
     "it does not answer: ssh: connect to host a port 22: Connection refused"),
    ({"stdout": "[]"}, "it does not answer"),
    ({"stdout": "null"}, "it does not answer"),
    ({"stdout": '{"data": null, "errors": null}'}, "check-gpu: none"),
])  # fmt: skip
def test_a_server_that_answers_nothing_of_use(servers: ModuleType, answer: dict[str, Any], said: str) -> None:
    state = servers.server_state(answer, {"skipped": True}, ["pass"], False)
    assert not state["accepted"] and state["verdict"] == "none" and said in state["why"], state


def test_an_error_without_data(servers: ModuleType) -> None:
    answer = {"schema": 1, "command": "check-gpu", "exit_code": 3, "data": None, "errors": [ERROR]}
    state = servers.server_state({"stdout": json.dumps(answer)}, {"skipped": True}, ["pass"], True)
    assert (state["verdict"], state["why"]) == ("none", f"{ERROR['message']}: restart the server")


def test_the_table_and_the_sentences(servers: ModuleType) -> None:
    hostvars = {
        "good": {"__iblvideo_admin_state": servers.server_state(check(), SMOKE, ["pass"], True)},
        "a-bad-one": {"__iblvideo_admin_state": servers.server_state(check("fail", [ERROR]), {}, ["pass"], True)},
        "gone": {},
    }
    hosts = list(hostvars)
    lines = servers.servers_table(hosts, hostvars)
    assert len(lines) == 4 and lines[0].split()[:3] == ["server", "check-gpu", "toolchain"]
    assert lines[1].startswith("good       pass       dlc-tf1-cuda10.0  pass: 30 frames")
    assert lines[3] == "gone       none"
    assert {line.index("pass") for line in lines[1:2]} == {lines[0].index("check-gpu")}
    wrong = servers.servers_wrong(hosts, hostvars)
    assert [line.split(":")[0] for line in wrong] == ["a-bad-one", "gone"]
    assert wrong[1] == "gone: it does not answer" and "restart the server" in wrong[0]
    assert servers.servers_wrong(["good"], hostvars) == []


@pytest.mark.parametrize(("stdout", "wanted"), [
    ('{"data": {"held": true, "running": [{"id": 1}, {"id": 2}]}}', (True, True, 2)),
    ('{"data": {"held": false, "running": []}}', (True, False, 0)),
    ('{"data": null}', (False, False, 0)), ("", (False, False, 0)), ("[]", (False, False, 0)),
    ('{"data": {}}', (False, False, 0)), ('{"data": {"held": false, "running": null}}', (False, False, 0)),
])  # fmt: skip
def test_the_status(servers: ModuleType, stdout: str, wanted: tuple[bool, bool, int]) -> None:
    found = servers.status_of({"stdout": stdout})
    assert (found["answers"], found["held"], found["running"]) == wanted
    assert servers.status_of({}) == {"answers": False, "held": False, "ours": False, "running": 0}


@pytest.mark.parametrize(
    ("held", "ours"),
    [
        (str(Hold("iblvideo", 5.0, "ansible-playbook is at work", 9.0)), True),
        (str(Hold("alice", 5.0, "new cards")), False),
        (str(Hold("alice", 5.0, "")), False),
        (None, False),
    ],
)
def test_a_hold_that_an_interrupted_run_left_is_known(servers: ModuleType, held: str | None, ours: bool) -> None:
    answer = {"stdout": json.dumps({"data": {"held": held, "running": []}})}
    assert servers.status_of(answer, "ansible-playbook is at work")["ours"] is ours
    assert not servers.status_of(answer)["ours"]


@pytest.mark.parametrize(("result", "wanted"), [
    ({"stdout": 'noise\r\nPROOF {"problems": []}\r\n', "rc": 0}, []),
    ({"stdout": '\nPROOF {"problems": ["import deeplabcut: x"]}\n', "rc": 1}, ["import deeplabcut: x"]),
    # over ssh both streams are one, and the other has ssh's farewell
    ({"stdout": "\r\nImportError: libcublas.so.10.0\r\n", "stderr": "Shared connection to a closed.\r\n", "rc": 1},
     ["its Python ended with 1: ImportError: libcublas.so.10.0"]),
    ({"stdout": "", "stderr": "a\nb\nc\nd\n", "rc": 2}, ["its Python ended with 2: b c d"]),
    ({"rc": 127, "msg": "non-zero return code"}, ["its Python ended with 127: non-zero return code"]),
    ({}, ["its Python ended with nothing: it said nothing"]),
])  # fmt: skip
def test_what_the_proof_of_an_environment_found(servers: ModuleType, result: dict[str, Any], wanted: list[str]) -> None:
    assert servers.proof_problems(result) == wanted


def test_ansible_finds_them(servers: ModuleType) -> None:
    named = servers.FilterModule().filters()
    assert set(named) == {
        "check_answer", "proof_problems", "server_state", "status_of", "servers_table", "servers_wrong",
    }  # fmt: skip
