"""site.yml really run against this machine, without root, in one folder."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from iblvideo_admin import toolchains

Play = Callable[..., "subprocess.CompletedProcess[str]"]
ROOT = Path(__file__).resolve().parents[2]
INVENTORY = "demo/inventory"


def counts(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    recap = re.search(r"^localhost\s*:(.*)$", done.stdout, flags=re.MULTILINE)
    assert recap, done.stdout + done.stderr
    return {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", recap[1])}


def test_check_mode_on_a_bare_host(play: Play, tmp_path: Path, weights: Path) -> None:
    folder = tmp_path / "bare host"
    done = play("site.yml", "--check", inventory=INVENTORY, demo_folder=str(folder), weights_source=str(weights))
    assert done.returncode == 0, done.stdout + done.stderr
    assert counts(done)["changed"] > 10
    assert not folder.exists()


def test_the_tests_own_environment_was_built_by_the_roles(dlc_python: Path, play: Play) -> None:
    """`make test` built it just before; a second run finds nothing to do."""
    toolchain = toolchains.load("dlc-tf1-cpu")
    current = dlc_python.parent.parent
    if ROOT not in dlc_python.parents:
        pytest.skip("SKIPPED: the environment was named by hand")
    assert current.readlink() == Path(toolchain.lock_sha256()[:12])
    done = play(
        "playbooks/environment.yml",
        inventory=INVENTORY,
        demo_folder=str(ROOT / ".cache"),
        dlc_envs_dir=str(ROOT / ".cache"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert counts(done)["changed"] == 0


def test_a_link_that_is_not_ours_is_named(play: Play, tmp_path: Path) -> None:
    (tmp_path / "envs/dlc-tf1-cpu/current").mkdir(parents=True)
    done = play("playbooks/environment.yml", inventory=INVENTORY, demo_folder=str(tmp_path), toolchain="dlc-tf1-cpu")
    assert done.returncode != 0
    assert f"path.taken: {tmp_path}/envs/dlc-tf1-cpu/current" in " ".join(done.stdout.split())


def test_missing_packages_are_named_with_the_command(play: Play, tmp_path: Path) -> None:
    done = play(
        "playbooks/environment.yml",
        "--tags",
        "base",
        inventory=INVENTORY,
        demo_folder=str(tmp_path),
        base_extra_packages=["no-such-package", "nor-this"],
    )
    assert done.returncode != 0
    said = " ".join(done.stdout.split())
    assert "missing: no-such-package, nor-this." in said
    assert "apt-get install no-such-package nor-this" in said


@pytest.mark.parametrize(
    ("tags", "roles"),
    [
        ("base,cuda,cudnn", {"base", "cuda", "cudnn"}),
        ("cuda", {"base", "cuda"}),
        ("dlc", {"base", "python", "dlc"}),
        ("weights", {"base", "weights"}),
        ("one", {"base", "one"}),
    ],
)
def test_a_tag_selects_its_role_and_what_it_needs(play: Play, tags: str, roles: set[str]) -> None:
    """The checks of base come always; no Python is built, and nothing downloaded, for a role that was not named."""
    done = play("playbooks/provision.yml", "--list-tasks", "--tags", tags, inventory=INVENTORY)
    assert done.returncode == 0, done.stderr
    named = re.findall(r"^ +(\w+) : (?!Validating arguments)", done.stdout, flags=re.MULTILINE)
    assert set(named) == roles


def test_an_unknown_toolchain_is_answered_with_the_known(play: Play, tmp_path: Path) -> None:
    done = play("playbooks/environment.yml", inventory=INVENTORY, demo_folder=str(tmp_path), toolchain="tf9")
    assert done.returncode != 0
    assert f"wanted is one of: auto, {', '.join(toolchains.names())}" in " ".join(done.stdout.split())


@pytest.mark.parametrize(("line", "wanted"), [pytest.param("0", "0", marks=pytest.mark.full), ("0,1", "0,1")])
def test_cards_as_an_inventory_names_them(play: Play, tmp_path: Path, line: str, wanted: str) -> None:
    """In INI a 0 is a number, and 0,1 a list. `--tags configure` alone knows which version it is about, too."""
    (tmp_path / "inventory").write_text((ROOT / INVENTORY).read_text() + f"\niblvideo_admin_gpus={line}\n")
    done = play(
        "site.yml", "--check", "--diff", "--tags", "base,configure", "--skip-tags", "weights,dlc",
        inventory=str(tmp_path / "inventory"), demo_folder=str(tmp_path / "folder"),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r'^\+gpus = "(.*)"$', done.stdout, flags=re.MULTILINE) == [wanted]


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_converges_and_changes_nothing_the_second_time(play: Play, tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    (folder / "Subjects").mkdir(parents=True)
    first = play("site.yml", inventory=INVENTORY, demo_folder=str(folder))
    assert first.returncode == 0, first.stdout + first.stderr
    second = play("site.yml", inventory=INVENTORY, demo_folder=str(folder))
    assert second.returncode == 0, second.stdout + second.stderr
    assert counts(second)["changed"] == 0
    # readline sets COLUMNS where os.environ does not see it, and children do
    unwrapped = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    status = subprocess.run(
        [folder / "bin/iblvideo-admin", "status"], capture_output=True, encoding="utf-8", check=False, env=unwrapped
    )
    assert status.returncode == 0, status.stderr
    assert str(folder / "config.toml") in status.stdout
