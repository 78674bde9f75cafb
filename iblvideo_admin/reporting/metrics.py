"""A snapshot as Prometheus text; docs/monitoring.md describes each of these metrics."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iblvideo_admin.files import write_placed

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily

VERDICTS = ("pass", "fail", "unknown")


def text(snapshot: dict[str, Any]) -> str:
    """The metrics in Prometheus' text format.  What a card does not report is left out, never 0."""
    from prometheus_client import CollectorRegistry, generate_latest

    class Snapshot:
        def collect(self) -> Iterator[GaugeMetricFamily]:
            return _families(snapshot)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Snapshot())
    return generate_latest(registry).decode()


def write(snapshot: dict[str, Any], path: Path) -> None:
    """Write them where a node exporter looks; it sees the old file or the new one.

    Raises ``output.not_writable`` and ``disk.full``.
    """
    write_placed(path, text(snapshot).encode(), 0o644)


def _families(data: dict[str, Any]) -> Iterator[GaugeMetricFamily]:
    yield from _whole(data)
    yield from _jobs(data)
    yield from _cards(data)
    yield from _disks(data)


def _family(name: str, meaning: str, labels: tuple[str, ...] = ()) -> GaugeMetricFamily:
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(f"iblvideo_{name}", meaning, labels=labels)


def _one(name: str, meaning: str, value: float | None) -> Iterator[GaugeMetricFamily]:
    """A metric without labels, where its value is known."""
    if value is not None:
        family = _family(name, meaning)
        family.add_metric((), value)
        yield family


def _whole(data: dict[str, Any]) -> Iterator[GaugeMetricFamily]:
    about = _family("info", "What runs here", ("version", "toolchain", "driver"))
    about.add_metric(
        (data["versions"]["iblvideo_admin"], data["toolchain"]["name"], data["versions"]["driver"] or ""), 1
    )
    yield about
    yield from _one("snapshot_timestamp_seconds", "When this was looked at", data["time"])
    yield from _one("attention", "Things that need a person", len(data["attention"]))
    check = data["check"]
    verdict = _family("check_verdict", "1 for what check-gpu last said", ("verdict",))
    for word in VERDICTS:
        verdict.add_metric((word,), float(bool(check) and check["verdict"] == word))
    yield verdict
    yield from _one("check_timestamp_seconds", "When check-gpu last ran", check and check["time"])
    service = data["service"]
    yield from _one("service_active", "Whether the service runs", service and float(service["active"] == "active"))
    outbox = data["outbox"] or {}
    yield from _one("outbox_waiting", "Messages that wait for Alyx", outbox.get("waiting"))
    yield from _one("outbox_oldest_timestamp_seconds", "Since when the oldest of them waits", outbox.get("oldest"))


def _jobs(data: dict[str, Any]) -> Iterator[GaugeMetricFamily]:
    jobs = _family("jobs", "Jobs by status", ("status",))
    for status, count in data["queue"].items():
        jobs.add_metric((status,), count)
    failures = _family("failures", "Failed jobs that nobody has acknowledged, by error code", ("code",))
    codes = [failed["code"] for failed in data["failures"] if not failed["acknowledged"]]
    for code in sorted(set(codes)):
        failures.add_metric((code,), codes.count(code))
    yield from (jobs, failures)
    yield from _one("queue_held", "Whether the whole queue is held", float(bool(data["held"])))
    yield from _one("workers", "Devices that a worker is at", len(data["workers"]))
    yield from _one("waiting_since_timestamp_seconds", "Since when the oldest waiting job waits", data["waiting_since"])
    last = data["last_complete"]
    yield from _one("last_complete_timestamp_seconds", "When the last table was delivered", last and last["since"])
    done = (
        ("complete_jobs", "jobs", "Complete jobs by camera"),
        ("complete_frames", "frames", "Frames of all complete jobs, by camera"),
        ("complete_seconds", "seconds", "Seconds that all complete jobs took, by camera"),
    )
    for name, key, meaning in done:
        family = _family(name, meaning, ("camera",))
        for camera, sums in data["done"].items():
            family.add_metric((camera,), sums[key])
        yield family
    yield from _running(data["running"])


def _running(running: list[dict[str, Any]]) -> Iterator[GaugeMetricFamily]:
    yield from _one("stuck_jobs", "Running jobs without a new frame for stuck_s", sum(job["stuck"] for job in running))
    labels = ("job", "camera")
    speed = _family("running_frames_per_second", "Frames per second of a running job", labels)
    done = _family("running_done_ratio", "How much of a running job is done, 0 to 1", labels)
    for job in running:
        of = (str(job["id"]), job["camera"])
        if job["fps"] is not None:
            speed.add_metric(of, job["fps"])
        if job["stage"] == "tracking" and job["frames_total"]:
            done.add_metric(of, job["frames_done"] / job["frames_total"])
    yield from (speed, done)


def _cards(data: dict[str, Any]) -> Iterator[GaugeMetricFamily]:
    yield from _one("gpus", "Cards that the driver lists", len(data["gpus"]))
    asked = (
        ("gpu_lost", "Whether the card does not answer any more", lambda gpu: float(gpu["lost"])),
        ("gpu_utilization_ratio", "Part of the last moment in which something computed", _percent),
        ("gpu_memory_used_bytes", "Memory in use", lambda gpu: gpu["memory_used"]),
        ("gpu_memory_total_bytes", "Memory in all", lambda gpu: gpu["memory_total"]),
        ("gpu_temperature_celsius", "Temperature", lambda gpu: gpu["temperature"]),
    )
    for name, meaning, value in asked:
        family = _family(name, meaning, ("gpu", "uuid", "name"))
        for gpu in data["gpus"]:
            if (known := value(gpu)) is not None:
                family.add_metric((str(gpu["index"]), gpu["uuid"] or "", gpu["name"] or ""), known)
        yield family


def _percent(gpu: dict[str, Any]) -> float | None:
    return None if gpu["utilization"] is None else gpu["utilization"] / 100


def _disks(data: dict[str, Any]) -> Iterator[GaugeMetricFamily]:
    for name, key, meaning in (
        ("disk_free_bytes", "free", "Room on the disk of a folder"),
        ("disk_total_bytes", "total", "Size of the disk of a folder"),
        ("disk_days_left", "days_left", "Days until nothing is free, at the rate of the last week"),
    ):
        family = _family(name, meaning, ("folder", "path"))
        for disk in data["disks"]:
            if disk[key] is not None:
                family.add_metric((disk["name"], disk["path"]), disk[key])
        yield family
