"""The GPUs that the driver knows, asked through NVML.

Drivers and cards differ in what they answer: every question may fail alone, and a card that is lost hides no other.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from iblvideo_admin.gpu.processes import Process, on_card
from iblvideo_admin.gpu.sysroot import Sysroot

LIMIT_S = 30.0  # a driver that wakes eight cards needs some; one that is stuck never answers
_MOST_CARDS = 64
_UUID = re.compile(r"[A-Za-z0-9-]+")
_MODES = ("default", "exclusive_thread", "prohibited", "exclusive_process")
# how NVML says that it is the card which does not work, and not the question which does not apply
_LOST = {"GpuIsLost", "ResetRequired"}
_OF_THE_CARD = _LOST | {"Unknown", "IrqIssue", "InsufficientPower", "CorruptedInforom", "Timeout", "OperatingSystem"}


@dataclass(frozen=True)
class Gpu:
    """One card.  What the driver does not report is None, never 0; memory is in bytes, temperatures are in °C."""

    index: int
    uuid: str
    """Empty where the driver gives none: no job can be put on such a card."""
    name: str | None
    capability: tuple[int, int] | None
    memory_total: int | None
    memory_used: int | None
    memory_free: int | None = None
    pci_address: str | None = None
    """As the kernel writes it: 0000:01:00.0."""
    pci_id: str | None = None
    """Vendor and device: 10de:1b06."""
    temperature: int | None = None
    temperature_limit: int | None = None
    """Where the card begins to slow down."""
    utilization: int | None = None
    """Percent of the last second or so in which something computed."""
    compute_mode: str | None = None
    persistence: bool | None = None
    display: bool | None = None
    retired_pages: int | None = None
    """Memory pages given up after errors that could not be corrected."""
    repair_pending: bool | None = None
    """Pages or rows of memory are taken out of use at the next reset."""
    repair_failed: bool | None = None
    processes: tuple[Process, ...] | None = None
    lost: bool = False
    """It cannot be talked to (any more)."""
    problem: str | None = None
    error: str | None = None

    def as_data(self, *, state: bool = False) -> dict[str, Any]:
        """As plain values, the capability as in 7.5: what the card is, and with ``state`` also how it is just now."""
        data = asdict(self) if state else {name: getattr(self, name) for name in _LASTING}
        return data | {
            "uuid": self.uuid or None,
            "capability": ".".join(map(str, self.capability)) if self.capability else None,
        }


_LASTING = (
    "index", "uuid", "name", "capability", "memory_total", "memory_used", "pci_address", "pci_id", "problem",
)  # fmt: skip


@dataclass(frozen=True)
class Inventory:
    """All cards and the driver's version.

    Where NVML could not be asked ``problem`` says why and ``error`` is NVML's name for it (``DriverNotLoaded``).
    """

    gpus: tuple[Gpu, ...] = ()
    driver: str | None = None
    problem: str | None = None
    error: str | None = None


def look(sysroot: Sysroot | None = None, limit_s: float = LIMIT_S) -> Inventory:
    """Ask NVML.  Never raises, never waits longer: a machine without a driver has a ``problem``."""
    found: list[Inventory] = []
    # a card that hangs makes NVML hang, and nothing ends such a call
    thread = threading.Thread(target=lambda: found.append(_look(sysroot or Sysroot())), daemon=True)
    thread.start()
    thread.join(limit_s)
    return found[0] if found else Inventory(problem=f"NVML gives no answer within {limit_s:g} s", error="NoAnswer")


def _look(sysroot: Sysroot) -> Inventory:
    import pynvml

    driver = None
    try:
        pynvml.nvmlInit()
        try:
            driver = _text(_Questions().ask(pynvml.nvmlSystemGetDriverVersion))
            count = min(pynvml.nvmlDeviceGetCount(), _MOST_CARDS)
            return Inventory(tuple(_gpu(index, sysroot) for index in range(count)), driver)
        finally:
            with suppress(Exception):
                pynvml.nvmlShutdown()
    except Exception as error:  # noqa: BLE001  NVMLError, what pynvml raises beside it, and what a strange answer breaks
        return Inventory(driver=driver, problem=_said(error), error=_kind(error))


class _Questions:
    """Puts questions to NVML; keeps the first error that concerns the card."""

    def __init__(self, *subject: Any) -> None:
        self._subject = subject
        self.problem: str | None = None
        self.error: str | None = None

    def ask(self, question: Callable[..., Any], *arguments: Any) -> Any:
        """The answer; None where this driver or card gives none."""
        if self.error in _LOST:
            return None
        try:
            return question(*self._subject, *arguments)
        except Exception as error:  # noqa: BLE001  see above
            if self.error is None and _kind(error) in _OF_THE_CARD:
                self.problem, self.error = _said(error), _kind(error)
            return None


def _gpu(index: int, sysroot: Sysroot) -> Gpu:
    import pynvml

    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    except Exception as error:  # noqa: BLE001  see above
        return Gpu(index, "", None, None, None, None, lost=True, problem=_said(error), error=_kind(error))
    card = _Questions(handle)
    ask = card.ask
    pci = ask(pynvml.nvmlDeviceGetPciInfo)
    name = _text(ask(pynvml.nvmlDeviceGetName))
    uuid = _text(ask(pynvml.nvmlDeviceGetUUID)) or ""
    capability = _capability(ask(pynvml.nvmlDeviceGetCudaComputeCapability))
    memory = ask(pynvml.nvmlDeviceGetMemoryInfo)
    if memory is not None and not (0 < memory.total >= memory.used and memory.free <= memory.total):
        memory = None
    mode = ask(pynvml.nvmlDeviceGetComputeMode)
    retired = ask(pynvml.nvmlDeviceGetRetiredPages, pynvml.NVML_PAGE_RETIREMENT_CAUSE_DOUBLE_BIT_ECC_ERROR)
    pages = ask(pynvml.nvmlDeviceGetRetiredPagesPendingStatus)
    rows = ask(pynvml.nvmlDeviceGetRemappedRows)  # Ampere and later: corrected, uncorrected, pending, failed
    values: dict[str, Any] = {
        "name": name,
        "memory_free": int(memory.free) if memory else None,
        "temperature": _between(1, ask(pynvml.nvmlDeviceGetTemperature, pynvml.NVML_TEMPERATURE_GPU), 200),
        "temperature_limit": _between(
            40, ask(pynvml.nvmlDeviceGetTemperatureThreshold, pynvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN), 200
        ),
        "utilization": _between(0, getattr(ask(pynvml.nvmlDeviceGetUtilizationRates), "gpu", None), 100),
        "compute_mode": _MODES[mode] if _between(0, mode, len(_MODES) - 1) is not None else None,
        "persistence": _truth(ask(pynvml.nvmlDeviceGetPersistenceMode)),
        "display": _truth(ask(pynvml.nvmlDeviceGetDisplayActive)),
        "retired_pages": None if retired is None else len(retired),
        "repair_pending": _truth(pages if rows is None else rows[2]),
        "repair_failed": None if rows is None else _truth(rows[3]),
        "processes": on_card(ask, sysroot),
    }
    return Gpu(
        index,
        uuid if _UUID.fullmatch(uuid) else "",
        capability=capability,
        memory_total=int(memory.total) if memory else None,
        memory_used=int(memory.used) if memory else None,
        pci_address=f"{pci.domain:04x}:{pci.bus:02x}:{pci.device:02x}.0" if pci else None,
        pci_id=f"{pci.pciDeviceId & 0xFFFF:04x}:{pci.pciDeviceId >> 16:04x}" if pci else None,
        lost=card.error in _LOST,
        problem=card.problem,
        error=card.error,
        **values,
    )


def _kind(error: Exception) -> str:
    return type(error).__name__.removeprefix("NVMLError_")


def _said(error: Exception) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  an error's text is the driver's, too
        return f"NVML's error {getattr(error, 'value', '')}"


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return "".join(c for c in value if c.isprintable()).strip() or None if isinstance(value, str) else None


def _capability(value: Any) -> tuple[int, int] | None:
    match value:
        case (int(major), int(minor)) if 1 <= major <= 99 and 0 <= minor <= 9:
            return major, minor
    return None


def _between(least: int, value: Any, most: int) -> int | None:
    return int(value) if isinstance(value, int) and least <= value <= most else None


def _truth(value: Any) -> bool | None:
    return None if value is None else bool(value)
