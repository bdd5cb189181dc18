"""Does every row of a graph's answer come from one row of its input?

A gateway puts rows of several sessions into one call, so a graph in which they meet would let one
client move another's robot. It is walked node by node with two batches of other sizes: whatever is
computed from the input has the batch as its first axis and nowhere else, and no operator may work
along that axis. What is left computes row i from row i, whatever the numbers are.

An operator that is not in the table is refused, and so is a branch: what it does with the rows is
not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import PolicyLoadError
from .graph import INPUT, Node, run_nodes

__all__ = ["check_rows"]

Array = NDArray[Any]
Values = Mapping[str, Array]

SIZES = (7, 11)
"""Two batches, of sizes that hardly any other axis has."""


def check_rows(model: bytes, shape: Sequence[int], source: str) -> None:
    """Hold a graph against the table.

    Args:
        model: ONNX; its one input is `INPUT`, float32 (batch, *shape).
        shape: of a row.
        source: how messages call it.

    Raises:
        PolicyLoadError: rows may meet in it.
    """
    few, many = (run_nodes(model, np.zeros((size, *shape), np.float32), source) for size in SIZES)
    nodes, before = few
    after = many[1]
    of_input, of_size = {INPUT}, set[str]()
    for node in nodes:
        taken = [name for name in node.inputs if name in of_input]
        rule = _RULES.get(node.operator) if not node.domain else None
        if rule is None or node.branches:
            if taken or node.branches or any(name in of_size for name in node.inputs):
                raise _refused(source, node, "is not known to keep rows apart")
            continue
        if node.operator == "Shape":
            of_size.update(node.outputs)
            continue
        if taken and not rule(node, before, [name in of_input for name in node.inputs]):
            raise _refused(source, node, "works along the batch")
        sized = any(name in of_size for name in node.inputs)
        for name in filter(None, node.outputs):
            if taken:
                of_input.add(name)
                _check_batch(before[name], after[name], source, node)
            elif sized:
                of_size.add(name)


def _check_batch(before: Array, after: Array, source: str, node: Node) -> None:
    first = (before.shape[:1], after.shape[:1]) == ((SIZES[0],), (SIZES[1],))
    if not first or before.shape[1:] != after.shape[1:]:
        raise _refused(source, node, "makes one thing of several rows, or moves them")


def _refused(source: str, node: Node, why: str) -> PolicyLoadError:
    return PolicyLoadError(
        f"{source}: its graph has {node.operator}, which {why}. A gateway puts rows of several "
        "clients into one call, so each row must be answered by itself: no branch and no number "
        "that is taken from the whole batch"
    )


Rule = Callable[[Node, Values, Sequence[bool]], bool]


def _each(node: Node, values: Values, taken: Sequence[bool]) -> bool:
    """Element by element, or checked by what comes out."""
    return True


def _first_only(node: Node, values: Values, taken: Sequence[bool]) -> bool:
    """Rows go in as the first input alone; the others are constants."""
    return not any(taken[1:])


def _product(node: Node, values: Values, taken: Sequence[bool]) -> bool:
    """The last two axes are multiplied, and the batch is neither."""
    ranks = [values[name].ndim for name in node.inputs]
    return all(not on or rank > 2 or (rank == 2 and place == 0)
               for place, (on, rank) in enumerate(zip(taken, ranks, strict=True)))  # fmt: skip


def _gemm(node: Node, values: Values, taken: Sequence[bool]) -> bool:
    return not node.attributes.get("transA") and not taken[1]


def _axis(default: int) -> Rule:
    def rule(node: Node, values: Values, taken: Sequence[bool]) -> bool:
        axis = int(node.attributes.get("axis", default))
        return not taken[0] or axis % values[node.inputs[0]].ndim != 0

    return rule


def _gather(node: Node, values: Values, taken: Sequence[bool]) -> bool:
    axis = int(node.attributes.get("axis", 0)) % values[node.inputs[0]].ndim
    return axis != 0 if taken[0] else axis == 0


def _slice(node: Node, values: Values, taken: Sequence[bool]) -> bool:
    """All rows, in their order."""
    if any(taken[1:]):
        return False
    rank = values[node.inputs[0]].ndim
    starts, _ends, *more = (values[name].ravel() for name in node.inputs[1:])
    axes = more[0] if more else np.arange(len(starts))
    steps = more[1] if len(more) > 1 else np.ones(len(starts))
    return all(
        axis % rank or (start == 0 and step == 1)
        for start, axis, step in zip(starts, axes, steps, strict=True)
    )


def _transpose(node: Node, values: Values, taken: Sequence[bool]) -> bool:
    return bool(node.attributes.get("perm", [1])[0] == 0)


def _batch_norm(node: Node, values: Values, taken: Sequence[bool]) -> bool:
    return not node.attributes.get("training_mode") and not any(taken[1:])


_RULES: dict[str, Rule] = {
    **dict.fromkeys(
        "Abs Acos Add And Asin Atan Cast Ceil Celu Clip Cos Div Elu Equal Erf Exp Floor Greater "
        "GreaterOrEqual HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Less LessOrEqual Log "
        "Max Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal Relu Round Selu Sigmoid Sign Sin "
        "Softplus Softsign Sqrt Sub Sum Tan Tanh ThresholdedRelu Where Xor "
        "Concat Constant ConstantOfShape Range Shape".split(),
        _each,
    ),
    **dict.fromkeys(
        "Reshape Flatten Squeeze Unsqueeze Expand Tile Split ReduceL1 ReduceL2 ReduceLogSumExp "
        "ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare ArgMax ArgMin "
        "Conv MaxPool AveragePool GlobalAveragePool GlobalMaxPool InstanceNormalization".split(),
        _first_only,
    ),
    "MatMul": _product,
    "Gemm": _gemm,
    "Softmax": _axis(-1),
    "LogSoftmax": _axis(-1),
    "LayerNormalization": _axis(-1),
    "GatherElements": _axis(0),
    "Gather": _gather,
    "Slice": _slice,
    "Transpose": _transpose,
    "BatchNormalization": _batch_norm,
}
"""Operator -> whether it keeps rows apart. What comes out is looked at as well: reductions and
shapes are left to that."""
