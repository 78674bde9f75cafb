"""The GPUs that the driver knows, asked through NVML."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Gpu:
    """One card.  What the driver does not report is None, never 0."""

    index: int
    uuid: str
    name: str | None
    capability: tuple[int, int] | None
    memory_total: int | None
    memory_used: int | None

    def as_data(self) -> dict[str, Any]:
        """As plain values; the capability as in 7.5."""
        data = dict(vars(self))
        data["capability"] = ".".join(map(str, self.capability)) if self.capability else None
        return data


@dataclass(frozen=True)
class Inventory:
    """All cards and the driver's version; ``problem`` says why NVML could not be asked, where it could not."""

    gpus: tuple[Gpu, ...] = ()
    driver: str | None = None
    problem: str | None = None


def look() -> Inventory:
    """Ask NVML.  Never raises: a machine without a driver has a ``problem``."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return Inventory(problem=str(error))
    try:
        driver = _asked(pynvml.nvmlSystemGetDriverVersion)
        gpus = tuple(_gpu(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount()))
        return Inventory(gpus, driver)
    except pynvml.NVMLError as error:
        return Inventory(problem=str(error))
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _gpu(pynvml: Any, index: int) -> Gpu:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    capability = _asked(pynvml.nvmlDeviceGetCudaComputeCapability, handle)
    memory = _asked(pynvml.nvmlDeviceGetMemoryInfo, handle)
    return Gpu(
        index,
        str(_asked(pynvml.nvmlDeviceGetUUID, handle)),
        _asked(pynvml.nvmlDeviceGetName, handle),
        tuple(capability) if capability else None,
        int(memory.total) if memory else None,
        int(memory.used) if memory else None,
    )


def _asked(question: Any, *arguments: Any) -> Any:
    """The driver's answer; None where this driver or card does not give one."""
    import pynvml

    try:
        value = question(*arguments)
    except pynvml.NVMLError:
        return None
    return value.decode() if isinstance(value, bytes) else value
