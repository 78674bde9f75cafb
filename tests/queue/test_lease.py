"""Leases: who holds one, and who is ended because of it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from iblvideo_admin.queue.lease import Lease, end_holders, is_taken

_LOOKS = "import sys, time; file = open(sys.argv[1]); print(flush=True); time.sleep(60)"


def test_who_holds_it_is_ended_and_who_only_looks_is_not(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lease = Lease.take(path)
    assert lease is not None
    heir = subprocess.Popen(["/bin/sleep", "60"], pass_fds=(lease.descriptor,))
    lease.release()
    with subprocess.Popen([sys.executable, "-c", _LOOKS, path], stdout=subprocess.PIPE) as looking:
        assert looking.stdout is not None
        looking.stdout.readline()
        end_holders(path)
        assert heir.wait(10) == -signal.SIGKILL and not is_taken(path)
        assert looking.poll() is None
        looking.kill()


def test_it_does_not_end_itself(tmp_path: Path) -> None:
    with Lease.take(tmp_path / "lock") or Lease(tmp_path, 0):
        end_holders(tmp_path / "lock")
