"""Fields: what one named array means.

A field describes the array of ONE environment; on the wire every array has a leading
`num_envs` axis in front of `Field.shape`.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..errors import ContractError
from .checks import brief, check_choice, check_keys, check_name
from .units import UNITS

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "DTYPES",
    "FALLBACKS",
    "FIELD_KEYS",
    "RANGES",
    "REFERENCES",
    "SEMANTICS",
    "Field",
    "read_keys",
]

RANGES: dict[str, tuple[float, float]] = {
    "float32": (-3.4028234663852886e38, 3.4028234663852886e38),
    "float64": (-1.7976931348623157e308, 1.7976931348623157e308),
    "float16": (-65504.0, 65504.0),
    "int8": (-(2**7), 2**7 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint8": (0, 2**8 - 1),
    "uint16": (0, 2**16 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
    "bool": (0, 1),
}
"""Dtype -> its smallest and largest finite value."""

DTYPES: tuple[str, ...] = tuple(RANGES)
"""Dtypes that cross. Object, string and structured arrays never do."""

SEMANTICS: dict[str, tuple[str, ...]] = {
    "position": ("hold", "robot"),
    "delta": ("zero", "hold", "robot"),
    "velocity": ("decay", "zero", "robot"),
    "torque": ("robot",),
    "opaque": ("value", "hold", "zero", "robot"),
}
"""What an action number means -> the fallbacks it allows, its default first.

Position 0 drives to the zero pose and torque 0 drops the arm, so neither allows `zero`.
An `opaque` action has no default that is safe by nature, so its fallback must be named.
"""

FALLBACKS: dict[str, str] = {
    "hold": "the last validated command (position, opaque) or the pose it stands for (delta)",
    "zero": "zeros: no increment, no velocity, class 0",
    "decay": "the last velocity, brought to zero at max_acceleration",
    "robot": "the robot's own hold mode; the caller is told by Action.robot_hold",
    "value": "the constant declared as fallback_value",
}

REFERENCES: tuple[str, ...] = ("target", "measured")
"""What a delta is added to: the last commanded target, or the measured position."""

MAX_DIMENSIONS = 8
MAX_ELEMENTS = 1 << 28


@dataclass(frozen=True)
class Field:
    """One observation field of a contract.

    Attributes:
        name: unique within its side; dots are allowed (`observation.images.top`).
        shape: of one environment, without the `num_envs` axis. `()` is a scalar.
        dtype: one of `DTYPES`.
        unit: one of `UNITS`.
        labels: names of the entries of the last axis (joint names), or empty.

    Raises:
        ContractError: any of these is not allowed.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    unit: str = ""
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check, and turn lists into tuples."""
        check_name("field name", self.name)
        what = f"field {self.name!r}"
        object.__setattr__(self, "shape", _shape(what, self.shape))
        object.__setattr__(self, "labels", _labels(what, self.labels))
        check_choice(f"{what}: dtype", self.dtype, DTYPES, " cannot cross")
        check_choice(f"{what}: unknown unit", self.unit, UNITS)
        if self.labels and (not self.shape or self.shape[-1] != len(self.labels)):
            raise ContractError(
                f"{what}: {len(self.labels)} labels for shape {self.shape}; "
                "labels name the entries of the last axis"
            )

    @cached_property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The dtype as numpy's, little-endian."""
        # Here, not above: contracts are read and hashed where numpy is absent too.
        import numpy as np

        dtype: np.dtype[Any] = np.dtype(self.dtype).newbyteorder("<")
        return dtype

    @property
    def is_float(self) -> bool:
        """True if values can be non-finite."""
        return self.dtype.startswith("float")

    @property
    def last(self) -> int:
        """Length of the last axis, which labels and limits count; 1 for a scalar."""
        return self.shape[-1] if self.shape else 1

    @property
    def width(self) -> int:
        """Number of elements of one environment's array."""
        return math.prod(self.shape)

    def interface(self) -> dict[str, Any]:
        """What both sides must agree on, as strings, integers and lists of them."""
        return {
            "name": self.name,
            "shape": list(self.shape),
            "dtype": self.dtype,
            "unit": self.unit,
            "labels": list(self.labels),
        }

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return self.interface()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Field:
        """Read the JSON form.

        Raises:
            ContractError: a key is missing, unknown or of the wrong type.
        """
        return cls(**read_keys("observation field", data, FIELD_KEYS))


FIELD_KEYS: dict[str, type] = {
    "name": str,
    "shape": list,
    "dtype": str,
    "unit": str,
    "labels": list,
}


_REQUIRED_KEYS = ("name", "shape", "dtype")


def read_keys(what: str, data: object, keys: Mapping[str, type]) -> dict[str, Any]:
    """The JSON form of a field as the arguments of its class."""
    found = check_keys(what, data, keys, _REQUIRED_KEYS)
    what = f"{what} {brief(found['name'])}"
    for key, value in found.items():
        if not isinstance(value, (tuple, list) if keys[key] is list else keys[key]):
            word = "text" if keys[key] is str else "a list"
            raise ContractError(f"{what}: {key!r} must be {word}, got {type(value).__name__}")
    return {key: tuple(v) if isinstance(v, list) else v for key, v in found.items()}


def _shape(what: str, shape: object) -> tuple[int, ...]:
    if not isinstance(shape, (tuple, list)):
        raise ContractError(f"{what}: shape must be a tuple of integers, got {brief(shape)}")
    for size in shape:
        if isinstance(size, bool) or not isinstance(size, numbers.Integral) or size < 1:
            raise ContractError(
                f"{what}: shape {brief(shape)} must hold whole numbers of at least 1"
            )
    if len(shape) > MAX_DIMENSIONS or math.prod(int(s) for s in shape) > MAX_ELEMENTS:
        raise ContractError(
            f"{what}: shape {brief(shape)} is too large; at most {MAX_DIMENSIONS} "
            f"axes and {MAX_ELEMENTS} elements"
        )
    return tuple(int(size) for size in shape)


def _labels(what: str, labels: object) -> tuple[str, ...]:
    if not isinstance(labels, (tuple, list)):
        raise ContractError(f"{what}: labels must be a list of names, got {brief(labels)}")
    seen: set[str] = set()
    for label in labels:
        if check_name(f"{what}: label", label) in seen:
            raise ContractError(f"{what}: duplicate label {label!r}")
        seen.add(label)
    return tuple(labels)
