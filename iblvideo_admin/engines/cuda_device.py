"""Which of CUDA's numbers a card has in this process.

A process may see some of the cards only (CUDA_VISIBLE_DEVICES, Slurm, a container), numbered anew; a UUID means one
card everywhere.  Asked is the driver's own library (CUDA Driver API, ``cuDeviceGetUuid``).
"""

from __future__ import annotations

import ctypes
import os

from iblvideo_admin.errors import UserError

LIBRARY = "libcuda.so.1"


def ordinal(uuid: str) -> int:
    """The number of the card with this UUID, as NVML spells it ("GPU-..."; a MIG part's begins with "MIG-").

    Raises ``gpu.lost`` where the driver shows this process no such card.
    """
    if uuid.startswith("MIG-"):  # a process sees one part at most, and only the one that it asks for
        os.environ["CUDA_VISIBLE_DEVICES"] = uuid
    try:
        driver = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise UserError("gpu.lost", f"the driver's library cannot be loaded: {error}") from error
    if (status := driver.cuInit(0)) != 0:
        raise UserError("gpu.lost", f"the driver does not start: cuInit gives {status}")
    count = ctypes.c_int()
    driver.cuDeviceGetCount(ctypes.byref(count))
    seen = [_uuid(driver, number) for number in range(count.value)]
    if uuid.startswith("MIG-") and seen:
        return 0
    wanted = uuid.removeprefix("GPU-").replace("-", "").lower()
    if wanted not in seen:
        raise UserError("gpu.lost", f"CUDA shows this process {count.value} cards, and none is {uuid}")
    return seen.index(wanted)


def _uuid(driver: ctypes.CDLL, number: int) -> str:
    """Its 16 bytes in hexadecimal; empty for a card that does not tell."""
    raw = (ctypes.c_ubyte * 16)()
    return bytes(raw).hex() if driver.cuDeviceGetUuid(ctypes.byref(raw), number) == 0 else ""
