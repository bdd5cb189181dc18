"""Graphs in which rows meet are refused, whatever their numbers are; others are walked through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from isthmus.errors import PolicyLoadError
from isthmus.export.rows import check_rows

Node = tuple[Any, ...]
CONSTANTS: Mapping[str, Any] = {
    "one": np.float32(1.0),
    "huge": np.float32(1e38),
    "zero_index": np.array(0),
    "zero": np.array([0]),
    "first": np.array([1]),
    "last": np.array([-1]),
    "both": np.array([0, 1]),
    "minus": np.array([-1]),
    "end": np.array([np.iinfo(np.int64).max]),
    "far": np.array([np.iinfo(np.int64).min]),
    "w": np.ones((4, 2), np.float32),
    "pick": np.array([3, 0]),
    "ones": np.ones(4, np.float32),
    "halves": np.array([0, 2, 2]),
    "whole": np.array([-1]),
    "pair": np.array([2, 2]),
    "shift": np.array([1, 0, -1, 0]),
}


def graph(nodes: Sequence[Node]) -> bytes:
    """A model of `obs` (batch, 4); a node is an operator, what goes in, and attributes.

    Results are called `a`, `b`, `c`, ...; the last one is the answer. A fourth text names more
    results.
    """
    made = [
        helper.make_node(operator, taken.split(), [chr(97 + index), *more.split()], **attributes)
        for index, (operator, taken, attributes, more) in enumerate(
            (*node, "")[:4] for node in nodes
        )
    ]
    taken = helper.make_tensor_value_info("obs", TensorProto.FLOAT, ["batch", 4])
    given = onnx.ValueInfoProto(name=made[-1].output[0])
    constants = [numpy_helper.from_array(np.asarray(v), name) for name, v in CONSTANTS.items()]
    body = helper.make_graph(made, "policy", [taken], [given], constants)
    opsets = [helper.make_opsetid("", 17)]
    found: bytes = helper.make_model(body, opset_imports=opsets).SerializeToString()
    return found


def branch() -> list[Node]:
    def body(value: str) -> Any:
        out = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
        return helper.make_graph([helper.make_node("Identity", [value], ["out"])], "x", [], [out])

    return [
        ("ReduceMax", "obs", {"keepdims": 0}),
        ("Greater", "a one", {}),
        ("If", "b", {"then_branch": body("obs"), "else_branch": body("obs")}),
    ]


KEPT: dict[str, list[Node]] = {
    "a layer": [("MatMul", "obs w", {}), ("Tanh", "a", {})],
    "gemm": [("Gemm", "obs w", {})],
    "softmax": [("Softmax", "obs", {"axis": -1})],
    "a column": [("Gather", "obs zero_index", {"axis": 1}), ("Sin", "a", {})],
    "columns": [("Gather", "obs pick", {"axis": 1})],
    "a slice": [("Slice", "obs both pair both", {}), ("Slice", "obs first end first", {})],
    "all rows of a slice": [("Slice", "obs zero end zero", {})],
    "the largest of a row": [("ReduceMax", "obs", {"axes": [1]})],
    "two halves": [("Reshape", "obs halves", {}), ("Transpose", "a", {"perm": [0, 2, 1]})],
    "products of halves": [("Reshape", "obs halves", {}), ("MatMul", "a a", {})],
    "the batch's own size": [
        ("Shape", "obs", {}), ("ConstantOfShape", "a", {}), ("Add", "b obs", {}),
    ],
    "what nobody takes": [("ReduceMax", "obs", {}), ("Neg", "obs", {})],
}  # fmt: skip


@pytest.mark.parametrize("name", KEPT)
def test_rows_that_keep_apart(name: str) -> None:
    check_rows(graph(KEPT[name]), (4,), "it")


MIXED: dict[str, list[Node]] = {
    "a branch": branch(),
    "the largest of all": [("ReduceMax", "obs", {"keepdims": 0}), ("Mul", "obs a", {})],
    "the largest, hidden": [
        ("Greater", "obs huge", {}), ("Cast", "a", {"to": 1}), ("ReduceMax", "b", {"axes": [0]}),
        ("Add", "obs c", {}),
    ],
    "mean of the batch": [("ReduceMean", "obs", {"axes": [0]}), ("Sub", "obs a", {})],
    "softmax": [("Softmax", "obs", {"axis": 0})],
    "log softmax": [("LogSoftmax", "obs", {"axis": -2})],
    "sums along the batch": [("CumSum", "obs zero_index", {})],
    "the order of rows": [("Slice", "obs last far zero minus", {})],
    "a shift": [("Pad", "obs shift", {})],
    "one row for all": [("Gather", "obs zero_index", {"axis": 0}), ("Add", "obs a", {})],
    "rows by number": [("Cast", "obs", {"to": 7}), ("GatherElements", "obs a", {"axis": 0})],
    "all pairs": [("Transpose", "obs", {"perm": [1, 0]}), ("MatMul", "obs a", {})],
    "columns against rows": [
        ("Gather", "obs zero_index", {"axis": 1}), ("Gather", "obs first", {"axis": 1}),
        ("Add", "a b", {}),
    ],
    "transposed": [("Gemm", "obs obs", {"transA": 1})],
    "one long row": [("Reshape", "obs whole", {})],
    "an axis in front": [("Unsqueeze", "obs zero", {})],
    "what norms learn": [
        ("BatchNormalization", "obs ones ones ones ones", {"training_mode": 1}, "mean var"),
    ],
    "ones that add rows up": [
        ("Shape", "obs", {}), ("Slice", "a zero first", {}), ("Concat", "b b", {"axis": 0}),
        ("ConstantOfShape", "c", {}), ("MatMul", "d obs", {}),
    ],
    "sorted": [("TopK", "obs first", {"axis": 0}, "places")],
    "nothing that is known": [("Einsum", "obs", {"equation": "bi->bi"})],
}  # fmt: skip


@pytest.mark.parametrize("name", MIXED)
def test_rows_that_meet(name: str) -> None:
    with pytest.raises(PolicyLoadError, match="it: its graph "):
        check_rows(graph(MIXED[name]), (4,), "it")
