"""``weights pull``: a version of the IBL's networks, from S3 through Alyx, the IBL's HTTP server, or a mirror.

No checksum of any version is published: the first archive of a version is trusted, which is said, and from then on only
this one is.  A version is put beside the others; which is in use changes only where that is asked for, and tables that
older ones made stay (``queue add --below-weights``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from iblvideo_admin.alyx import downloads, fetching
from iblvideo_admin.alyx.client import Client
from iblvideo_admin.alyx.fetching import Opened, Source
from iblvideo_admin.alyx.trouble import TroubleError
from iblvideo_admin.engines import weights_tree
from iblvideo_admin.engines.weights_tree import Tree
from iblvideo_admin.errors import UserError
from iblvideo_admin.files import read_json, write_json
from iblvideo_admin.settings import Settings
from iblvideo_admin.toolchains import ibl

_VERSION = re.compile(r"v?([0-9]+\.[0-9]+)\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_KNOWN = ".known.json"
_BLOCK = 1 << 14


def pull(
    version: str, settings: Settings, *, place: str = "auto", sha256: str = "", use: bool = False
) -> dict[str, Any]:
    """Fetch, check and install; gives what was done.

    Raises ``usage``, ``alyx.``, ``weights.`` and ``disk.full``.
    """
    number = _number(version)
    if sha256 and not _SHA256.match(sha256):
        raise UserError("usage", f"{sha256!r} is no sha256", "It has 64 digits from 0 to f.")
    dest = weights_tree.root(settings.weights_dir) / f"weights_v{number}"
    told: dict[str, Any] = {"version": number, "changed": False, "source": None, "trusted": False, "tried": []}
    try:
        weights_tree.require_ours(dest)
        tree = weights_tree.look(dest, thorough=True) if dest.is_dir() else None
        wanted = sha256 or _known(dest)
        if tree is not None and not tree.problem:
            if sha256 and tree.archive_sha256 not in ("", sha256):
                message = f"{dest} was made from an archive with the sha256 {tree.archive_sha256}, wanted is {sha256}"
                raise UserError("weights.damaged", message, "Move it away, or correct the checksum.")
        else:
            dest.parent.mkdir(parents=True, exist_ok=True)
            told["source"], tree = _fetched(number, settings, place, wanted, dest, told["tried"])
            told |= {"changed": True, "trusted": not wanted}
        _remember(dest, tree.archive_sha256)
        if use:
            told["changed"] |= switch(settings.weights_dir, dest)
    except OSError as error:
        raise UserError("weights.not_writable", f"{error.filename or dest}: {error.strerror}") from error
    in_use = os.path.realpath(settings.weights_dir) == os.path.realpath(dest)
    return {**told, **tree.as_data(), "in_use": in_use}


def switch(link: Path, dest: Path) -> bool:
    """Let the link of the weights in use lead to a version; True if it led elsewhere.  Raises ``weights.taken``."""
    if link == dest or (link.is_symlink() and os.path.realpath(link) == os.path.realpath(dest)):
        return False
    if os.path.lexists(link) and not link.is_symlink():
        raise UserError("weights.taken", f"weights_dir {link} is a folder, not a link to a version")
    if link.is_symlink():
        _lead(link.with_name("previous"), str(link.readlink()))
    _lead(link, dest.name)
    return True


def _lead(link: Path, target: str) -> None:
    new = link.with_name(f".{link.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    os.replace(new, link)


def _number(version: str) -> str:
    match = _VERSION.match(version.removeprefix("weights_"))
    if match is None:
        raise UserError("usage", f"{version!r} is no version of weights", "They have two numbers, as in 2.2.")
    return match[1]


def _fetched(
    number: str, settings: Settings, place: str, wanted: str, dest: Path, tried: list[str]
) -> tuple[str, Tree]:
    """From the first place that has it: which, and the installed tree.  Raises the last place's error."""
    name = ibl()["weights"].format(version=number)
    failure: UserError | None = None
    for which, make in _places(name, settings, place).items():
        archive = dest.with_name(f".{dest.name}.{which}.zip.tmp")
        try:
            source = make()
            fetching.fetch(source, archive, limit_s=settings.alyx_limit_s, free_bytes=settings.min_free_gb * 1e9)
            seen = fetching.hash_of(archive, "sha256")
            if wanted and seen != wanted:
                fetching.forget(archive)
                raise UserError("weights.damaged", f"{source.name} has the sha256 {seen}, wanted is {wanted}")
            try:
                tree = weights_tree.install(archive, dest, seen)
            finally:
                fetching.forget(archive)
        except (TroubleError, UserError) as error:
            failure = error.as_error() if isinstance(error, TroubleError) else error
            tried.append(f"{which}: {failure.message}")
        else:
            return source.name, tree
    assert failure is not None
    if len(tried) > 1:
        failure = UserError(failure.code, "; ".join(tried), failure.remedy)
    raise failure


def _places(name: str, settings: Settings, place: str) -> dict[str, Callable[[], Source]]:
    def http() -> Source:
        try:
            client = Client(settings)
        except UserError:
            return fetching.Http(f"{ibl()['data_server']}/{name}")
        return downloads.source(client, f"{client.one.data_server()[0]}/{name}")

    places: dict[str, Callable[[], Source]] = {"s3": lambda: S3(Client(settings), name), "http": http}
    if place == "auto":
        return places
    if place in places:
        return {place: places[place]}
    mirror: Source = (
        fetching.Http(place) if place.startswith(("http://", "https://")) else fetching.File(_file(place, name))
    )
    return {"mirror": lambda: mirror}


def _file(place: str, name: str) -> Path:
    """A mirror on a disk: the archive, or a folder that holds it, itself or below ``weights``."""
    path = Path(place)
    inside = [path / Path(name).name, path / "weights" / Path(name).name, path / name]
    return next((one for one in inside if one.is_file()), path)


def _known(dest: Path) -> str:
    return str((read_json(dest.with_name(_KNOWN)) or {}).get(dest.name) or "")


def _remember(dest: Path, sha256: str) -> None:
    """The first archive of a version is the only one from now on."""
    known = read_json(dest.with_name(_KNOWN)) or {}
    if sha256 and known.get(dest.name) != sha256:
        write_json(dest.with_name(_KNOWN), {**known, dest.name: sha256})


class S3:
    """The IBL's bucket, with the keys that Alyx holds."""

    def __init__(self, client: Client, key: str) -> None:
        self._client, self._key = client, key
        self.name = f"s3 {key}"

    def open(self, first: int, mark: str, limit_s: float) -> Opened:
        """See :class:`fetching.Source`."""
        from botocore.exceptions import BotoCoreError, ClientError

        del limit_s
        try:
            resource, bucket = self._client.ask(_bucket)
            self.name = f"s3://{bucket}/{self._key}"
            thing = resource.Object(bucket, self._key)
            size, now = int(thing.content_length), str(thing.e_tag)
            first = first if mark == now and first < size else 0
            answer = thing.get(Range=f"bytes={first}-", IfMatch=now)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code"))
            kind = "refused" if code in ("404", "NoSuchKey", "NoSuchBucket") else "login" if "403" in code else "away"
            raise TroubleError(kind, f"{self.name}: {code}") from None
        except BotoCoreError as error:
            raise TroubleError("away", f"{self.name}: {error}") from None
        return Opened(self._blocks(answer["Body"]), first, size, now)

    def _blocks(self, body: Any) -> Iterator[bytes]:
        from botocore.exceptions import BotoCoreError

        try:
            while block := body.read(_BLOCK):
                yield block
        except (BotoCoreError, OSError) as error:
            raise TroubleError("away", f"{self.name}: {error}") from None


def _bucket(one: Any) -> tuple[Any, str]:
    from one.remote.aws import get_s3_from_alyx

    resource, bucket = get_s3_from_alyx(one)
    return resource, str(bucket)
