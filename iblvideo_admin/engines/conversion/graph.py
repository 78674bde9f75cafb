"""An ONNX graph that grows operation by operation, and the variables that go into it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 15  # the oldest that has batch norm with the batch's own mean, as the operators here are written
IR_VERSION = 8


class Graph:
    """Operations in the order in which they run; each method gives the name of what it computes."""

    def __init__(self, variables: Mapping[str, np.ndarray]) -> None:
        self._variables = variables
        self._used: set[str] = set()
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def has(self, name: str) -> bool:
        """Whether the checkpoint has this variable."""
        return name in self._variables

    def variable(self, name: str) -> np.ndarray:
        """A variable of the checkpoint, in double precision: what is folded into it is rounded once.

        Raises KeyError for one that is not there.
        """
        self._used.add(name)
        return self._variables[name].astype(np.float64)

    def unused(self) -> list[str]:
        """Variables that no operation has asked for."""
        return sorted(set(self._variables) - self._used)

    def add(
        self, kind: str, *inputs: str | np.ndarray, output: str = "", unused: tuple[str, ...] = (), **attributes: Any
    ) -> str:
        """Append an operation; arrays become constants, float64 ones in single precision.

        ``unused`` names further outputs that the operation has to have.
        """
        output = output or f"{kind}_{len(self._nodes)}"
        further = [f"{output}_{what}" for what in unused]
        names = [given if isinstance(given, str) else self._constant(given) for given in inputs]
        self._nodes.append(helper.make_node(kind, names, [output, *further], name=output, **attributes))
        return output

    def _constant(self, value: np.ndarray) -> str:
        name = f"constant_{len(self._constants)}"
        exact = value.astype(np.float32) if value.dtype == np.float64 else value
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(exact), name))
        return name

    def model(self, name: str, frames: onnx.ValueInfoProto, points: onnx.ValueInfoProto) -> onnx.ModelProto:
        """The whole, checked by ONNX's own rules."""
        graph = helper.make_graph(self._nodes, name, [frames], [points], self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        return model


def integers(*values: int) -> np.ndarray:
    """As ONNX wants indices and shapes."""
    return np.array(values, np.int64)


def image(name: str, shape: list[str | int], *, whole: bool = False) -> onnx.ValueInfoProto:
    """An input or output: bytes where ``whole`` is true, else single precision."""
    return helper.make_tensor_value_info(name, TensorProto.UINT8 if whole else TensorProto.FLOAT, shape)
