"""ONNX models as their makers save them: without a manifest, under names of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

__all__ = ["answers", "bare_model", "model_of", "tensor"]

Array = NDArray[Any]
Node = tuple[str, Sequence[str], Sequence[str]]


def bare_model(path: Path, inputs: int = 6, outputs: int = 3, batch: int | str = "batch") -> Path:
    """A model that answers `answers`: input `state`, output `mean`."""
    model = model_of(
        [tensor("state", [batch, inputs])],
        [tensor("mean", [batch, outputs])],
        [("MatMul", ("state", "w"), ("y",)), ("Tanh", ("y",), ("mean",))],
        {"w": _weight(inputs, outputs)},
    )
    path.write_bytes(model.SerializeToString())
    return path


def answers(rows: Any, outputs: int = 3) -> Array:
    """What that model answers to rows (n, inputs), in float64."""
    rows = np.asarray(rows, np.float64)
    found: Array = np.tanh(rows @ _weight(rows.shape[1], outputs))
    return found


def tensor(name: str, shape: Sequence[int | str], dtype: int = TensorProto.FLOAT) -> Any:
    """An input or output of a model."""
    return helper.make_tensor_value_info(name, dtype, shape)


def model_of(
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    nodes: Sequence[Node],
    constants: Mapping[str, Array] | None = None,
) -> onnx.ModelProto:
    """A model of these parts; a node is its operator, what goes in, and what comes out."""
    graph = helper.make_graph(
        [helper.make_node(operator, list(taken), list(given)) for operator, taken, given in nodes],
        "policy",
        list(inputs),
        list(outputs),
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _weight(inputs: int, outputs: int) -> Array:
    weight: Array = np.random.default_rng(7).normal(0.0, 0.3, (inputs, outputs)).astype(np.float32)
    return weight
