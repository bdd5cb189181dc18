"""A network's steps as an ONNX graph. The only file that imports onnx.

Each step becomes one or a few nodes. The batch is dynamic, everything lies in one file, and the
oldest opset that has all operators is used, so that older runtimes serve the result too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import singledispatchmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingDependencyError, PolicyLoadError
from ..policy.onnx_bytes import names_external_data
from ..policy.packages import how_to_install
from .network import Activate, Bound, Choose, Linear, Network, Normalise, Rescale, Round

__all__ = ["INPUT", "OUTPUT", "Node", "build", "check", "output_name", "run_nodes"]

INPUT = "obs"
OUTPUT = "action"
OPSET = 17
IR_VERSION = 8

Array = NDArray[Any]


def output_name(index: int, count: int, name: str = OUTPUT) -> str:
    """What an output tensor is called: `action`, or `action_0`, `action_1`, ..."""
    return name if count == 1 else f"{name}_{index}"


def build(network: Network, widths: Sequence[int] = ()) -> bytes:
    """Write a network as an ONNX model.

    Args:
        network: what to write.
        widths: where the action is split into several outputs, the width of each.

    Returns:
        The model: input `obs` float32 (batch, inputs), and the outputs of `output_name`.

    Raises:
        MissingDependencyError: onnx is not installed.
    """
    onnx = _import_onnx()
    writer = _Writer(onnx)
    for step in network.steps:
        writer.write(step)
    names = writer.finish(widths)
    columns = list(widths) or [network.outputs]
    scalar = isinstance(network.steps[-1], Choose) and network.steps[-1].scalar
    tensor = onnx.helper.make_tensor_value_info
    body = onnx.helper.make_graph(
        writer.nodes,
        "policy",
        [tensor(INPUT, onnx.TensorProto.FLOAT, ["batch", network.inputs])],
        [
            tensor(name, writer.dtype, ["batch"] if scalar else ["batch", width])
            for name, width in zip(names, columns, strict=True)
        ],
        writer.constants,
    )
    model = onnx.helper.make_model(
        body,
        producer_name="isthmus",
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    return check(model.SerializeToString(), "the graph")


def check(model: bytes, source: str) -> bytes:
    """Hold a model against ONNX's own rules; the model itself.

    Raises:
        PolicyLoadError: it breaks one, or keeps tensors in other files.
        MissingDependencyError: onnx is not installed.
    """
    onnx = _import_onnx()
    try:
        outside = names_external_data(model)
    except ValueError as exc:
        raise PolicyLoadError(f"{source} is no ONNX model: {exc}") from exc
    if outside:
        raise PolicyLoadError(f"{source} keeps tensors in other files (external data)")
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as exc:
        raise PolicyLoadError(f"{source} is no valid ONNX model: {exc}") from exc
    return model


@dataclass(frozen=True)
class Node:
    """One operator of a graph.

    Attributes:
        operator: its name.
        domain: "" for ONNX's own.
        inputs: names of values; "" where one is left out.
        outputs: likewise.
        attributes: those that are numbers, texts or lists of these.
        branches: it has graphs of its own.
    """

    operator: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    branches: bool


def run_nodes(model: bytes, rows: Array, source: str) -> tuple[list[Node], dict[str, Array]]:
    """Run a model, and keep what every node gave.

    Args:
        model: ONNX, of one input.
        rows: for its input.
        source: how messages call it.

    Returns:
        Its nodes in order, without those whose results nobody takes, and every value by name,
        constants as well.

    Raises:
        PolicyLoadError: it has a branch, or cannot be run.
        MissingDependencyError: onnx is not installed.
    """
    onnx = _import_onnx()
    graph = (parsed := onnx.load_from_string(model)).graph
    _drop_unused(graph)
    nodes = [_node(onnx, node) for node in graph.node]
    branch = next((node.operator for node in nodes if node.branches), None)
    if branch is not None:
        raise PolicyLoadError(
            f"{source}: its graph has a branch or loop ({branch}); each row must be answered by "
            "itself, and alike: write it with torch.where, and loops over fixed numbers"
        )
    shown = {value.name for value in graph.output}
    names = [name for node in nodes for name in node.outputs if name]
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in shown)
    try:
        session = onnx.reference.ReferenceEvaluator(parsed)
        with np.errstate(all="ignore"):
            found = session.run(None, {graph.input[0].name: rows})
    except Exception as exc:  # whatever an operator's stand-in in numpy raises
        raise PolicyLoadError(
            f"{source}: its graph cannot be walked node by node: {type(exc).__name__}: {exc}"
        ) from exc
    values = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    values[graph.input[0].name] = rows
    values |= {o.name: np.asarray(v) for o, v in zip(graph.output, found, strict=True)}
    return nodes, values


def _drop_unused(graph: Any) -> None:
    """What a module only checks (a size, before it raises) is left over by torch.onnx."""
    taken, kept = {value.name for value in graph.output}, []
    for node in reversed(graph.node):
        if taken.intersection(node.output):
            taken.update(node.input)
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))


def _node(onnx: Any, node: Any) -> Node:
    kinds = onnx.AttributeProto
    return Node(
        node.op_type,
        "" if node.domain == "ai.onnx" else node.domain,
        tuple(node.input),
        tuple(node.output),
        {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute},
        any(each.type in (kinds.GRAPH, kinds.GRAPHS) for each in node.attribute),
    )


def _import_onnx() -> Any:
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
        import onnx.reference
        import onnx.shape_inference
    except ImportError as exc:
        raise MissingDependencyError(
            f"an export writes ONNX and needs the package onnx ({exc}): {how_to_install('onnx')}"
        ) from exc
    return onnx


class _Writer:
    """Nodes and constants, one step after the other; `self._value` is what the last one gave."""

    def __init__(self, onnx: Any) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._onnx = onnx
        self.dtype = onnx.TensorProto.FLOAT
        self._value = INPUT

    @singledispatchmethod
    def write(self, step: Any) -> None:
        raise TypeError(f"no step: {type(step).__name__}")

    @write.register
    def _(self, step: Normalise) -> None:
        self._node("Cast", to=self._onnx.TensorProto.DOUBLE)
        self._node("Sub", self._constant(step.mean))
        self._node("Div", self._constant(step.std))
        low, high = (self._constant(np.float64(bound)) for bound in (-step.clip, step.clip))
        self._node("Clip", low, high)
        self._node("Cast", to=self._onnx.TensorProto.FLOAT)

    @write.register
    def _(self, step: Linear) -> None:
        self._node(
            "Gemm", *(self._constant(a.astype(np.float32)) for a in (step.weight, step.bias))
        )

    @write.register
    def _(self, step: Activate) -> None:
        if step.kind == "identity":
            return
        before = self._value
        for operator, attributes in _ACTIVATIONS[step.kind]:
            self._node(operator, **attributes)
        if step.kind in _GATED:
            self._node("Mul", before)
        if step.kind == "gelu":
            self._gelu(before)

    def _gelu(self, before: str) -> None:
        """0.5 x (1 + erf(x / sqrt 2)): the operator itself came with opset 20."""
        self._value = before
        self._node("Div", self._constant(np.float32(np.sqrt(2.0))))
        self._node("Erf")
        self._node("Add", self._constant(np.float32(1.0)))
        self._node("Mul", before)
        self._node("Mul", self._constant(np.float32(0.5)))

    @write.register
    def _(self, step: Bound) -> None:
        self._node("Max", self._constant(step.low.astype(np.float32)))
        self._node("Min", self._constant(step.high.astype(np.float32)))

    @write.register
    def _(self, step: Rescale) -> None:
        low = step.low.astype(np.float32)
        half = np.float32(0.5) * (step.high.astype(np.float32) - low)
        self._node("Add", self._constant(np.float32(1.0)))
        self._node("Mul", self._constant(half))
        self._node("Add", self._constant(low))

    @write.register
    def _(self, step: Choose) -> None:
        parts = self._split(step.sizes)
        chosen = []
        for part in parts:
            self._value = part
            self._node("ArgMax", axis=1, keepdims=0 if step.scalar else 1)
            chosen.append(self._value)
        if len(chosen) > 1:
            self._node_of("Concat", chosen, axis=1)
        self.dtype = self._onnx.TensorProto.INT64

    @write.register
    def _(self, step: Round) -> None:
        self._node("Greater", self._constant(np.float32(0.0)))
        self._node("Cast", to=self._onnx.TensorProto.INT8)
        self.dtype = self._onnx.TensorProto.INT8

    def finish(self, widths: Sequence[int]) -> list[str]:
        """Give the result its names."""
        results = self._split(widths) if len(widths) > 1 else [self._value]
        names = [output_name(index, len(results)) for index in range(len(results))]
        for result, name in zip(results, names, strict=True):
            self.nodes.append(self._onnx.helper.make_node("Identity", [result], [name]))
        return names

    def _split(self, sizes: Sequence[int]) -> list[str]:
        if len(sizes) == 1:
            return [self._value]
        parts = [f"part_{len(self.nodes)}_{index}" for index in range(len(sizes))]
        sizes_name = self._constant(np.asarray(sizes, np.int64))
        node = self._onnx.helper.make_node("Split", [self._value, sizes_name], parts, axis=1)
        self.nodes.append(node)
        return parts

    def _constant(self, value: Any) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(self._onnx.numpy_helper.from_array(np.asarray(value), name))
        return name

    def _node(self, operator: str, *others: str, **attributes: Any) -> None:
        self._node_of(operator, [self._value, *others], **attributes)

    def _node_of(self, operator: str, inputs: Sequence[str], **attributes: Any) -> None:
        self._value = f"value_{len(self.nodes)}"
        node = self._onnx.helper.make_node(operator, list(inputs), [self._value], **attributes)
        self.nodes.append(node)


_ACTIVATIONS: dict[str, tuple[tuple[str, dict[str, float]], ...]] = {
    "tanh": (("Tanh", {}),),
    "relu": (("Relu", {}),),
    "elu": (("Elu", {"alpha": 1.0}),),
    "leaky_relu": (("LeakyRelu", {"alpha": 0.01}),),
    "sigmoid": (("Sigmoid", {}),),
    "silu": (("Sigmoid", {}),),
    "gelu": (),
    "selu": (("Selu", {}),),
    "softplus": (("Softplus", {}),),
    "softsign": (("Softsign", {}),),
}
"""Activation -> ONNX's operators, in torch's defaults."""

_GATED = ("silu",)
"""Those that are multiplied by what went in."""
