"""What the training's two Pythons must agree on, read from the files: the old one's cannot be imported here."""

from __future__ import annotations

import ast
import fnmatch
from pathlib import Path
from typing import Any

import pytest

from iblvideo_admin.rigs import NETWORKS

TRAINING = Path(__file__).parents[2] / "training"


def constant(file: str, name: str) -> Any:
    """A literal that ``file`` assigns to ``name`` at its top level."""
    for statement in ast.parse((TRAINING / file).read_text()).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == name:
            return ast.literal_eval(statement.value)
    raise AssertionError(f"{file} sets no {name}")


def test_folders_match_the_rigs() -> None:
    folders = constant("networks.py", "FOLDERS")
    assert set(folders) == set(NETWORKS)
    for name, folder in folders.items():
        assert fnmatch.fnmatch(folder, NETWORKS[name].folder)


def test_crops_are_cut_by_the_margin_they_were_rendered_with() -> None:
    assert constant("train.py", "MARGIN") == constant("crops.py", "MARGIN") > 0


@pytest.mark.parametrize("file", ["networks.py", "train.py", "predict.py"])
def test_files_for_the_old_python_use_its_syntax(file: str) -> None:
    ast.parse((TRAINING / file).read_text(), feature_version=(3, 7))


def test_every_network_has_a_recipe_and_data() -> None:
    source = (TRAINING / "train.py").read_text()
    for name in NETWORKS:
        assert f'"{name}": Recipe(' in source
    assert set(constant("crops.py", "CLIPS")) | set(constant("crops.py", "FRAMES")) == set(NETWORKS)
