"""A policy as a row of steps, and what numpy makes of it.

`graph` writes the same steps as ONNX. The two are written apart from each other on purpose: their
agreement is the first check of every export.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ACTIVATIONS",
    "Activate",
    "Bound",
    "Choose",
    "Linear",
    "Network",
    "Normalise",
    "Rescale",
    "Round",
    "Step",
    "difference",
    "forward",
    "relative_difference",
    "worse",
]

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Normalise:
    """clip((x - mean) / std), in float64 as VecNormalize does it, then float32.

    Attributes:
        mean: float64 (inputs,).
        std: float64 (inputs,), > 0, its epsilon in it.
        clip: > 0.
    """

    mean: Array
    std: Array
    clip: float


@dataclass(frozen=True, eq=False)
class Linear:
    """x @ weight + bias; weight is float32 (inputs, outputs)."""

    weight: Array
    bias: Array


@dataclass(frozen=True)
class Activate:
    """One of `ACTIVATIONS`, for every element."""

    kind: str


@dataclass(frozen=True, eq=False)
class Bound:
    """Limit every element to low..high, float32 (outputs,); may be infinite."""

    low: Array
    high: Array


@dataclass(frozen=True, eq=False)
class Rescale:
    """From -1..1 to low..high: low + (x + 1) / 2 * (high - low)."""

    low: Array
    high: Array


@dataclass(frozen=True)
class Choose:
    """The class with the largest number, of each group; int64 (groups,), or one scalar.

    Attributes:
        sizes: classes per group, side by side in the row.
        scalar: one group, and the answer has no axis of its own.
    """

    sizes: tuple[int, ...]
    scalar: bool = False


@dataclass(frozen=True)
class Round:
    """1 where the number is greater than 0, else 0; int8."""


Step = Normalise | Linear | Activate | Bound | Rescale | Choose | Round


@dataclass(frozen=True, eq=False)
class Network:
    """What turns a row of numbers into an action.

    Attributes:
        inputs: numbers of a row.
        outputs: numbers, or classes, of an action's row.
        steps: from the observation in physical units to the action.
    """

    inputs: int
    outputs: int
    steps: tuple[Step, ...]


def forward(network: Network, x: Array) -> Array:
    """Run the steps in float64.

    Args:
        network: what to run.
        x: float (n, inputs).

    Returns:
        (n, outputs); (n,) for a single choice. float64, or int64 for classes.
    """
    x = x.astype(np.float64)
    for step in network.steps:
        x = _run(step, x)
    return x


def difference(network: Network, x: Array, answer: Array) -> float:
    """How far an answer is from the network's own, at most.

    Numbers count relative to the larger of 1 and the right answer. Classes count by how much the
    chosen one falls short of the best: two that are equal up to rounding may be taken for each
    other.

    Args:
        network: what was to be computed.
        x: float (n, inputs).
        answer: of `x`, in the shape `forward` gives.
    """
    last = network.steps[-1]
    if not isinstance(last, (Choose, Round)):
        return relative_difference(forward(network, x), answer)
    scores = forward(replace(network, steps=network.steps[:-1]), x)
    if isinstance(last, Round):
        wrong = answer.reshape(scores.shape) != (scores > 0)
        return float(np.max(np.where(wrong, np.abs(scores), 0.0)))
    groups = np.split(scores, np.cumsum(last.sizes)[:-1], axis=1)
    chosen = answer.reshape(len(x), len(groups)).astype(np.int64)
    short = [
        part.max(axis=1) - np.take_along_axis(part, chosen[:, [i]], axis=1)[:, 0]
        for i, part in enumerate(groups)
    ]
    return float(np.max(short))


def relative_difference(wanted: Array, answer: Array) -> float:
    """The largest difference, relative to the larger of 1 and the right answer.

    nan agrees with nan, and with nothing else.
    """
    answer = answer.reshape(wanted.shape)
    with np.errstate(invalid="ignore"):
        off = np.abs(answer - wanted) / np.maximum(1.0, np.abs(wanted))
    off[(answer == wanted) | (np.isnan(answer) & np.isnan(wanted))] = 0.0
    return float(np.max(off))


def worse(one: float, other: float) -> float:
    """The larger of two differences; nan is the largest."""
    return one if other <= one or math.isnan(one) else other


@singledispatch
def _run(step: Any, x: Array) -> Array:
    raise TypeError(f"no step: {type(step).__name__}")


@_run.register
def _(step: Normalise, x: Array) -> Array:
    return np.clip((x - step.mean) / step.std, -step.clip, step.clip)


@_run.register
def _(step: Linear, x: Array) -> Array:
    return x @ step.weight.astype(np.float64) + step.bias


@_run.register
def _(step: Activate, x: Array) -> Array:
    with np.errstate(over="ignore", under="ignore"):
        return ACTIVATIONS[step.kind](x)


@_run.register
def _(step: Bound, x: Array) -> Array:
    return np.clip(x, step.low, step.high)


@_run.register
def _(step: Rescale, x: Array) -> Array:
    low, high = step.low.astype(np.float64), step.high.astype(np.float64)
    return low + 0.5 * (x + 1.0) * (high - low)


@_run.register
def _(step: Choose, x: Array) -> Array:
    ends = np.cumsum(step.sizes)[:-1]
    classes = np.stack([part.argmax(axis=1) for part in np.split(x, ends, axis=1)], axis=1)
    return classes[:, 0] if step.scalar else classes


@_run.register
def _(step: Round, x: Array) -> Array:
    return (x > 0).astype(np.int64)


def _softplus(x: Array) -> Array:
    return np.asarray(np.logaddexp(x, 0.0))


def _sigmoid(x: Array) -> Array:
    return np.asarray(0.5 * np.tanh(0.5 * x) + 0.5)


def _gelu(x: Array) -> Array:
    return np.asarray(0.5 * x * (1.0 + np.vectorize(math.erf)(x / math.sqrt(2.0))))


def _selu(x: Array) -> Array:
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return np.asarray(scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))))


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0.0),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "sigmoid": _sigmoid,
    "silu": lambda x: x * _sigmoid(x),
    "gelu": _gelu,
    "selu": _selu,
    "softplus": _softplus,
    "softsign": lambda x: x / (1.0 + np.abs(x)),
    "identity": lambda x: x,
}
"""Activation -> numpy's form; torch's defaults where it has parameters."""
