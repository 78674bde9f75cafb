"""A whole network as DeepLabCut 2.1.5.2 runs it for inference: grey pictures in, points out.

Source of the heads and of the points' formula: DeepLabCut's ``pose_net.py`` (``prediction_layers``, ``inference``) and
``predict.py``: a point lies in the cell with the largest likelihood, at its centre plus the offset found for that cell,
times the offsets' standard deviation.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from iblvideo_admin.engines.conversion import FRAMES, POINTS, backbones, checkpoint
from iblvideo_admin.engines.conversion.backbones import Grey
from iblvideo_admin.engines.conversion.graph import Graph, image, integers
from iblvideo_admin.errors import UserError

# what DeepLabCut's defaults (pose_cfg) say where a network's description does not
_DEFAULTS: dict[str, Any] = {
    "stride": 8.0,
    "output_stride": 16,
    "deconvolutionstride": 2,
    "locref_stdev": 7.2801,
    "mean_pixel": [123.68, 116.779, 103.939],
    "location_refinement": True,
}
_PARTS = ("weights", "depthwise_weights", "biases", "gamma", "beta", "moving_mean", "moving_variance")
_HEADS = ("pose/part_pred/", "pose/locref_pred/")


def build(name: str, description: Mapping[str, Any], variables: Mapping[str, np.ndarray]) -> onnx.ModelProto:
    """The network as an ONNX model of any number and size of pictures.

    Input ``frames``: (N, height, width) uint8 grey.  Output ``points``: (N, points, 3) float32 x, y in px of the
    picture, likelihood.  ``description`` is DeepLabCut's (pose_cfg.yaml), ``variables`` those of :func:`of_network`.
    Raises ``weights.not_convertible`` for a kind of network that is none of DeepLabCut 2.1's usual ones, and
    ``weights.damaged`` where description and variables do not fit each other.
    """
    about = {**_DEFAULTS, **{key: value for key, value in description.items() if value is not None}}
    net_type = str(about.get("net_type"))
    _require_known(name, net_type, about)
    graph = Graph(variables)
    try:
        features = backbones.layers(graph, net_type, _grey(graph, about))
        _points(graph, features, len(about["all_joints"]), about)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise UserError("weights.damaged", f"network {name} is no whole {net_type}: {_said(error)}") from error
    if strange := graph.unused():
        raise UserError("weights.damaged", f"network {name} is no {net_type}: it also has {strange[0]}")
    pictures = image(FRAMES, ["N", "H", "W"], whole=True)
    return graph.model(name, pictures, image(POINTS, ["N", len(about["all_joints"]), 3]))


def of_network(variable: str) -> bool:
    """Whether a checkpoint's variable belongs to the network, not to its training."""
    scope, _, part = variable.rpartition("/")
    return part in _PARTS and scope.startswith(("resnet_v1_", "MobilenetV2/", *_HEADS))


def convert(name: str, snapshot: Path, description: Mapping[str, Any]) -> onnx.ModelProto:
    """A snapshot (path without ending) as a model; see :func:`build`."""
    return build(name, description, checkpoint.read(snapshot, of_network))


def _require_known(name: str, net_type: str, about: Mapping[str, Any]) -> None:
    if net_type not in (*backbones.RESNETS, *backbones.MOBILENETS):
        known = ", ".join((*backbones.RESNETS, *backbones.MOBILENETS))
        raise UserError("weights.not_convertible", f"network {name} is a {net_type}; converted are: {known}")
    wanted = {"output_stride": backbones.OUTPUT_STRIDE, "location_refinement": True, "deconvolutionstride": 2}
    for key, value in wanted.items():
        if about[key] != value:
            said = f"network {name} has {key} {about[key]}; converted are those with {value}"
            raise UserError("weights.not_convertible", said)


def _grey(graph: Graph, about: Mapping[str, Any]) -> Grey:
    """Two channels: the grey value less the mean of the means, which keeps numbers small, and ones."""
    red, green, blue = (float(mean) for mean in about["mean_pixel"])
    shift = (red + green + blue) / 3
    x = graph.add("Unsqueeze", graph.add("Cast", FRAMES, to=onnx.TensorProto.FLOAT), integers(1))
    x = graph.add("Sub", x, np.array([shift]))
    ones = graph.add("Add", graph.add("Mul", x, np.array([0.0])), np.array([1.0]))
    # the constant is single precision: the ones' kernel takes up what that has rounded off
    return Grey(graph.add("Concat", x, ones, axis=1), float(np.float32(shift)), (red, green, blue))


def _points(graph: Graph, features: str, points: int, about: Mapping[str, Any]) -> None:
    """Both heads as one deconvolution (likelihoods, dx, dy of each point), then the best cell of each point."""
    heads, biases = _heads(graph, points, float(about["locref_stdev"]))
    size, step = heads.shape[2], 2
    # TensorFlow's SAME: what is too much is cut off, the odd row or column at the end
    over = size - step
    maps = graph.add(
        "ConvTranspose", features, heads, biases, kernel_shape=[size, size], strides=[step, step],
        pads=[over // 2, over // 2, over - over // 2, over - over // 2],
    )  # fmt: skip
    width = graph.add("Gather", graph.add("Shape", maps), integers(3))
    flat = graph.add("Reshape", maps, integers(0, 3, points, -1))  # N, kind, point, cell
    # the largest of the likelihoods, not of what they are made from: at 1.0 many are equal, and the first one counts
    likelihoods = graph.add("Sigmoid", graph.add("Slice", flat, integers(0), integers(1), integers(1)))
    cell = graph.add("ArgMax", likelihoods, axis=3, keepdims=1)
    likelihood = graph.add("GatherElements", likelihoods, cell, axis=3)
    offsets = graph.add("Slice", flat, integers(1), integers(3), integers(1))
    offset = graph.add("GatherElements", offsets, graph.add("Concat", cell, cell, axis=1), axis=3)
    row = graph.add("Div", cell, width)
    column = graph.add("Sub", cell, graph.add("Mul", row, width))
    place = graph.add("Cast", graph.add("Concat", column, row, axis=1), to=onnx.TensorProto.FLOAT)
    stride = float(about["stride"])
    centre = graph.add("Add", graph.add("Mul", place, np.array([stride])), np.array([stride / 2]))
    found = graph.add("Concat", graph.add("Add", centre, offset), likelihood, axis=1)
    graph.add("Reshape", graph.add("Transpose", found, perm=[0, 2, 3, 1]), integers(0, points, 3), output=POINTS)


def _heads(graph: Graph, points: int, deviation: float) -> tuple[np.ndarray, np.ndarray]:
    """(in, 3 x points, height, width) kernels and their biases; offsets are stored as dx, dy of each point in turn."""
    part, offset = (graph.variable(f"{head}block4/weights") for head in _HEADS)  # height, width, out, in
    part_bias, offset_bias = (graph.variable(f"{head}block4/biases") for head in _HEADS)
    if part.shape[2] != points or offset.shape[2] != 2 * points:
        raise ValueError(f"it has {part.shape[2]} points, its description {points}")
    kernels = [part, offset[:, :, 0::2] * deviation, offset[:, :, 1::2] * deviation]
    biases = [part_bias, offset_bias[0::2] * deviation, offset_bias[1::2] * deviation]
    return np.concatenate(kernels, 2).transpose(3, 2, 0, 1), np.concatenate(biases)


def _said(error: Exception) -> str:
    return f"it lacks {error.args[0]}" if isinstance(error, KeyError) else str(error)
