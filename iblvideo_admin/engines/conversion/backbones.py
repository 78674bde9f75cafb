"""The feature layers of DeepLabCut 2.1's networks, as TensorFlow-slim builds them.

Sources: TensorFlow-slim's ``resnet_v1.py``, ``resnet_utils.py`` and ``mobilenet_v2.py``; DeepLabCut's ``pose_net.py``
and ``pose_net_mobilenet.py``, which ask for output stride 16.  What differs from what one would expect:

- ResNet's first convolution and its 3x3 ones of stride 2 are padded equally on all sides; its pooling, and all of
  MobileNet, as TensorFlow's SAME: the odd row or column at the end.
- A ResNet block's stride is in its last unit.  Once the output stride is reached, later strides become dilations.
- MobileNet's batch norm takes the mean and variance of the batch itself: DeepLabCut leaves it in training mode.
  Its second to last stride is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from iblvideo_admin.engines.conversion.graph import Graph

OUTPUT_STRIDE = 16
RESNETS = {"resnet_50": (3, 4, 6, 3), "resnet_101": (3, 4, 23, 3), "resnet_152": (3, 8, 36, 3)}  # units of each block
MOBILENETS = ("mobilenet_v2_1.0", "mobilenet_v2_0.75", "mobilenet_v2_0.5", "mobilenet_v2_0.35")
# strides of MobileNet's inverted residuals; the 14th would be 2 without the limit of the output stride
_MOBILE_STRIDES = (1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
_NORM = ("gamma", "beta", "moving_mean", "moving_variance")
_RESNET_EPSILON, _MOBILENET_EPSILON = 1e-5, 1e-3


@dataclass(frozen=True)
class Grey:
    """The first layer's input: ``features`` are two channels, the grey value less ``shift``, and ones.

    A network sees three equal channels, each less its own mean.  A convolution is linear, so that its three kernels
    add up to one for the grey value; what the means subtract becomes a kernel for ones, which are 0 in the padding as
    the colours are.
    """

    features: str
    shift: float
    means: tuple[float, float, float]

    def kernels(self, weights: np.ndarray) -> np.ndarray:
        """(out, 3, height, width) for colours to (out, 2, height, width)."""
        offsets = np.array([self.shift - mean for mean in self.means]).reshape(1, 3, 1, 1)
        return np.stack([weights.sum(1), (weights * offsets).sum(1)], 1)


def layers(graph: Graph, net_type: str, grey: Grey) -> str:
    """The features of a network of this type.  Raises KeyError where the checkpoint lacks a variable of it."""
    return _resnet(graph, net_type, grey) if net_type in RESNETS else _mobilenet(graph, grey)


def _resnet(graph: Graph, net_type: str, grey: Grey) -> str:
    scope = net_type.replace("resnet", "resnet_v1")
    x = _folded(graph, grey.features, f"{scope}/conv1", stride=2, grey=grey)
    x = graph.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER")
    reached, dilation = 4, 1
    for block, units in enumerate(RESNETS[net_type], 1):
        for unit in range(1, units + 1):
            nominal = 2 if unit == units and block < len(RESNETS[net_type]) else 1
            stride = nominal if reached < OUTPUT_STRIDE else 1
            x = _bottleneck(graph, x, f"{scope}/block{block}/unit_{unit}/bottleneck_v1", stride, dilation)
            if reached < OUTPUT_STRIDE:
                reached *= nominal
            else:
                dilation *= nominal
    return x


def _bottleneck(graph: Graph, x: str, scope: str, stride: int, dilation: int) -> str:
    """Three convolutions beside a way around them."""
    around = x
    if graph.has(f"{scope}/shortcut/weights"):
        around = _folded(graph, x, f"{scope}/shortcut", stride=stride, relu=False)
    elif stride > 1:
        around = graph.add("MaxPool", x, kernel_shape=[1, 1], strides=[stride, stride])
    y = _folded(graph, x, f"{scope}/conv1")
    y = _folded(graph, y, f"{scope}/conv2", stride=stride, dilation=dilation)
    y = _folded(graph, y, f"{scope}/conv3", relu=False)
    return graph.add("Relu", graph.add("Add", y, around))


def _folded(
    graph: Graph, x: str, scope: str, *, stride: int = 1, dilation: int = 1, relu: bool = True, grey: Grey | None = None
) -> str:
    """A convolution with the batch norm that follows it folded into its kernels."""
    kernels = graph.variable(f"{scope}/weights").transpose(3, 2, 0, 1)
    if grey:
        kernels = grey.kernels(kernels)
    gamma, beta, mean, variance = (graph.variable(f"{scope}/BatchNorm/{part}") for part in _NORM)
    scale = gamma / np.sqrt(variance + _RESNET_EPSILON)
    size = kernels.shape[2]
    x = graph.add(
        "Conv", x, kernels * scale.reshape(-1, 1, 1, 1), beta - mean * scale,
        kernel_shape=[size, size], strides=[stride, stride], dilations=[dilation, dilation],
        pads=[dilation * (size // 2)] * 4,
    )  # fmt: skip
    return graph.add("Relu", x) if relu else x


def _mobilenet(graph: Graph, grey: Grey) -> str:
    scope = "MobilenetV2"
    x = _normed(graph, grey.features, f"{scope}/Conv", stride=2, grey=grey)
    for number, stride in enumerate(_MOBILE_STRIDES):
        unit = f"{scope}/expanded_conv_{number}" if number else f"{scope}/expanded_conv"
        y = _normed(graph, x, f"{unit}/expand") if graph.has(f"{unit}/expand/weights") else x
        y = _normed(graph, y, f"{unit}/depthwise", stride=stride, depthwise=True)
        project = graph.variable(f"{unit}/project/weights").shape[3]
        entering = graph.variable(f"{unit}/{'expand' if number else 'project'}/weights").shape[2]
        y = _normed(graph, y, f"{unit}/project", relu=False)
        x = graph.add("Add", y, x) if number and stride == 1 and entering == project else y
    return _normed(graph, x, f"{scope}/Conv_1")


def _normed(
    graph: Graph,
    x: str,
    scope: str,
    *,
    stride: int = 1,
    depthwise: bool = False,
    relu: bool = True,
    grey: Grey | None = None,
) -> str:
    """A convolution, then batch norm with the mean and variance of this very batch."""
    if depthwise:
        kernels = graph.variable(f"{scope}/depthwise_weights").transpose(2, 3, 0, 1)
    else:
        kernels = graph.variable(f"{scope}/weights").transpose(3, 2, 0, 1)
    if grey:
        kernels = grey.kernels(kernels)
    size = kernels.shape[2]
    x = graph.add(
        "Conv", x, kernels, kernel_shape=[size, size], strides=[stride, stride], auto_pad="SAME_UPPER",
        group=len(kernels) if depthwise else 1,
    )  # fmt: skip
    parts = [graph.variable(f"{scope}/BatchNorm/{part}") for part in _NORM]  # the last two without effect
    x = graph.add(
        "BatchNormalization", x, *parts, epsilon=_MOBILENET_EPSILON, training_mode=1,
        unused=("mean", "variance"),
    )  # fmt: skip
    return graph.add("Clip", x, np.array(0.0), np.array(6.0)) if relu else x
