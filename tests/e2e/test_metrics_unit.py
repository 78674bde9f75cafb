"""The timer's service under a real systemd: whole files, in a folder that stays the node exporter's."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest
import yaml
from e2e.hosts import Host, Hosts

pytestmark = [pytest.mark.xdist_group("hosts"), pytest.mark.timeout(300)]

ROLE = Path(__file__).resolve().parents[2] / "roles/monitoring"
FOLDER, COMMAND = "/var/lib/prometheus/node-exporter", "/opt/iblvideo/cli/current/bin/iblvideo-admin"
FILE = f"{FOLDER}/iblvideo_admin.prom"
UNIT = "iblvideo-admin-metrics"


def rendered(name: str) -> str:
    """A unit as the role writes it with its defaults."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701  no HTML
    own = {**yaml.safe_load((ROLE / "defaults/main.yml").read_text()), "ansible_managed": "by Ansible"}
    others = {"base_user": "deploy", "base_group": "deploy", "iblvideo_admin_cli_dir": "/opt/iblvideo/cli",
              "iblvideo_admin_config_file": "/etc/none.toml",
              "iblvideo_admin_state_dir": "/var/lib/iblvideo-admin"}  # fmt: skip
    variables = {**own, **others}
    for key, value in yaml.safe_load((ROLE / "vars/main.yml").read_text()).items():
        variables[key] = environment.from_string(value).render(variables) if isinstance(value, str) else value
    return environment.from_string((ROLE / f"templates/{name}.j2").read_text()).render(variables) + "\n"


def write(host: Host, path: str, text: str, mode: str = "644") -> None:
    host.ssh("sudo", "mkdir", "-p", str(Path(path).parent))
    host.ssh("sudo", "tee", path, input=text)
    host.ssh("sudo", "chmod", mode, path)


def test_a_whole_file_or_the_old_one(hosts: Hosts) -> None:
    host = hosts.boot()
    for name in (f"{UNIT}.service", f"{UNIT}.timer"):
        write(host, f"/etc/systemd/system/{name}", rendered(name))
    write(host, COMMAND, '#!/bin/sh\nid -un >/tmp/who\necho "iblvideo_attention 1"\n', "755")
    host.ssh("sudo", "mkdir", "-p", FOLDER)
    before = host.ssh("stat", "-c", "%U %G %a", FOLDER).stdout
    assert host.ssh("systemd-analyze", "verify", f"/etc/systemd/system/{UNIT}.timer").stderr == ""
    host.ssh("sudo", "systemctl", "daemon-reload")

    host.ssh("sudo", "systemctl", "start", f"{UNIT}.service")
    assert host.ssh("cat", FILE).stdout == "iblvideo_attention 1\n"
    assert host.ssh("stat", "-c", "%U %G %a", FOLDER).stdout == before
    assert host.ssh("stat", "-c", "%a", FILE).stdout == "644\n"

    # neither half a file nor an empty one takes the place of what is there
    write(host, COMMAND, '#!/bin/sh\necho "iblvideo_attention 2"\nexit 3\n', "755")
    assert host.ssh("sudo", "systemctl", "start", f"{UNIT}.service", check=False).returncode != 0
    assert host.ssh("cat", FILE).stdout == "iblvideo_attention 1\n"

    # a shorter text leaves nothing of a longer one behind, and the sandbox holds
    write(host, COMMAND, "#!/bin/sh\ntouch /etc/x /usr/x 2>/dev/null || echo a\n", "755")
    host.ssh("sudo", "systemctl", "start", f"{UNIT}.service")
    assert host.ssh("cat", FILE).stdout == "a\n"
    host.ssh("sudo", "systemctl", "start", f"{UNIT}.timer")
    assert "active" in host.ssh("systemctl", "is-active", f"{UNIT}.timer").stdout
