"""Known failures: from what a program printed to cause and remedy.  The failures themselves are catalogue.yml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from iblvideo_admin import toolchains
from iblvideo_admin.toolchains import Toolchain

FILE = Path(__file__).with_suffix(".yml")
# From the ground up: of two failures in one text, the one at the lower layer is the cause of the other.
LAYERS = (
    "provisioning", "pci", "nouveau", "secure_boot", "headers", "module", "devices", "nvml", "capability", "libraries",
    "health", "packages", "compute", "network", "weights", "host",
)  # fmt: skip
_REFERENCE = "dlc-tf1-cuda10.0"
_MOST_LINES, _LONGEST_LINE = 4_000, 2_000
_COLOUR = re.compile(r"\x1b\[[\d;]*[A-Za-z]")


class CatalogueError(Exception):
    """The catalogue itself is wrong; the text names the entry."""


@dataclass(frozen=True)
class Package:
    """A package whose release ``since``, and any newer one, leads to a failure."""

    name: str
    since: str

    def leads(self, version: str) -> bool:
        """Whether this version is one of them."""
        return _numbers(version) >= _numbers(self.since)


@dataclass(frozen=True)
class Entry:
    """One known failure; catalogue.yml says what the fields mean."""

    number: int
    name: str
    layer: str
    cause: str
    remedy: str
    """With ``{places}`` that :func:`remedy` fills in."""
    evidence: tuple[str, ...]
    symptoms: tuple[str, ...] = ()
    matchers: tuple[re.Pattern[str], ...] = ()
    found_by: tuple[str, ...] = ()
    package: Package | None = None
    benign: bool = False

    def matches(self, line: str) -> bool:
        """Whether a line of a program's output shows this failure."""
        return any(matcher.search(line) for matcher in self.matchers)


@dataclass(frozen=True)
class Hit:
    """A failure, and the first line that shows it."""

    entry: Entry
    line: str


@cache
def entries() -> tuple[Entry, ...]:
    """The catalogue.  Raises :class:`CatalogueError`."""
    return parse(FILE.read_text(encoding="utf-8"))


def match(text: str) -> list[Hit]:
    """The known failures that ``text`` shows, causes before their consequences: by layer, then by place.

    Each failure comes once, with its first line.  Of a very long text the beginning and the end are looked at.
    """
    known = entries()
    found: dict[int, Hit] = {}
    for line in _lines(text):
        if any(entry.benign and entry.matches(line) for entry in known):
            continue
        for entry in known:
            if entry.number not in found and entry.matches(line):
                found[entry.number] = Hit(entry, line.strip())
    return sorted(found.values(), key=lambda hit: LAYERS.index(hit.entry.layer))


def last_lines(text: str, count: int = 3) -> str:
    """The end of what a program printed, on one line: all that can be shown of a failure that nobody knows."""
    return "; ".join([line.strip() for line in _lines(text) if line.strip()][-count:])


def of_package(name: str, version: str) -> Entry | None:
    """The failure to which this version of a package leads; ``name`` as locks write it."""
    return next((e for e in entries() if e.package and e.package.name == name and e.package.leads(version)), None)


def by_name(name: str) -> Entry:
    """The entry of that name."""
    return next(entry for entry in entries() if entry.name == name)


def remedy(entry: Entry, toolchain: Toolchain, python: Path, cuda_root: Path | None = None) -> str:
    """What to type, with the toolchain's own versions and addresses.

    ``python`` and ``cuda_root`` are its interpreter and its CUDA on this host, the latter where it is not the usual.
    """
    reference = toolchain if toolchain.cuda is not None else toolchains.load(_REFERENCE)
    assert reference.cuda is not None
    locked = toolchain if toolchain.engine == "tensorflow1" else reference
    pins = {name: f"{name}=={version}" for name, version in locked.versions().items()}
    root, flags = str(cuda_root or reference.cuda["root"]), reference.cuda["flags"]
    return entry.remedy.format_map(
        {
            "python": python,
            "pin": pins,
            "tensorflow": pins.get("tensorflow-gpu") or pins["tensorflow"],
            "cuda": {**reference.cuda, "root": root},
            "cuda_flags": " ".join([*flags, f"{reference.cuda['flag_prefix']}{root}"]),
            "cuda_path": ":".join(f"{root}/{part}" for part in reference.cuda["library_path"]),
            "cudnn": reference.cudnn,
        }
    )


def parse(text: str) -> tuple[Entry, ...]:
    """Read a catalogue.  Raises :class:`CatalogueError` for whatever is not as catalogue.yml's head describes it."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CatalogueError(f"not YAML: {error}") from error
    if not isinstance(data, dict) or data.keys() != {"entries"} or not isinstance(data["entries"], list):
        raise CatalogueError("there must be one list, `entries`")
    found = tuple(_entry(item) for item in data["entries"])
    for field in ("number", "name"):
        values = [getattr(entry, field) for entry in found]
        if doubled := {value for value in values if values.count(value) > 1}:
            raise CatalogueError(f"{field} {doubled.pop()} is there twice")
    return found


_TEXT = {"name", "layer", "cause", "remedy"}
_TEXTS = {"symptoms", "matchers", "found_by", "evidence"}
_KNOWN = {field.name for field in fields(Entry)}
_NEEDED = {"number", "evidence", *_TEXT}


def _entry(item: Any) -> Entry:
    if not isinstance(item, dict) or not isinstance(item.get("number"), int):
        raise CatalogueError(f"no entry with a number: {item!r}")
    where = f"entry {item['number']}"
    if wrong := (item.keys() - _KNOWN) | (_NEEDED - item.keys()):
        raise CatalogueError(f"{where}: unknown or missing: {', '.join(sorted(map(str, wrong)))}")
    for name in (_TEXT | _TEXTS) & item.keys():
        values = item[name] if name in _TEXTS else [item[name]]
        if not isinstance(values, list) or not values or not all(isinstance(v, str) and v.strip() for v in values):
            raise CatalogueError(f"{where}: {name} must be {'texts' if name in _TEXTS else 'a text'}")
    if wrong := {item["layer"], *item.get("found_by", ())} - set(LAYERS):
        raise CatalogueError(f"{where}: there is no layer {wrong.pop()!r}")
    if not isinstance(item.get("benign", False), bool):
        raise CatalogueError(f"{where}: benign must be true or false")
    if not item.keys() & {"matchers", "found_by"}:
        raise CatalogueError(f"{where}: neither matchers nor found_by: nothing can ever find it")
    lists = {name: tuple(item[name]) for name in ("evidence", "found_by", "symptoms") if name in item}
    matchers = tuple(_pattern(text, where) for text in item.get("matchers", ()))
    return Entry(**{**item, **lists, "matchers": matchers, "package": _package(item.get("package"), where)})


def _pattern(text: str, where: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise CatalogueError(f"{where}: {text!r} is no regular expression: {error}") from error
    if pattern.search(""):
        raise CatalogueError(f"{where}: {text!r} matches everything")
    return pattern


def _package(data: Any, where: str) -> Package | None:
    if data is None:
        return None
    if not isinstance(data, Mapping) or data.keys() != {"name", "from"} or not all(map(_is_text, data.values())):
        raise CatalogueError(f"{where}: package must be a name and a `from`, both texts")
    if toolchains.normalized(data["name"]) != data["name"] or not _numbers(data["from"]):
        raise CatalogueError(f"{where}: package {data['name']!r} from {data['from']!r}")
    return Package(data["name"], data["from"])


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _lines(text: str) -> list[str]:
    lines = _COLOUR.sub("", text).splitlines()
    if len(lines) > _MOST_LINES:
        lines = lines[: _MOST_LINES // 2] + lines[-_MOST_LINES // 2 :]
    half = _LONGEST_LINE // 2  # a progress bar may stand before the error on one line
    return [line if len(line) <= _LONGEST_LINE else f"{line[:half]} ... {line[-half:]}" for line in lines]


def _numbers(version: str) -> tuple[int, ...]:
    """(4, 24, 4) of 4.24.4, (2, 0) of 2.0rc1."""
    beginning = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in beginning[0].split(".")) if beginning else ()
