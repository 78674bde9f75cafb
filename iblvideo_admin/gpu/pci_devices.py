"""NVIDIA's cards as the PCI bus shows them: before any driver, and a witness apart from it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from iblvideo_admin.gpu import families
from iblvideo_admin.gpu.sysroot import CannotLookError, Sysroot

DEVICES = "/sys/bus/pci/devices"
_NVIDIA, _DISPLAY = "10de", ("0300", "0302")  # VGA and 3D: the classes that nvidia.ko takes
_PCI_IDS = ("/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids")
_NUMBER = re.compile(r"0x([0-9a-f]{4,6})\s*")


@dataclass(frozen=True)
class Card:
    """One card on the bus."""

    address: str
    """As in 0000:01:00.0."""
    pci_id: str
    """As in 10de:1b06."""
    name: str | None
    """From the system's pci.ids, as in "GP102 [GeForce GTX 1080 Ti]"."""
    driver: str | None
    """The kernel driver that holds it."""
    answers: bool
    """False for one that has fallen off the bus."""

    @property
    def chip(self) -> families.Chip | None:
        """What the table of families says of it."""
        return families.chip_of(self.pci_id, self.name)

    def __str__(self) -> str:
        return f"{self.address} {self.name or self.pci_id}"


@dataclass(frozen=True)
class Bus:
    """What was found: the cards in the order of their addresses, and what of the bus could not be read."""

    cards: tuple[Card, ...]
    unread: tuple[str, ...]


def look(sysroot: Sysroot) -> Bus:
    """All cards.  Raises CannotLookError where the bus cannot be seen at all, or a card's driver cannot."""
    addresses = sysroot.names(DEVICES)
    if not addresses:
        raise CannotLookError(f"{DEVICES} lists no device")
    cards, unread, names = [], [], _names(sysroot)
    for address in addresses:
        try:
            vendor, kind = _number(sysroot, address, "vendor"), _number(sysroot, address, "class")
            if vendor != _NVIDIA or not kind.startswith(_DISPLAY):
                continue
            device = _number(sysroot, address, "device")
        except CannotLookError as error:
            unread.append(str(error))
            continue
        name, driver = names.get(device), _driver(sysroot, address)
        cards.append(Card(address, f"{vendor}:{device}", name, driver, _answers(sysroot, address)))
    return Bus(tuple(cards), tuple(unread))


def _number(sysroot: Sysroot, address: str, file: str) -> str:
    path = f"{DEVICES}/{address}/{file}"
    text = sysroot.text(path)
    if match := _NUMBER.fullmatch(text or ""):
        return match[1]
    raise CannotLookError(f"{path} holds no number: {(text or '')[:20]!r}")


def _driver(sysroot: Sysroot, address: str) -> str | None:
    path = f"{DEVICES}/{address}/driver"
    try:
        return sysroot.path(path).readlink().name
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CannotLookError(f"{path} is not a link to a driver") from error


def _answers(sysroot: Sysroot, address: str) -> bool:
    """A card that is gone reads as ones only; the kernel goes on listing it under the number that it had."""
    try:
        text = sysroot.text(f"{DEVICES}/{address}/config")
    except CannotLookError:
        return True
    return not (text or "").startswith("\ufffd" * 4)  # four bytes 0xff, as Sysroot.text decodes them


def _names(sysroot: Sysroot) -> dict[str, str]:
    """NVIDIA's part of pci.ids: device number -> name."""
    for path in _PCI_IDS:
        try:
            text = sysroot.text(path) or ""
        except CannotLookError:
            continue  # names are a comfort: the numbers say enough
        start = text.find(f"\n{_NVIDIA}  ")
        if start >= 0:
            end = re.compile(r"^[0-9a-zA-Z]", re.MULTILINE).search(text, text.index("\n", start + 1) + 1)
            own = text[start : end.start() if end else None]
            return dict(re.findall(r"^\t([0-9a-f]{4})  (.+)$", own, re.MULTILINE))
    return {}
