"""The base tree that all hosts share: made once for all runs, and kept for the next ones."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from e2e.hosts import recipe
from e2e.hosts.claims import SHARED, lock, runs
from e2e.hosts.commands import attempt, run

_KEPT_S = 3 * 24 * 3600


def base() -> Path:
    """The tree; made if need be, once, however many ask."""
    wanted = _folder()
    if not (wanted / "tree").is_dir():
        with lock("base.lock"):
            if not (wanted / "tree").is_dir():
                begun = time.monotonic()
                print(f"test hosts' base tree {wanted}: about two minutes", flush=True)
                _remove_old()
                _build(wanted)
                print(f"test hosts' base tree: made in {time.monotonic() - begun:.0f} s", flush=True)
    os.utime(wanted)
    return wanted / "tree"


def key() -> Path:
    """The private key that opens every host of this base."""
    return _folder() / "key"


@cache
def _folder() -> Path:
    """Where the base that fits the recipe and this machine's settings is, or will be."""
    return SHARED / f"base-{hashlib.sha256(recipe.ingredients()).hexdigest()[:16]}"


def _remove_old() -> None:
    """Drafts, and bases that nobody has used for long, unless a host may stand on one."""
    for path in SHARED.glob("draft-*"):
        attempt("umount", "--lazy", path / "merged")
        shutil.rmtree(path, ignore_errors=True)
    if not any(run.alive() for run in runs()):
        for path in SHARED.glob("base-*"):
            if time.time() - path.stat().st_mtime > _KEPT_S:
                shutil.rmtree(path, ignore_errors=True)


def _build(wanted: Path) -> None:
    draft = SHARED / f"draft-{os.getpid()}"
    (draft / "tree").mkdir(parents=True)
    (SHARED / "debs").mkdir(exist_ok=True)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test hosts", "-f", draft / "key")
    with _volatile(draft) as tree:
        recipe.fill(tree, SHARED / "debs", (draft / "key.pub").read_text())
    for name in ("nothing", "work", "merged"):
        shutil.rmtree(draft / name)
    run("sync", "--file-system", draft, timeout=600)
    draft.replace(wanted)


@contextmanager
def _volatile(draft: Path) -> Iterator[Path]:
    """The tree through an overlay that syncs nothing: a draft that was cut short is never looked at again."""
    for name in ("nothing", "work", "merged"):
        (draft / name).mkdir()
    layers = f"lowerdir={draft / 'nothing'},upperdir={draft / 'tree'},workdir={draft / 'work'}"
    mount = ("mount", "-t", "overlay", "base")
    if attempt(*mount, "-o", f"{layers},volatile", draft / "merged").returncode:
        run(*mount, "-o", layers, draft / "merged")
    try:
        yield draft / "merged"
    finally:
        run("umount", draft / "merged")
