"""ONNX models that came without a manifest: one row of numbers in, one row out.

The model is served as it is, so it is held against itself: it must answer a row alone as it does
among others, and through its new manifest as without.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import PolicyLoadError
from ..policy.onnx import Bare, read_bare
from .network import relative_difference
from .source import SPREAD, Source
from .spaces import Box

__all__ = ["source_of_onnx"]

Array = NDArray[Any]

_UNSCALED = "the model takes its input in physical units, and scales it itself where it must"


def source_of_onnx(data: bytes, source: str, *, width: int | None) -> Source:
    """A model as the start of an export.

    Args:
        data: the file.
        source: how messages call it.
        width: numbers of its input, where somebody said so and the model does not.

    Raises:
        PolicyLoadError: it is no model, keeps tensors in other files, has a fixed batch, or other
            tensors than one row of floats in and one out.
        MissingDependencyError: ONNX Runtime is absent.
    """
    bare = read_bare(data, source)
    _check_rows(bare, source)
    inputs = bare.taken.shape[0] or width
    if inputs is None:
        raise PolicyLoadError(
            f"{source} does not say how wide its input is: give --contract, or --observation "
            "NAME:WIDTH,..."
        )

    def answer(rows: Array) -> Array:
        answers = bare.run(rows)
        if answers.ndim != 2 or len(answers) != len(rows):
            raise PolicyLoadError(
                f"{source}: expected a row for each observation, got {answers.shape} for "
                f"{rows.shape}"
            )
        return answers

    def difference(rows: Array, answers: Array) -> float:
        return relative_difference(answer(rows).astype(np.float64), answers)

    def onnx(widths: Sequence[int]) -> bytes:
        if widths:
            raise PolicyLoadError(
                f"{source}: the contract has {len(widths)} action fields and the model one output; "
                "nothing is cut, so only a contract with one action field fits"
            )
        return data

    outputs = bare.given.shape[0] or answer(np.zeros((2, inputs))).shape[1]
    return Source(
        inputs=inputs,
        outputs=outputs,
        scalar=False,
        observation=_anything(inputs, bare.taken.dtype),
        action=_anything(outputs, bare.given.dtype),
        centre=np.zeros(inputs),
        spread=np.full(inputs, SPREAD),
        difference=difference,
        onnx=onnx,
        facts={"format": "onnx"},
        assumed=(_UNSCALED,),
        input=bare.input,
        output=bare.output,
        doubt="A model must answer each row by itself, and alike every time; --tolerance accepts "
        "what is only rounding",
    )


def _check_rows(bare: Bare, source: str) -> None:
    """One row of floats in, and one out."""
    for side, name, row in (
        ("input", bare.input, bare.taken), ("output", bare.output, bare.given),
    ):  # fmt: skip
        if len(row.shape) != 1 or row.dtype.kind != "f":
            raise PolicyLoadError(
                f"{source}: {side} {name!r} is {row}; without a manifest it must be floats "
                "(batch, n). Write the manifest that says what it is, as docs/POLICIES.md shows"
            )


def _anything(width: int, dtype: np.dtype[Any]) -> Box:
    """A row of numbers without bounds, in a dtype that crosses."""
    bound = np.full(width, np.inf, np.float32)
    return Box(-bound, bound, np.dtype(np.float64 if dtype == np.float64 else np.float32))
