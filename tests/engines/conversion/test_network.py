"""Converted networks give what TensorFlow 1.13.1 gave (references/, made once by make_references.py)."""

from __future__ import annotations

import json
from pathlib import Path

import made_up
import numpy as np
import onnxruntime
import pytest

from iblvideo_admin.engines.conversion import FRAMES, compare, network
from iblvideo_admin.errors import UserError

LONG = ("resnet_101", "resnet_152")
KINDS = [pytest.param(kind, marks=[pytest.mark.full] if kind in LONG else []) for kind in made_up.NET_TYPES]
SMALL = "mobilenet_v2_0.35"


def reference(kind: str) -> dict:
    return json.loads((Path(made_up.FOLDER) / f"{kind}.json").read_text())


def made(kind: str) -> dict[str, np.ndarray]:
    return made_up.variables(kind, made_up.shapes(kind), reference(kind)["head"])


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_same_network(kind: str) -> None:
    """Every point of every set of pictures, of four sizes; and the references' own points are worth comparing."""
    wanted = reference(kind)["points"]
    model = network.build("made", made_up.description(kind), made(kind)).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    for name, size in made_up.SIZES.items():
        right = np.array(wanted[name], np.float32)
        (found,) = session.run(None, {FRAMES: made_up.pictures(size)})
        assert found.shape == right.shape == (size[0], made_up.POINTS, 3)
        assert ((right[..., 2] > compare.JUDGED[0]) & (right[..., 2] < compare.JUDGED[1])).all()
        assert np.abs(found - right)[..., :2].max() <= compare.LARGEST_PX, name
        assert np.abs(found - right)[..., 2].max() <= compare.LARGEST_LIKELIHOOD, name
    square = np.array(wanted["square"])
    assert np.ptp(square[..., :2].reshape(-1, 2), axis=0).min() > 20


def test_a_description_that_says_nothing_has_deeplabcuts_defaults() -> None:
    few = {"net_type": SMALL, "all_joints": made_up.DESCRIPTION["all_joints"], "stride": None}
    whole = network.build("made", made_up.description(SMALL), made(SMALL))
    assert network.build("made", few, made(SMALL)).SerializeToString() == whole.SerializeToString()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"net_type": "efficientnet-b0"}, "efficientnet-b0; converted are: resnet_50"),
        ({"output_stride": 8}, "stride 8"),
        ({"location_refinement": False}, "location_refinement False"),
        ({"deconvolutionstride": 4}, "deconvolutionstride 4"),
    ],
)
def test_other_kinds_are_refused(change: dict, said: str) -> None:
    with pytest.raises(UserError, match=said) as raised:
        network.build("made", made_up.description(SMALL) | change, made(SMALL))
    assert raised.value.code == "weights.not_convertible"


@pytest.mark.parametrize("lacks", ["MobilenetV2/Conv/weights", "pose/locref_pred/block4/biases"])
def test_a_variable_that_is_missing_is_named(lacks: str) -> None:
    some = {name: value for name, value in made(SMALL).items() if name != lacks}
    with pytest.raises(UserError, match=f"lacks {lacks}") as raised:
        network.build("made", made_up.description(SMALL), some)
    assert raised.value.code == "weights.damaged"


def test_what_does_not_belong_is_named() -> None:
    """A deeper network's snapshot under a shallow one's description would be cut off without a word."""
    more = made(SMALL) | {"MobilenetV2/expanded_conv_17/expand/weights": np.zeros((1, 1, 3, 3), np.float32)}
    with pytest.raises(UserError, match="it also has MobilenetV2/expanded_conv_17"):
        network.build("made", made_up.description(SMALL), more)


def test_the_number_of_points_is_the_snapshots() -> None:
    fewer = made_up.description(SMALL) | {"all_joints": [[0], [1]]}
    with pytest.raises(UserError, match="it has 3 points, its description 2"):
        network.build("made", fewer, made(SMALL))


def test_what_training_leaves_is_passed_over() -> None:
    """Optimiser slots, and the heads that only training uses."""
    kept = [name for name in reference("resnet_50")["variables"] if network.of_network(name)]
    assert len(kept) == len(reference("resnet_50")["variables"])
    for name in ("resnet_v1_50/conv1/weights/Momentum", "pose/intermediate_supervision/block4/weights", "global_step",
                 "beta1_power", "MobilenetV2/Conv/weights/Adam_1"):  # fmt: skip
        assert not network.of_network(name)
