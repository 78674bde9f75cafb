"""A snapshot of a busy server: what a test of anything that shows one begins with."""

from __future__ import annotations

from typing import Any

NOW = 1_795_660_000.0


def snapshot() -> dict[str, Any]:
    """Every part has something to say; names are as hostile as a file system lets them be."""
    return {
        "host": "videoserver1",
        "time": NOW,
        "age_s": 0.0,
        "versions": {"iblvideo_admin": "0.1.0", "driver": "535.183.01"},
        "gpus": [
            gpu(0),
            gpu(1, utilization=None, temperature=None, memory_used=None, memory_total=None, processes=None),
            gpu(2, lost=True, problem="GPU is lost"),
        ],
        "gpus_problem": None,
        "toolchain": {"name": "dlc-tf1-cuda10.0", "interpreter": "/opt/iblvideo/python", "needs_gpu": True},
        "settings_from": ["/etc/iblvideo-admin/config.toml"],
        "disks": [
            {"name": "subjects_dir", "path": "/mnt/s0/Data/Subjects", "exists": True, "free": 812_000_000_000,
             "total": 8_000_000_000_000, "per_day": 61_000_000_000.0, "days_left": 13.3},
            {"name": "state_dir", "path": "/var/lib/iblvideo-admin", "exists": True, "free": 66_000_000_000,
             "total": 271_000_000_000, "per_day": None, "days_left": None},
        ],
        "check": {"verdict": "fail", "level": "quick", "toolchain": "dlc-tf1-cuda10.0", "time": NOW - 20_000,
                  "wrong": [{"id": "nvml", "layer": 7, "status": "fail", "summary": "GPU 2 is lost",
                             "remedy": "restart the server"}]},
        "service": {"unit": "iblvideo-admin.service", "active": "active", "sub": "running", "enabled": True,
                    "result": "success", "restarts": 0, "since": NOW - 12 * 86400},
        "outbox": {"waiting": 3, "oldest": NOW - 7200, "problem": None},
        "stuck_after_s": 600.0,
        "min_free_gb": 1.0,
        "queue": {"Waiting": 12, "Held": 1, "Started": 2, "Complete": 1311, "Errored": 3, "Incomplete": 0, "Empty": 0,
                  "Abandoned": 2},
        "held": None,
        "held_until": None,
        "workers": [
            {"device": "GPU-1111", "pid": 4021, "since": NOW - 86400, "reason": ""},
            {"device": "GPU-2222", "pid": 4021, "since": NOW - 86400, "reason": "python 998 of alice uses the card"},
        ],
        "running": [
            running(71, "KS052/2026-11-25/001", "left", 132_000, 216_000, 61.2),
            running(72, "<b>[red]x</b>/2026-11-25/002", "body", 410, 9000, 3.1, stuck=True),
        ],
        "last_complete": complete(70, "KS051/2026-11-25/001", "right", 540_000),
        "recent": [
            complete(70, "KS051/2026-11-25/001", "right", 540_000),
            failed(69, "KS051/2026-11-25/001", "video.corrupt"),
        ],
        "last_day": {"complete": 42, "failed": 1, "frames": 8_123_456},
        "done": {"left": {"jobs": 500, "frames": 90_000_000, "seconds": 1_500_000.0},
                 "body": {"jobs": 811, "frames": 70_000_000, "seconds": 900_000.0}},
        "waiting_since": NOW - 5000,
        "waiting_s": 30_000.0,
        "failures": [
            failed(69, "KS051/2026-11-25/001", "video.corrupt"),
            failed(60, "it's \"quoted\"\n/2026-11-24/001", "video.corrupt", acknowledged=True),
            failed(33, "KS001/2026-11-01/001", "job.died"),
        ],
        "attention": ["job 69 (KS051/2026-11-25/001 left): video.corrupt: cannot be opened", "GPU 2 is lost"],
    }  # fmt: skip


def gpu(index: int, **other: Any) -> dict[str, Any]:
    ours = {"pid": 1234, "memory": 4_300_000_000, "user": "iblvideo", "command": "python3.7", "graphics": False,
            "ours": True}  # fmt: skip
    theirs = {**ours, "pid": 998, "user": "alice", "command": "matlab", "memory": None, "ours": False}
    return {
        "index": index, "uuid": f"GPU-{index}", "name": "NVIDIA GeForce RTX 2080 Ti", "capability": "7.5",
        "memory_total": 11_811_160_064, "memory_used": 4_831_838_208, "memory_free": None, "pci_address": None,
        "pci_id": None, "temperature": 64, "temperature_limit": 93, "utilization": 83, "compute_mode": "default",
        "persistence": True, "display": False, "retired_pages": None, "repair_pending": None, "repair_failed": None,
        "processes": [ours, theirs], "lost": False, "problem": None, "error": None, **other,
    }  # fmt: skip


def running(number: int, session: str, camera: str, done: int, total: int, fps: float, **other: Any) -> dict[str, Any]:
    return {
        "id": number, "session": session, "camera": camera, "status": "Started", "since": NOW - 3000, "pid": 1,
        "device": "GPU-1111", "worker": "", "stage": "tracking", "frames_done": done, "frames_total": total, "fps": fps,
        "eta_s": (total - done) / fps, "stuck": False, **other,
    }  # fmt: skip


def complete(number: int, session: str, camera: str, frames: int) -> dict[str, Any]:
    return {
        "id": number, "session": session, "camera": camera, "status": "Complete", "since": NOW - 900, "frames": frames,
        "fps": 61.0, "seconds": frames / 60, "sha256": "", "warnings": [],
    }  # fmt: skip


def failed(number: int, session: str, code: str, *, acknowledged: bool = False) -> dict[str, Any]:
    return {
        "id": number, "session": session, "camera": "left", "status": "Errored", "since": NOW - 4000, "code": code,
        "message": "cannot be opened", "remedy": "", "acknowledged": acknowledged,
    }  # fmt: skip
