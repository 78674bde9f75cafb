"""What can go wrong between us and a server, sorted by what is to be done about it."""

from __future__ import annotations

import re
import time
from email.utils import parsedate_to_datetime
from typing import Any

from iblvideo_admin.errors import UserError

_MOST_WAIT_S = 3600.0
_LONGEST = 300
_LOGIN_IN_URL = re.compile(r"//[^/@\s]*@")


class TroubleError(Exception):
    """A request has failed.

    ``kind`` is ``away`` (no answer, or not from Alyx: try again later), ``login`` (a person must mend the login),
    ``broken`` (Alyx failed at this very request: try again a few times) or ``refused`` (it will say no again).
    ``answered`` tells whether Alyx itself has spoken, so that nothing is under way any more.
    """

    def __init__(self, kind: str, message: str, *, answered: bool = False, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.kind, self.message = kind, message
        self.answered, self.retry_after_s = answered, retry_after_s

    def as_refusal(self) -> UserError:
        """Of one task, after which nothing more is tried for it."""
        return UserError("alyx.refused", self.message)

    def as_error(self) -> UserError:
        """As the user sees it."""
        if self.kind == "login":
            return UserError("alyx.login", self.message)
        if self.kind == "refused":
            return self.as_refusal()
        return UserError("alyx.not_reachable", self.message)


def of(error: Exception, url: str) -> TroubleError:
    """What an exception of ONE's, requests' or urllib's means; ``url`` names the server to people."""
    import requests

    if isinstance(error, TroubleError):
        return error
    response = getattr(error, "response", None)
    if isinstance(error, requests.exceptions.HTTPError) and response is not None:
        return _answer(response, url)
    if isinstance(error, (OSError, ValueError)):  # all of requests' own, no connection, HTML instead of JSON
        return TroubleError("away", f"{url} does not answer: {_plain(error)}")
    # an answer of another shape than Alyx's
    return TroubleError("away", f"{url} answers oddly: {type(error).__name__} {_plain(error)}")


def _answer(response: Any, url: str) -> TroubleError:
    status = int(response.status_code)
    said, is_json = _said(response)
    where = f"{url} answers {status}: {said}"
    is_login = str(response.url).split("?")[0].endswith("/auth-token")
    if status == 401 or (is_login and status in (400, 403)) or (is_json and status == 403 and _is_no_login(said)):
        return TroubleError("login", f"{url} refuses the login ({status})", answered=True)
    if status == 500:
        return TroubleError("broken", where, answered=True)
    if status >= 500 or status == 429 or not is_json or is_login:
        # 429 is Alyx's own word, and the others a server's before it; either way nothing was done
        return TroubleError("away", where, answered=status == 429, retry_after_s=_retry_after(response))
    return TroubleError("refused", where, answered=True)


def _is_no_login(said: str) -> bool:
    return "Invalid token" in said or "credentials were not provided" in said


def _said(response: Any) -> tuple[str, bool]:
    try:
        content = response.json()
    except (ValueError, OSError):
        return "no JSON", False
    if isinstance(content, dict):
        content.pop("status_code", None)
        content = content.get("detail") or content.get("error") or content
    return _plain(content), True


def _plain(what: object) -> str:
    """One short line without a login."""
    return _LOGIN_IN_URL.sub("//", " ".join(str(what).split()))[:_LONGEST]


def _retry_after(response: Any) -> float:
    """Seconds of the header Retry-After, a number or a date; an hour at most."""
    given = response.headers.get("Retry-After", "")
    try:
        seconds = float(given)
    except ValueError:
        try:
            moment = parsedate_to_datetime(given)
            seconds = moment.timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return 0.0
    return min(max(seconds, 0.0), _MOST_WAIT_S) if seconds == seconds else 0.0  # noqa: PLR0124  NaN is no number
