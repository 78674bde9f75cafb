"""The Alyx of a server, as the rest of this package asks it: every failure is one :class:`TroubleError`, in time."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

from iblvideo_admin.alyx import login, trouble
from iblvideo_admin.alyx.limits import within
from iblvideo_admin.alyx.trouble import TroubleError
from iblvideo_admin.errors import UserError
from iblvideo_admin.settings import Settings

_Answer = TypeVar("_Answer")
_PAGES = 5  # a list of many pages may take so many times the limit of one request
_MOST_ON_A_PAGE = 1000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]*\Z")


class Client:
    """Raises ``alyx.not_configured`` where it is not known which Alyx is meant; asks nothing yet.

    ``close`` keeps ONE's parameters from other users' eyes: for a service, whose folder it is.
    """

    def __init__(self, settings: Settings, *, close: bool = False) -> None:
        self.settings = settings
        self.url = login.url(settings, close=close)
        self.limit_s = settings.alyx_limit_s
        self._one: Any = None
        self._registration: Any = None

    @property
    def one(self) -> Any:
        """ONE's client, made on first use.  Raises ``alyx.not_configured``."""
        if self._one is None:
            from iblvideo_admin.alyx.one_client import LimitedClient

            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    self._one = LimitedClient(self.url)
            except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
                raise UserError("alyx.not_configured", f"ONE cannot read its parameters in {login.folder()}") from error
        return self._one

    def ask(self, call: Callable[[Any], _Answer], *, times: float = 1.0) -> _Answer:
        """Ask ONE something within the limit.  Raises :class:`TroubleError`."""
        one = self.one
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                one.begin()
                return within(self.limit_s * times, lambda: call(one), each_s=self.limit_s)
        except UserError:
            raise
        except Exception as error:  # noqa: BLE001  ONE lets through what requests, urllib and json raise
            found = trouble.of(error, self.url)
            if not found.answered or found.kind == "login":
                # a call that hangs may still use it; and another password may have been written meanwhile
                self._one = self._registration = None
            raise found from None

    def list(self, endpoint: str, **filters: Any) -> list[dict[str, Any]]:
        """All rows, of all pages, each once.  A row that moved to a page behind us comes with the next list."""

        def call(one: Any) -> list[dict[str, Any]]:
            rows: list[dict[str, Any]] = []
            with suppress(IndexError):  # the list became shorter between two pages
                # ONE hands out the next page while one iterates: whoever changes rows meanwhile would skip some
                rows.extend(one.rest(endpoint, "list", no_cache=True, limit=_MOST_ON_A_PAGE, **filters))
            found = [row for row in rows if row is not None]
            if not all(isinstance(row, dict) for row in found):
                raise TypeError("a row is no object")
            return list({str(row.get("id") or row.get("url") or row.get("name")): row for row in found}.values())

        return self.ask(call, times=_PAGES)

    def read(self, endpoint: str, key: str) -> dict[str, Any]:
        """One row."""
        return self.ask(lambda one: _object(one.rest(endpoint, "read", id=key, no_cache=True)))

    def patch(self, endpoint: str, key: str, **fields: Any) -> dict[str, Any]:
        """Change these fields of a row, and no others."""
        return self.ask(lambda one: _object(one.rest(endpoint, "partial_update", id=key, data=fields)))

    def post(self, path: str, data: dict[str, Any]) -> Any:
        """Make something."""
        return self.ask(lambda one: one.post(path, data=data))

    def user(self) -> str:
        """Who is logged in."""

        def call(one: Any) -> str:
            if not one.is_logged_in:
                one.authenticate()
            return str(one.user)

        return self.ask(call)

    def registration(self) -> Any:
        """ONE's ``RegistrationClient``, which knows Alyx's dataset types."""
        if self._registration is None:

            def call(one: Any) -> Any:
                from one.registration import RegistrationClient

                return RegistrationClient(SimpleNamespace(alyx=one))

            self._registration = self.ask(call, times=_PAGES)
        return self._registration

    def protected(self, path: Path) -> bool:
        """Whether the dataset that this file would be is protected; the file need not be there."""
        registration = self.registration()
        try:
            answers = self.ask(lambda _: registration.check_protected_files([path]))
        except TroubleError as error:
            if error.kind == "refused" and "protected" in error.message:
                return True
            raise
        return any(answer.get("status_code") == 403 for answer in answers)

    def secrets(self) -> Iterable[str]:
        """What must not be seen in any text."""
        return self.one.secrets()  # type: ignore[no-any-return]


def _object(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise TypeError("the answer is no object")
    return answer


def require_names(settings: Settings) -> None:
    """Refuse names that Alyx's filters would read as something else.  Raises ``alyx.not_configured``."""
    if not settings.data_repository:
        raise UserError("alyx.not_configured", "the setting data_repository is empty")
    for name in ("data_repository", "lab"):
        value = getattr(settings, name)
        if value and not _NAME.match(value):
            raise UserError("alyx.not_configured", f"{name} = {value!r} is no name of Alyx")
