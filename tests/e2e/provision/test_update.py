"""Another version comes, goes back, fails; the queue stands still meanwhile; and at the end nothing of ours is left."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from e2e.hosts import Host
from e2e.provision.converged import OTHERS, TABLE, Converged, drop, told, wait_for
from e2e.provision.listing import listing
from e2e.provision.makers import ROOT, SESSIONS
from e2e.provision.site import Site

pytestmark = [pytest.mark.xdist_group("hosts"), pytest.mark.timeout(2400), pytest.mark.full]

CLI = "/opt/iblvideo/cli"
OTHER_PARTS = {"dlc": "/opt/iblvideo/envs/dlc-tf1-cpu", "weights": "/opt/iblvideo/weights"}
UNITS = ("iblvideo-admin.service", "iblvideo-admin-check.timer", "iblvideo-admin-metrics.timer")
GONE = (
    *("usr/local/cuda-10.0", "usr/local/bin/iblvideo-admin", "usr/local/bin/dlc", "etc/iblvideo-admin/config.toml"),
    *("etc/systemd/system/iblvideo-admin.service", "etc/logrotate.d/iblvideo-admin"),
    "home/deploy/Documents/PYTHON/envs/dlc",
)


def checkout(folder: Path, version: str, **changed: str) -> Path:
    """A copy of this checkout whose package says another version; ``changed``: file -> text put at its end."""
    names = subprocess.run(
        ["/usr/bin/env", "git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True
    ).stdout.decode()
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    package = folder / "iblvideo_admin/__init__.py"
    package.write_text(re.sub('__version__ = "[^"]+"', f'__version__ = "{version}"', package.read_text()))
    for name, text in changed.items():
        with (folder / name).open("a") as file:
            file.write(text)
    return folder


def later(folder: Path) -> Path:
    """That checkout with what a later version brings: a setting and a table that today's knows nothing of."""
    package = folder / "iblvideo_admin"
    settings = (package / "settings.py").read_text()
    (package / "settings.py").write_text(
        settings.replace(
            "    sources: tuple", '    brand_new: bool = _described(False, "whatever")\n    sources: tuple'
        )
    )
    with (folder / "roles/iblvideo_admin/templates/config.toml.j2").open("a") as file:
        file.write("brand_new = true\n")
    with (package / "queue/schema.py").open("a") as file:
        file.write('\n\nMIGRATIONS = (*MIGRATIONS, "schema_later.sql")\n')
    (package / "queue/schema_later.sql").write_text("CREATE TABLE brand_new (value TEXT);\n")
    return folder


def in_use(host: Host, folder: str = CLI) -> str:
    return host.ssh("readlink", f"{folder}/current").stdout.strip()


def of(converged: Converged, root: Path) -> Site:
    """The same servers, from another checkout."""
    site = converged.site
    return Site(site.hosts, site.folder, site.servers, root=root, **site.variables)


def test_update_and_back(converged: Converged, recording: Path, tmp_path: Path) -> None:
    host = converged.host
    host.ssh("sudo", "systemctl", "start", "iblvideo-admin")
    if told(host, "status")["data"]["held"]:
        told(host, "queue", "release")
    before = in_use(host)
    others = {part: in_use(host, folder) for part, folder in OTHER_PARTS.items()}
    drop(host, recording, "KS001/2026-02-01/001")
    said = of(converged, later(checkout(tmp_path / "next", "9.9.0"))).play("playbooks/update.yml").good()
    print(f"update {said.seconds:.0f} s")
    assert in_use(host).startswith("9.9.0+") and in_use(host) != before
    assert host.ssh("iblvideo-admin", "--version").stdout.strip().endswith("9.9.0")
    assert not told(host, "status")["data"]["held"]
    assert told(host, "config", "show")["data"]["settings"]["brand_new"] is True
    wait_for(host, "KS001/2026-02-01/001")
    back = converged.site.play("playbooks/rollback.yml").good()
    assert {part: in_use(host, folder) for part, folder in OTHER_PARTS.items()} == others, (
        "only what the update changed"
    )
    print(f"rollback {back.seconds:.0f} s")
    assert in_use(host) == before
    assert not told(host, "status")["data"]["held"]
    drop(host, recording, "KS001/2026-02-02/001")
    wait_for(host, "KS001/2026-02-02/001")


def test_an_update_that_fails_leaves_what_was(converged: Converged, tmp_path: Path) -> None:
    host, before = converged.host, in_use(converged.host)
    earlier = host.ssh("readlink", f"{CLI}/previous").stdout
    broken = {"iblvideo_admin/gpu/check.py": "\n\nraise RuntimeError('broken')\n"}
    said = of(converged, later(checkout(tmp_path / "broken", "9.9.1", **broken))).play("playbooks/update.yml")
    said.failed("The update failed, and this server is back at what it had before", before)
    assert in_use(host) == before
    assert host.ssh("readlink", f"{CLI}/previous").stdout == earlier, "a rollback would lead to what failed"
    assert host.ssh("systemctl", "is-active", "iblvideo-admin").stdout.strip() == "active"
    assert not told(host, "status")["data"]["held"]
    assert "brand_new" not in (host.root / "etc/iblvideo-admin/config.toml").read_text()


def test_somebody_elses_hold_stays(converged: Converged) -> None:
    assert told(converged.host, "queue", "hold", "--why", "the room is being painted")["exit_code"] == 0
    converged.site.play("playbooks/rollback.yml", rollback_parts=["cli"]).good()
    assert "painted" in told(converged.host, "status")["data"]["held"]
    told(converged.host, "queue", "release")


def test_the_hold_of_a_run_that_never_came_back_is_ours(converged: Converged) -> None:
    host = converged.host
    why = ("--why", "ansible-playbook is at work")
    host.ssh("sudo", "-u", "iblvideo", "iblvideo-admin", "queue", "hold", *why)
    converged.site.play("playbooks/rollback.yml").good()
    assert not told(host, "status")["data"]["held"]


def test_what_is_switched_off_goes_away_and_comes_back(converged: Converged) -> None:
    host, site = converged.host, converged.site
    tags = ("--tags", "base,iblvideo_admin,monitoring")
    off = {"iblvideo_admin_service": False, "iblvideo_admin_check_daily": False, "monitoring_metrics": False}
    site.play("site.yml", *tags, **off).good()
    assert host.ssh("systemctl", "list-unit-files", "iblvideo*", "--no-legend", check=False).stdout == ""
    assert host.ssh("systemctl", "is-active", *UNITS, check=False).stdout.split() == ["inactive"] * 3
    assert site.play("site.yml", *tags, **off).good().changes() == []
    site.play("site.yml", *tags).good()
    assert host.ssh("systemctl", "is-active", *UNITS).stdout.split() == ["active"] * 3


def test_a_run_that_died_before_the_service_was_started_anew_is_made_good(converged: Converged) -> None:
    """The unit is there and nothing will write it again, but what runs is an older one."""
    host, site = converged.host, converged.site
    since = host.ssh("systemctl", "show", "-p", "ActiveEnterTimestampMonotonic", "iblvideo-admin").stdout
    host.ssh("sudo", "rm", f"{CLI}/in-force.sha256")
    site.play("site.yml", "--tags", "base,iblvideo_admin").good()
    assert host.ssh("systemctl", "show", "-p", "ActiveEnterTimestampMonotonic", "iblvideo-admin").stdout != since
    assert site.play("site.yml", "--tags", "base,iblvideo_admin").good().changes() == []


def test_uninstall_takes_only_what_is_ours(converged: Converged) -> None:
    host, site = converged.host, converged.site
    tables = list((host.root / SESSIONS.lstrip("/")).rglob(Path(TABLE).name))
    assert tables
    site.play("playbooks/uninstall.yml", "--check").good()
    assert host.ssh("iblvideo-admin", "--version").returncode == 0
    site.play("playbooks/uninstall.yml").good()
    assert listing(host.root, OTHERS) == converged.bare
    assert all(path.exists() for path in tables)
    assert sorted(path.name for path in (host.root / "opt/iblvideo").iterdir()) == ["weights"]
    assert (host.root / "var/lib/iblvideo-admin/ledger.sqlite").exists()
    for gone in GONE:
        assert not (host.root / gone).exists() and not (host.root / gone).is_symlink(), gone
    assert host.ssh("systemctl", "--failed", "--no-legend").stdout == ""
    assert site.play("playbooks/uninstall.yml").good().changes() == []
