"""Gymnasium's spaces as pickles hold them, without Gymnasium.

What comes out has the class names and attributes by which `contract.gym` recognises spaces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import NUMPY_NAMES, array_of, dtype_of, number_of
from .unpickle import Made

__all__ = [
    "SPACE_NAMES",
    "Box",
    "Dict",
    "Discrete",
    "MultiBinary",
    "MultiDiscrete",
    "Space",
    "space_of",
]

Array = NDArray[Any]

MAX_CLASSES = 1 << 20


@dataclass(frozen=True, eq=False)
class Box:
    """An array of bounded numbers.

    Attributes:
        low: smallest values, of the space's shape; may be infinite.
        high: largest values.
        dtype: numpy's.
    """

    low: Array
    high: Array
    dtype: np.dtype[Any]

    @property
    def width(self) -> int:
        """Numbers in one row."""
        return int(self.low.size)

    @property
    def is_image(self) -> bool:
        """Whether Stable-Baselines3 would divide it by 255."""
        return self.dtype == np.uint8 and self.low.ndim == 3


@dataclass(frozen=True)
class Discrete:
    """One of `n` classes, counted from 0."""

    n: int
    dtype: str = "int64"


@dataclass(frozen=True, eq=False)
class MultiDiscrete:
    """Several choices, each one of `nvec` classes."""

    nvec: Array
    dtype: str = "int64"


@dataclass(frozen=True)
class MultiBinary:
    """Several yes or no."""

    shape: tuple[int, ...]
    dtype: str = "int8"


@dataclass(frozen=True)
class Dict:
    """Spaces by name."""

    spaces: Mapping[str, Any]


Space = Box | Discrete | MultiDiscrete | MultiBinary

SPACE_NAMES = (
    NUMPY_NAMES
    | {
        f"{package}.spaces.{name}"
        for package in ("gymnasium", "gym")
        for name in (
            "box.Box",
            "discrete.Discrete",
            "multi_discrete.MultiDiscrete",
            "multi_binary.MultiBinary",
            "dict.Dict",
            "tuple.Tuple",
        )
    }
    | {"collections.OrderedDict"}
)
"""Every name that a space may be pickled with."""


def space_of(value: Any) -> Space:
    """The space that a pickle would have made.

    Raises:
        ValueError: it is none, or one that has no plain row of numbers.
    """
    if not isinstance(value, Made) or str(value.by) not in SPACE_NAMES:
        raise ValueError("expected a space")
    kind = value.by.name
    if kind not in _KINDS:
        raise ValueError(
            f"a {kind} space is not exported; only policies whose observation is one Box and whose "
            f"action is one of {', '.join(_KINDS)} are"
        )
    state = value.state
    if not isinstance(state, dict):
        raise ValueError(f"expected the parts of a {kind}")
    missing = [key for key in _KINDS[kind][1] if key not in state]
    if missing:
        raise ValueError(f"a {kind} without {', '.join(missing)}")
    return _KINDS[kind][0](state)


def _box(state: Mapping[str, Any]) -> Box:
    low, high = array_of(state["low"]), array_of(state["high"])
    if low.shape != high.shape or np.isnan(low).any() or np.isnan(high).any():
        raise ValueError("a Box whose bounds do not agree")
    return Box(low, high, dtype_of(state["dtype"]))


def _discrete(state: Mapping[str, Any]) -> Discrete:
    if number_of(state.get("start", 0)):
        raise ValueError("a Discrete space that does not count from 0 is not exported")
    return Discrete(_count(state["n"]))


def _multi_discrete(state: Mapping[str, Any]) -> MultiDiscrete:
    nvec = array_of(state["nvec"])
    if (
        nvec.ndim != 1
        or nvec.dtype.kind not in "iu"
        or "start" in state
        and array_of(state["start"]).any()
    ):
        raise ValueError("a MultiDiscrete of one row that counts from 0 is all that is exported")
    return MultiDiscrete(nvec)


def _multi_binary(state: Mapping[str, Any]) -> MultiBinary:
    n = state["n"]
    if isinstance(n, (tuple, list)):
        raise ValueError("a MultiBinary of one row is all that is exported")
    return MultiBinary((_count(n),))


def _count(value: Any) -> int:
    number = number_of(value)
    if not 1 <= number <= MAX_CLASSES or not number.is_integer():
        raise ValueError(f"expected a number of classes, got {number}")
    return int(number)


_KINDS: dict[str, tuple[Callable[[Mapping[str, Any]], Space], tuple[str, ...]]] = {
    "Box": (_box, ("low", "high", "dtype")),
    "Discrete": (_discrete, ("n",)),
    "MultiDiscrete": (_multi_discrete, ("nvec",)),
    "MultiBinary": (_multi_binary, ("n",)),
}
"""Space -> what builds it, and the parts it needs."""
