"""Where jobs can run: every GPU that is ours, or the CPU; and why one is left alone just now."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from iblvideo_admin.errors import UserError
from iblvideo_admin.files import read_json
from iblvideo_admin.gpu import choice, inventory
from iblvideo_admin.gpu.inventory import Gpu, Inventory
from iblvideo_admin.queue.lease import is_taken
from iblvideo_admin.settings import Settings
from iblvideo_admin.toolchains import Toolchain

CPU = "cpu"
LOOK_LIMIT_S = 5.0
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)\Z")


@dataclass(frozen=True)
class Device:
    """A GPU by its UUID and its number today, or the CPU."""

    key: str
    gpus: str = ""
    """What the setting ``gpus`` says where only this one is meant; empty for the CPU."""


@dataclass(frozen=True)
class Look:
    """The server's devices at one moment."""

    settings: Settings
    toolchain: Toolchain
    cards: Inventory

    @classmethod
    def now(cls, settings: Settings) -> Look:
        """Ask the driver.  Raises ``toolchain.unknown`` and ``settings.invalid``."""
        cards = inventory.look(limit_s=LOOK_LIMIT_S)
        return cls(settings, choice.resolve(settings, cards), cards)

    def devices(self) -> tuple[Device, ...]:
        """Those that jobs can run on; none where the driver tells of none."""
        if not self.toolchain.needs_gpu:
            return (Device(CPU),)
        mine = choice.allowed(self.settings, self.cards)
        unsuitable = choice.unsuitable(self.toolchain, mine)
        return tuple(Device(gpu.uuid, str(gpu.index)) for gpu in mine if gpu not in unsuitable)

    def nothing(self) -> str:
        """Why there is no device at all."""
        if self.cards.problem is not None:
            return f"the driver tells of no GPU: {self.cards.problem}"
        mine = choice.allowed(self.settings, self.cards)
        if not mine:
            return "there is no GPU, or the setting gpus leaves none"
        names = ", ".join(f"{gpu.index} ({gpu.name or 'N/A'}{', lost' if gpu.lost else ''})" for gpu in mine)
        return f"toolchain {self.toolchain.name} can use none of the GPUs {names}"

    def why_not(self, device: Device) -> str:
        """Why no job may be started there now; empty where one may."""
        if reason := out_of_hours(self.settings.hours, datetime.now().astimezone()):
            return reason
        if device.key == CPU:
            return _leased(self.settings, device)
        card = next((gpu for gpu in self.cards.gpus if gpu.uuid == device.key), None)
        if card is None:
            return f"the driver does not list it any more{f': {self.cards.problem}' if self.cards.problem else ''}"
        if card.lost:
            return f"the driver has lost it: {card.problem}"
        return _ibllib(self.settings) or _leased(self.settings, device) or _others(card)


def out_of_hours(hours: str, now: datetime) -> str:
    """Why no job may be started at this time of day.  Raises ``settings.invalid``."""
    if hours == "always":
        return ""
    match = _HOURS.match(hours)
    if match is None:
        raise UserError("settings.invalid", f"hours must be always, or as in 19:00-07:30, not {hours!r}")
    start, end = (int(match[i]) * 60 + int(match[i + 1]) for i in (1, 3))
    minute = now.hour * 60 + now.minute
    inside = start <= minute < end if start < end else minute >= start or minute < end
    return "" if inside else f"jobs are started from {hours.replace('-', ' to ')} only (setting hours)"


def _leased(settings: Settings, device: Device) -> str:
    """Another state folder's job, or one whose worker was killed."""
    return "another job of this server uses it" if is_taken(settings.lock_dir / device.key) else ""


def _ibllib(settings: Settings) -> str:
    """The lock that ibllib makes: a JSON with its start, its name and how long it may count at most."""
    try:
        path = settings.gpu_lock or Path.home() / ".one/gpu.lock"
    except RuntimeError:  # a service without a home
        return ""
    lock = read_json(path)
    if lock is None:
        return ""
    try:
        begun = lock["start"] if isinstance(lock["start"], (int, float)) else _seconds(lock["start"])
        is_over = time.time() > begun + float(lock["time_out_secs"])
    except (KeyError, ValueError, TypeError, OverflowError):
        is_over = False  # a lock that we do not understand is a lock
    # ibllib itself removes one whose time is over
    return "" if is_over else f"ibllib uses it: {lock.get('name', 'a task')} ({path})"


def _seconds(moment: object) -> float:
    return datetime.fromisoformat(str(moment)).timestamp()


def _others(card: Gpu) -> str:
    """Anybody's process that computes there; a screen is no reason."""
    strangers = [process for process in card.processes or () if not process.graphics and not process.ours]
    return f"others use it: {', '.join(map(str, strangers[:3]))}" if strangers else ""
