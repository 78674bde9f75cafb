"""What we write into Alyx: versions, claims, and logs that are bounded and hold no secret."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable

import iblvideo_admin

LOG_BYTES = 100_000
_MOST_VERSION = 64  # characters that Alyx takes
_SECRETS = (
    re.compile(r"(?<=//)[^/@\s]+@"),  # a login in an address
    re.compile(r"(?i)\b(authorization|token|password|passwd|pwd|secret)(\W{1,3})(basic |bearer |token )?[^\s,;'\"]+"),
    re.compile(r"\b[0-9a-f]{40}\b(?![0-9a-f])"),  # a token of Alyx's
)
_LEFT_OUT = "[left out]"


def version(weights: str = "") -> str:
    """Of what made a result: this program, and the networks."""
    text = f"iblvideo-admin_{iblvideo_admin.__version__}"
    return (f"{text}+{weights}" if weights else text)[:_MOST_VERSION]


def weights_in(version: str) -> str:
    """The networks that :func:`version` names; empty where another program made it."""
    program, _, weights = version.partition("+")
    return weights if program.startswith("iblvideo-admin_") else ""


def claim(nonce: str) -> str:
    """A claimed task's log: who has it, and which claim it was."""
    return f"iblvideo-admin on {socket.gethostname()}, claim {nonce}"


def is_claim(log: object, nonce: str) -> bool:
    """Whether a log is this claim's, whatever the server is called by now."""
    return str(log).startswith("iblvideo-admin on ") and str(log).rstrip().endswith(f"claim {nonce}")


def clean(text: str, secrets: Iterable[str]) -> str:
    """A text without secrets, and without what Alyx's database cannot hold."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, _LEFT_OUT)
    text = _SECRETS[0].sub("", text)
    text = _SECRETS[1].sub(lambda match: f"{match[1]}{match[2]}{_LEFT_OUT}", text)
    text = _SECRETS[2].sub(_LEFT_OUT, text)
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def bounded(text: str, limit: int = LOG_BYTES) -> str:
    """A text of at most so many bytes: its beginning and its end."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= limit:
        return text
    begin, end = raw[: limit // 8], raw[-(limit - limit // 8 - 100) :]
    left_out = len(raw) - len(begin) - len(end)
    return f"{begin.decode('utf-8', 'ignore')}\n... {left_out} bytes left out ...\n{end.decode('utf-8', 'ignore')}"
