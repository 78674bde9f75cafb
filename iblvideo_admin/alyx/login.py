"""ONE's parameters as the role ``one`` has written them: read, closed to others, and never asked for."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from iblvideo_admin.errors import UserError
from iblvideo_admin.files import read_json
from iblvideo_admin.settings import Settings


def folder() -> Path:
    """ONE's own folder of this user.  Raises ``alyx.not_configured`` for a user without a home."""
    try:
        return Path.home() / ".one"
    except RuntimeError:
        raise UserError("alyx.not_configured", "this user has no home, in which ONE's parameters could be") from None


def url(settings: Settings, *, close: bool = False) -> str:
    """The address of the Alyx that is meant, without a slash at its end, for which ONE has parameters.

    Raises ``alyx.not_configured``: ONE itself would ask, or write parameters of another Alyx.
    """
    place = folder()
    if close:
        _close(place)
    caches = read_json(place / ".caches") or {}
    clients = caches.get("CLIENT_MAP")
    clients = clients if isinstance(clients, dict) else {}
    address = settings.alyx_url.rstrip("/")
    key = _key(address) if address else caches.get("DEFAULT")
    if not isinstance(key, str) or key not in clients:
        wanted = address or "any Alyx"
        raise UserError("alyx.not_configured", f"ONE's parameters in {place} know no login for {wanted}")
    parameters = read_json(place / f".{key}")
    if parameters is None:
        raise UserError("alyx.not_configured", f"{place / f'.{key}'} cannot be read, or is damaged")
    found = address or str(parameters.get("ALYX_URL") or "").rstrip("/")
    if not found.startswith(("http://", "https://")) or "@" in found:
        raise UserError("alyx.not_configured", "alyx_url must be an address as in https://alyx.example.org")
    if not parameters.get("ALYX_LOGIN"):
        raise UserError("alyx.not_configured", f"{place / f'.{key}'} names no ALYX_LOGIN")
    return found


def _key(address: str) -> str:
    """As ONE calls its file: without the scheme, with ``_`` for ``:``."""
    return address.split("://", 1)[-1].replace(":", "_")


def _close(place: Path) -> None:
    """Nobody else may read the passwords: ONE makes its files open to all."""
    with suppress(OSError):  # not there, or not ours to change
        if place.stat().st_mode & 0o077 and place.stat().st_uid == os.geteuid():
            place.chmod(0o700)
        for path in place.glob(".*"):
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077 and status.st_uid == os.geteuid():
                path.chmod(0o600)
