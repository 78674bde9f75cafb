"""A word of an inventory that nobody reads is answered; one that is meant for somebody else is not."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
RENAMED = yaml.safe_load((ROOT / "roles/base/vars/main.yml").read_text())["_base_renamed"]
# Of Ansible itself, and such as labs have for other roles.
FOREIGN = [
    "ansible_become", "ansible_facts", "ansible_host", "ansible_python_interpreter", "ansible_ssh_common_args",
    "ansible_user", "group_names", "groups", "hostvars", "inventory_dir", "inventory_file", "inventory_hostname",
    "omit", "play_hosts", "playbook_dir", "role_names", "role_path", "vars", "docker_users", "ntp_servers", "lab_name",
    "prefix", "gpus", "proxy_url", "cuda_home", "backup_dir", "mirror", "weights",
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("weights_remote_src", "weights_remote_src is called weights_on_host now."),
        ("toolchains", "toolchains is no variable of these roles: did you mean toolchain?"),
        ("gpu_expect", "gpu_expect is no variable of these roles: did you mean gpu_expected?"),
        (
            "nvidia_driver_brnach",
            "nvidia_driver_brnach is no variable of these roles: did you mean nvidia_driver_branch?",
        ),
        (
            "python_37_executable",
            "python_37_executable is no variable of these roles: did you mean python37_executable?",
        ),
        ("iblvideo_admin_gpu", "iblvideo_admin_gpu is no variable of these roles: did you mean iblvideo_admin_gpus?"),
    ],
)
def test_a_wrong_name_is_answered_with_the_right_one(variables: ModuleType, name: str, said: str) -> None:
    assert variables.misnamed([name, "toolchain", *FOREIGN], RENAMED) == [said]


def test_ours_and_others_are_let_be(variables: ModuleType) -> None:
    assert variables.misnamed([*variables.known(), *FOREIGN, "_toolchains", "__gpu_expect"], RENAMED) == []


def test_what_the_playbooks_themselves_set_is_let_be(variables: ModuleType) -> None:
    """Their own words are there when a second play begins."""
    texts = [path.read_text() for path in (*ROOT.glob("playbooks/*.yml"), *ROOT.glob("roles/*/tasks/*.yml"))]
    own = {name for text in texts for name in re.findall(r"^\s+((?:base|uninstall|rollback)_\w+):", text, re.MULTILINE)}
    assert len(own) > 8 and variables.misnamed([*own, "demo_folder"], RENAMED) == []


def test_renamed_names_lead_to_names_that_are(variables: ModuleType) -> None:
    assert set(RENAMED.values()) <= set(variables.known()) and not set(RENAMED) & set(variables.known())


@given(st.text("abcdefghijklmnopqrstuvwxyz0123456789_", min_size=1, max_size=30))
def test_any_name(variables: ModuleType, name: str) -> None:
    said = variables.misnamed([name], RENAMED)
    assert len(said) <= 1 and all(one.startswith(f"{name} is ") for one in said)
    if name in variables.known() or name.startswith("_"):
        assert said == []
