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


HOSTILE = (
    "<script>window.hacked=1</script>", '"><img src=x onerror=window.hacked=1>', "it's \"quoted\" & 100%", "a\nb\tc",
    "x" * 300, "{{ 7 * 7 }}", "</script><script>window.hacked=1</script>", "mäuse 鼠 \u202e",
    "javascript:window.hacked=1",
)  # fmt: skip


def report(sessions: int, picture: str | None = None) -> dict[str, Any]:
    """What a page is made of: many sessions of three cameras, the first of them with hostile names."""
    from iblvideo_admin.reporting import chart

    rows = []
    for number in range(sessions):
        subject = HOSTILE[number] if number < len(HOSTILE) else f"KS{number % 60:03d}"
        date = f"2026-{1 + number // 28 % 12:02d}-{1 + number % 28:02d}"
        rows += [
            row(len(rows) + index, subject, date, camera, picture if len(rows) < 100 else None)
            for index, camera in enumerate(CAMERAS)
        ]
    taken = snapshot()
    done = [(NOW - (index % 29) * 86400, one["camera"], one["state"]["frames"]) for index, one in enumerate(rows)]
    failures = taken["failures"]
    return {
        "snapshot": taken, "rows": rows, "sessions": sessions, "left_out": 7, "chart": chart.bars(done, NOW),
        "codes": [{"code": "video.corrupt", "count": 2, "jobs": failures[:2]},
                  {"code": "job.died", "count": 1, "jobs": failures[2:]}],
    }  # fmt: skip


CAMERAS = {"left": 11, "right": 11, "body": 1}


def row(number: int, subject: str, date: str, camera: str, picture: str | None) -> dict[str, Any]:
    common = {"id": number, "session": f"{subject}/{date}/001", "subject": subject, "date": date, "number": "001",
              "camera": camera, "acknowledged": False, "log": "file:///tmp/state/jobs/000001/log",
              "quality": None, "picture": None, "problem": None}  # fmt: skip
    since = NOW - number * 4000
    if number % 37 == 5:
        state = {**failed(number, subject, "video.corrupt"), "since": since, "frames": 0, "fps": 0.0}
        return {**common, "status": "Errored", "state": state | {"message": f"{subject} cannot be opened"}}
    points = {
        f"point_{index}": {"sure": round(1 - (number * 7 + index) % 50 / 100, 2), "missing": 0.001, "likelihood": 0.99,
                           "jumps": (number + index) % 9 / 3,
                           "course": [((k * 7 + number) % 60) / 60 for k in range(60)]}
        for index in range(CAMERAS[camera])
    }  # fmt: skip
    sure = round(sum(one["sure"] for one in points.values()) / len(points), 4)
    worst = min(points, key=lambda name: points[name]["sure"])
    quality = {"frames": 1000, "sure": sure, "missing": 0.001, "jumps": None if number % 11 == 0 else number % 9 / 3,
               "worst": worst, "points": points}  # fmt: skip
    state = {**complete(number, subject, camera, 200_000 + number), "code": "", "since": since, "fps": 50 + number % 20}
    return {**common, "status": "Complete", "state": state, "quality": quality, "picture": picture}
