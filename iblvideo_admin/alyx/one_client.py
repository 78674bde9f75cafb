"""ONE's own client with what the recording shows it to lack: time limits, patience that is ours, closed files.

It is the only module that imports ONE, whose import takes seconds.  ONE would wait up to 40 minutes by itself where
Alyx is throttled, log in without end where a token is refused each time, and write tokens into its files, in place; a
kill just then would lose the password that stands beside them.  So tokens of ours live in memory.
"""

from __future__ import annotations

import functools
from typing import Any

import requests
from one import params
from one.webclient import AlyxClient

from iblvideo_admin.alyx.limits import limited

_LEAST_SECRET = 4  # shorter ones would blot out half of a text
_LOGINS = 2  # within one call: a token that has died, and that is all


class LimitedClient(AlyxClient):  # type: ignore[misc]
    """``AlyxClient`` for a service: silent, without caches, every request limited (see :mod:`alyx.limits`)."""

    max_retry_attempts = 0
    _par: Any
    _token: Any
    _headers: dict[str, str]

    def __init__(self, url: str) -> None:
        self._logins = 0
        super().__init__(base_url=url, silent=True, cache_rest=None)

    def secrets(self) -> list[str]:
        """What must not be seen in any text."""
        known = [getattr(self._par, "ALYX_PWD", None), getattr(self._par, "HTTP_DATA_SERVER_PWD", None)]
        for token in (*self._tokens().values(), self._token):
            known += token.values() if isinstance(token, dict) else []
        return [secret for secret in known if isinstance(secret, str) and len(secret) >= _LEAST_SECRET]

    def data_server(self) -> tuple[str, str | None, str | None]:
        """The data server's address, login and password."""
        par = self._par
        login, password = getattr(par, "HTTP_DATA_SERVER_LOGIN", None), getattr(par, "HTTP_DATA_SERVER_PWD", None)
        return str(getattr(par, "HTTP_DATA_SERVER", None) or "").rstrip("/"), login, password

    def begin(self) -> None:
        """A new call begins."""
        self._logins = 0
        self._attempt_counter = 0

    @functools.wraps(AlyxClient._generic_request)  # noqa: SLF001  ONE has no other place for a time limit
    def _generic_request(self, reqfunction: Any, rest_query: str, *arguments: Any, **options: Any) -> Any:
        return super()._generic_request(limited(reqfunction), rest_query, *arguments, **options)

    def authenticate(self, username: Any = None, password: Any = None, cache_token: bool = True, force: bool = False,
                     token: Any = None) -> None:  # fmt: skip
        """Log in as ONE does, but in time, without a question, and without a file.  Raises HTTPError."""
        del cache_token, token
        login = username or self._par.ALYX_LOGIN
        if not force and isinstance(known := self._tokens().get(login), dict) and known:
            self._token = known
        else:
            self._logins += 1
            self._token = self._new_token(login, password or getattr(self._par, "ALYX_PWD", None))
        value = next(iter(self._token.values()))
        self._headers = {**self._headers, "Authorization": f"Token {value}"}
        self.user = login

    def logout(self) -> None:
        """Forget the token."""
        self._clear_token(self.user)

    def _clear_token(self, username: Any) -> None:
        known = {user: token for user, token in self._tokens().items() if user != username}
        self._par = self._par.set("TOKEN", known)
        self._token = None
        self._headers = {name: value for name, value in self._headers.items() if name != "Authorization"}

    def _tokens(self) -> dict[str, Any]:
        """Those in ONE's parameters, by user: a file that anybody may have written."""
        found = getattr(self._par, "TOKEN", None)
        return found if isinstance(found, dict) else {}

    def _new_token(self, login: str, password: Any) -> dict[str, str]:
        url = f"{self.base_url}/auth-token"
        if self._logins > _LOGINS or not password:
            response = requests.Response()
            response.status_code, response.url = 403, url
            raise requests.exceptions.HTTPError("no login", response=response)
        # no redirect is followed with a password
        answer = limited(requests.post)(url, data={"username": login, "password": password}, allow_redirects=False)
        if answer.status_code != requests.codes.ok:
            raise requests.exceptions.HTTPError("no login", response=answer)
        token = answer.json()["token"]
        if not isinstance(token, str):
            raise TypeError("the token is no text")
        return {"token": token}


def parameters_folder() -> str:
    """Where ONE itself thinks that its parameters are."""
    return str(params.get_params_dir())
