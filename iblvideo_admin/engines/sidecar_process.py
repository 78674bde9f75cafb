"""A child process with a pipe in each direction, which is not asked before it is ended."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from iblvideo_admin.errors import UserError

KILL_LIMIT_S = 1.0  # a lost GPU can hold a process in the kernel for ever: the job goes on without waiting for it
_PERHAPS: dict[int, str] = {
    signal.SIGKILL: "; if nobody did that, the kernel ran out of memory (see `dmesg`)",
    signal.SIGABRT: "; its log says why (std::bad_alloc: the server's memory did not suffice)",
}


class SidecarProcess:
    """``python script IN OUT`` in a session of its own, so that Ctrl-C on the terminal is ours alone.

    ``log`` receives what it prints, ``lease`` are descriptors that it inherits.  ``to_child`` and ``from_child``
    belong to the caller.  Raises ``toolchain.not_provisioned`` where it cannot be run.
    """

    def __init__(
        self, python: Path, script: Path, log: IO[bytes], environment: Mapping[str, str], lease: tuple[int, ...]
    ) -> None:
        self._python = python
        child_in, self.to_child = os.pipe()
        self.from_child, child_out = os.pipe()
        try:
            self._process = subprocess.Popen(
                [str(python), "-u", str(script), str(child_in), str(child_out)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=sidecar_environment(environment),
                pass_fds=(child_in, child_out, *lease),
                start_new_session=True,
            )
        except OSError as error:
            os.close(self.to_child)
            os.close(self.from_child)
            reason = f"{python} cannot be run: {error.strerror}"
            raise UserError("toolchain.not_provisioned", reason) from error
        finally:
            os.close(child_in)
            os.close(child_out)
        self.pid = self._process.pid

    def kill(self) -> bool:
        """End it and its children; whether that came about."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(KILL_LIMIT_S)
        return self._process.returncode is not None

    def death(self, *, spoke: bool) -> UserError:
        """Why it closed its pipe; ``spoke`` says whether it had ever said a word."""
        try:
            status = self._process.wait(KILL_LIMIT_S)
        except subprocess.TimeoutExpired:
            return UserError("engine.garbage", "the engine's process closed its pipe but goes on")
        if status >= 0 and not spoke:
            reason = f"{self._python} is not the toolchain's Python: it ended at once with status {status}, see the log"
            return UserError("toolchain.not_provisioned", reason)
        if status >= 0:
            return UserError("engine.crashed", f"the engine's process ended with status {status}")
        name = next((known.name for known in signal.Signals if known == -status), f"signal {-status}")
        return UserError("engine.crashed", f"the engine's process was ended by {name}{_PERHAPS.get(-status, '')}")


def sidecar_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The process's environment: this one's, without what would leak a modern Python into the old one."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**own, "DLClight": "True", "MPLBACKEND": "Agg", "PYTHONNOUSERSITE": "1",
            "TF_FORCE_GPU_ALLOW_GROWTH": "true", **extra}  # fmt: skip
