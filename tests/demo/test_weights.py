"""The demo networks that come with the package: the IBL's layout, the rigs' points, nothing superfluous."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import iblvideo_admin
from iblvideo_admin.rigs import NETWORKS, Network

WEIGHTS = Path(iblvideo_admin.__file__).parent / "demo" / "weights"


@pytest.fixture(params=list(NETWORKS))
def network(request: pytest.FixtureRequest) -> Network:
    return NETWORKS[request.param]


def test_each_network_has_one_folder_with_one_snapshot(network: Network) -> None:
    (project,) = WEIGHTS.glob(network.folder)
    (model,) = (project / "dlc-models" / "iteration-0").iterdir()
    files = sorted(path.relative_to(model).as_posix() for path in model.rglob("*") if path.is_file())
    snapshot = files[-1].removesuffix(".index")
    assert snapshot.startswith("train/snapshot-")
    assert files == [
        "test/pose_cfg.yaml",
        "train/pose_cfg.yaml",
        f"{snapshot}.data-00000-of-00001",
        f"{snapshot}.index",
    ]


def test_settings_name_the_rigs_points_and_no_place_of_the_machine_that_trained(network: Network) -> None:
    (project,) = WEIGHTS.glob(network.folder)
    config = yaml.safe_load((project / "config.yaml").read_text())
    assert tuple(config["bodyparts"]) == network.points
    assert config["project_path"] == f"/weights/{project.name}"
    model = f"{config['Task']}{config['date']}-trainset95shuffle1"
    for part in ("train", "test"):
        pose = yaml.safe_load((project / "dlc-models/iteration-0" / model / part / "pose_cfg.yaml").read_text())
        assert tuple(pose["all_joints_names"]) == network.points
        assert pose["num_joints"] == len(network.points) == len(pose["all_joints"])
        assert (pose["stride"], pose["locref_stdev"], pose["global_scale"]) == (8.0, 7.2801, 0.8)
        assert pose["net_type"] == config["default_net_type"] == "mobilenet_v2_0.35"


def test_all_networks_together_are_small() -> None:
    files = [path for path in WEIGHTS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 15e6
    assert {path.parts[len(WEIGHTS.parts)] for path in files} == {
        project.name for network in NETWORKS.values() for project in WEIGHTS.glob(network.folder)
    }
