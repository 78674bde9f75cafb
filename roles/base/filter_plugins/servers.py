"""Filters that turn what servers say of themselves into one table, and into the list of what is wrong."""

from __future__ import annotations

import json
import os
from typing import Any

_NO_ANSWER = {"verdict": "none", "toolchain": "", "smoke": "", "accepted": False}


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Any]:
        return {
            "check_answer": check_answer,
            "proof_problems": proof_problems,
            "server_state": server_state,
            "status_of": status_of,
            "servers_table": servers_table,
            "servers_wrong": servers_wrong,
        }


def check_answer(result: dict[str, Any]) -> dict[str, Any]:
    """The data of `check-gpu --json`, with its verdict (`none`: it did not answer) and its reasons as sentences."""
    try:
        answer = json.loads(result.get("stdout", ""))
        data = answer["data"] or {}
        reasons = [f"{error['message']}: {error['remedy']}" for error in answer["errors"] or []]
    except (ValueError, TypeError, KeyError):
        said = (result.get("stderr") or result.get("msg") or "").strip().split("\n")[-1]
        if result.get("unreachable"):  # Ansible's own words lead up to ssh's
            said = f"it does not answer: {said.partition(' over ssh: ')[2] or said}"
        elif said == "Error executing command." and result.get("rc"):  # its rc is then the error's number
            said = f"iblvideo-admin cannot be run there ({os.strerror(result['rc'])}): provision it with site.yml"
        return {"verdict": "none", "toolchain": "", "reasons": [said or "it does not answer"], "nothing_applies": False}
    return {
        "verdict": data.get("verdict", "none"),
        "toolchain": data.get("toolchain", ""),
        "reasons": reasons,
        "nothing_applies": {check["status"] for check in data.get("checks", [])} == {"skip"},
    }


def proof_problems(result: dict[str, Any]) -> list[str]:
    """What prove_environment.py found, none where all is well; where it did not come to that, its Python's last words."""
    lines = [line.strip() for line in result.get("stdout", "").splitlines()]
    for line in lines:
        if line.startswith("PROOF "):
            return list(json.loads(line.removeprefix("PROOF "))["problems"])
    # over ssh the module `script` has a terminal: both streams arrive in one, and the other has ssh's farewell
    said = [line for line in result.get("stderr", "").splitlines() if not line.startswith("Shared connection to ")]
    last = " ".join([line for line in [*said, *lines] if line.strip()][-3:]) or result.get("msg") or "it said nothing"
    return [f"its Python ended with {result.get('rc', 'nothing')}: {last}"]


def status_of(result: dict[str, Any], why: str = "") -> dict[str, Any]:
    """What `status --json` says: whether it answers, is the queue held, and for ``why`` (ours); how many jobs run."""
    try:
        data = json.loads(result.get("stdout", ""))["data"]
        held, running = data["held"], len(data["running"])
    except (ValueError, KeyError, TypeError):
        return {"answers": False, "held": False, "ours": False, "running": 0}
    ours = bool(why) and isinstance(held, str) and held.endswith(f": {why}")
    return {"answers": True, "held": bool(held), "ours": ours, "running": running}


def server_state(
    check: dict[str, Any], smoke: dict[str, Any], accept: list[str], gpu_expected: bool, remembered: bool = False
) -> dict[str, Any]:
    """One server: verdict, toolchain, smoke, whether it is accepted, and why not.

    ``remembered``: it passed in full before, and only the quick layers were asked; where none of them applies, as without
    a GPU, there was nothing to look at again.
    """
    answer = check_answer(check)
    if remembered and answer["verdict"] == "unknown" and answer["nothing_applies"]:
        answer["verdict"] = "pass"
    skipped = answer["verdict"] == "unknown" and not gpu_expected
    tried = _tried(smoke, answer["verdict"])
    why = list(answer["reasons"]) if answer["verdict"] not in accept and not skipped else []
    if not why and answer["verdict"] not in accept and not skipped:
        why = [f"check-gpu: {answer['verdict']} (accepted: {', '.join(accept)})"]
    if tried["result"] == "fail":
        why.append(f"tracking a drawn mouse: {tried['said']}")
    return {
        "verdict": "SKIPPED: no GPU is expected here, so none was confirmed" if skipped else answer["verdict"],
        "toolchain": answer["toolchain"],
        "smoke": f"{tried['result']}: {tried['said']}",
        "accepted": not why,
        "why": "; ".join(why),
    }


def servers_table(hosts: list[str], hostvars: Any) -> list[str]:
    """A line for each server, in columns."""
    rows = [("server", "check-gpu", "toolchain", "tracking a drawn mouse")]
    for host in hosts:
        state = _state(hostvars, host)
        rows.append((host, state["verdict"], state["toolchain"], state["smoke"]))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def servers_wrong(hosts: list[str], hostvars: Any) -> list[str]:
    """A sentence for each server that cannot track."""
    states = {host: _state(hostvars, host) for host in hosts}
    return [
        f"{host}: {state.get('why') or 'it does not answer'}" for host, state in states.items() if not state["accepted"]
    ]


def _state(hostvars: Any, host: str) -> dict[str, Any]:
    return dict(hostvars[host].get("__iblvideo_admin_state") or _NO_ANSWER)


def _tried(smoke: dict[str, Any], verdict: str) -> dict[str, str]:
    if smoke.get("skipped"):
        why = "verify_smoke is false" if verdict == "pass" else "check-gpu does not say pass"
        return {"result": "SKIPPED", "said": why}
    try:
        tried = dict(json.loads(smoke.get("stdout", "").strip().split("\n")[-1]))
        return {"result": str(tried["result"]), "said": str(tried["said"])}
    except (ValueError, TypeError, KeyError):
        said = (smoke.get("stderr") or smoke.get("msg") or "it does not answer").strip().split("\n")[-1]
        return {"result": "fail", "said": said}
