"""Networks with made-up weights, and pictures: the same on every Python and numpy (RandomState's stream is frozen).

For Python 3.7 too: ``make_references.py`` runs there.
"""

from __future__ import annotations

import json
import os
import zlib

import numpy as np

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "references")
NET_TYPES = (
    "resnet_50", "resnet_101", "resnet_152",
    "mobilenet_v2_1.0", "mobilenet_v2_0.75", "mobilenet_v2_0.5", "mobilenet_v2_0.35",
)  # fmt: skip
POINTS = 3
DESCRIPTION = {
    "dataset": "none",
    "num_joints": POINTS,
    "all_joints": [[number] for number in range(POINTS)],
    "all_joints_names": ["first", "second", "third"],
    "init_weights": "none",
    "location_refinement": True,
    "locref_stdev": 7.2801,
    "output_stride": 16,
    "deconvolutionstride": 2,
    "stride": 8.0,
}
# Few pictures: TensorFlow's own sums for the mobilenets' batch norm grow less exact with every one (docs/tracking.md).
SIZES = {"square": (2, 100, 100), "oblong": (1, 102, 128), "odd": (3, 61, 75), "one": (1, 160, 160)}


def description(net_type):
    """As DeepLabCut's pose_cfg.yaml has it."""
    return dict(DESCRIPTION, net_type=net_type)


def shapes(net_type):
    """Every variable of the network with its shape, as TensorFlow 1.13.1's own graph has them."""
    with open(os.path.join(FOLDER, "%s.json" % net_type)) as file:
        return {name: tuple(shape) for name, shape in json.load(file)["variables"].items()}


def variables(net_type, sizes, head):
    """Weights that keep the layers' values near 1, whatever the depth; ``head`` scales those of the two heads."""
    made = {}
    for name, shape in sorted(sizes.items()):
        random = np.random.RandomState(zlib.crc32(("%s %s" % (net_type, name)).encode("ascii")))
        part = name.rsplit("/", 1)[1]
        if part in ("weights", "depthwise_weights"):
            inputs = shape[0] * shape[1] * (1 if part == "depthwise_weights" else shape[2])
            value = random.standard_normal(shape) * np.sqrt(2.0 / inputs)
            if shape[2] == 3:  # of the first layer, whose inputs are colours
                value /= 70.0
            if name.startswith("pose/"):  # there, inputs are the last dimension
                value = random.standard_normal(shape) * head / np.sqrt(shape[3])
        elif part == "gamma":
            value = random.uniform(0.5, 1.5, shape) * (0.2 if "conv3" in name else 1.0)
        elif part == "moving_variance":
            value = random.uniform(0.5, 1.5, shape)
        else:  # beta, moving_mean, biases
            value = random.standard_normal(shape) * 0.1
        made[name] = value.astype(np.float32)
    return made


def pictures(size):
    """(N, height, width) uint8: blurred noise over a slope."""
    count, height, width = size
    random = np.random.RandomState(height * 1000 + width)
    noise = random.standard_normal((count, height + 8, width + 8))
    for axis in (1, 2):
        total = np.cumsum(noise, axis)
        noise = np.take(total, range(8, total.shape[axis]), axis) - np.take(total, range(total.shape[axis] - 8), axis)
    slope = np.linspace(-60.0, 60.0, width)
    return np.clip(120.0 + slope + 6.0 * noise, 0, 255).astype(np.uint8)
