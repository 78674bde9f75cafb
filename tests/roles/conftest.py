"""What the tests of the roles share."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
Play = Callable[..., "subprocess.CompletedProcess[str]"]


def load(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture(scope="session")
def locked_venv() -> ModuleType:
    """The Ansible module, as Python."""
    return load("roles/base/library/locked_venv.py")


@pytest.fixture(scope="session")
def weights_tree() -> ModuleType:
    """The Ansible module, as Python."""
    return load("roles/weights/library/weights_tree.py")


@pytest.fixture(scope="session")
def cards() -> ModuleType:
    """The filters that judge cards."""
    return load("roles/base/filter_plugins/cards.py")


@pytest.fixture(scope="session")
def inherited_folder() -> ModuleType:
    """The Ansible module, as Python."""
    return load("roles/dlc/library/inherited_folder.py")


@pytest.fixture(scope="session")
def held_packages() -> ModuleType:
    """The Ansible module, as Python."""
    return load("roles/nvidia_driver/library/held_packages.py")


@pytest.fixture(scope="session")
def lab_host() -> ModuleType:
    """The Ansible module, as Python."""
    return load("roles/base/library/lab_host.py")


@pytest.fixture(scope="session")
def variables() -> ModuleType:
    """The filters that judge an inventory's words."""
    return load("roles/base/filter_plugins/variables.py")


@pytest.fixture(scope="session")
def cuda_tree() -> ModuleType:
    """The Ansible module, as Python."""
    return load("roles/cuda/library/cuda_tree.py")


@pytest.fixture(scope="session")
def cudnn_tree() -> ModuleType:
    """The Ansible module, as Python."""
    return load("roles/cudnn/library/cudnn_tree.py")


@pytest.fixture(scope="session")
def switched_link() -> ModuleType:
    """The Ansible module, as Python."""
    return load("roles/base/library/switched_link.py")


@pytest.fixture(scope="session")
def removed_if_ours() -> ModuleType:
    """The Ansible module, as Python."""
    return load("roles/base/library/removed_if_ours.py")


@pytest.fixture(scope="session")
def downloaded_file() -> ModuleType:
    """The Ansible module, as Python."""
    return load("roles/base/library/downloaded_file.py")


@pytest.fixture(scope="session")
def one_parameters() -> ModuleType:
    """The Ansible module, as Python."""
    return load("roles/one/library/one_parameters.py")


@pytest.fixture(scope="session")
def servers() -> ModuleType:
    """The filters, as Python."""
    return load("roles/base/filter_plugins/servers.py")


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """A function that runs a playbook of ours, with further arguments and variables."""

    def run(
        playbook: str, *arguments: str, inventory: str | Path, **variables: object
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory)]
        if variables:
            command += ["--extra-vars", json.dumps(variables)]
        env = dict(os.environ, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_HOME=str(tmp_path / "ansible"))
        env.update(LC_ALL="C.UTF-8", ANSIBLE_NOCOLOR="1")
        return subprocess.run(
            [*command, *arguments, playbook],
            cwd=ROOT,
            env=env,
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=1500,
        )

    return run


def fake_network(folder: Path) -> None:
    """Complete as far as the weights role can see."""
    model = folder / "dlc-models/iteration-0/modelJan1-trainset95shuffle1"
    (model / "test").mkdir(parents=True)
    (model / "train").mkdir()
    (folder / "config.yaml").write_text("Task: x\n")
    (model / "test/pose_cfg.yaml").write_text("net_type: x\n")
    (model / "train/snapshot-5.index").write_bytes(b"index")
    (model / "train/snapshot-5.data-00000-of-00001").write_bytes(bytes(1000))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder that looks like the six networks."""
    root = tmp_path / "weights_v9"
    for name in ("roi_detect-a", "nose_tip-a", "eye-mic-a", "paw2-mic-a", "tongue-mic-a", "tail-mic-a"):
        fake_network(root / name)
    return root
