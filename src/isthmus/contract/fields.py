"""Fields: what one named array means.

A field describes the array of ONE environment; on the wire every array has a leading
`num_envs` axis in front of `Field.shape`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ContractError
from .units import UNITS

__all__ = ["DTYPES", "FALLBACKS", "REFERENCES", "SEMANTICS", "ActionField", "Field"]

DTYPES: tuple[str, ...] = (
    "float32",
    "float64",
    "float16",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
)
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

MAX_NAME_LENGTH = 128
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
        object.__setattr__(self, "shape", _shape(self.name, self.shape))
        object.__setattr__(self, "labels", _names(self.name, self.labels))
        if not isinstance(self.name, str) or not 0 < len(self.name) <= MAX_NAME_LENGTH:
            raise ContractError(
                f"field name {self.name!r}: expected 1 to {MAX_NAME_LENGTH} characters"
            )
        if not self.name.isprintable():
            raise ContractError(f"field name {self.name!r}: holds unprintable characters")
        if self.dtype not in DTYPES:
            raise ContractError(
                f"field {self.name!r}: dtype {self.dtype!r} cannot cross; "
                f"use one of {', '.join(DTYPES)}"
            )
        if self.unit not in UNITS:
            known = ", ".join(unit for unit in UNITS if unit)
            raise ContractError(
                f"field {self.name!r}: unknown unit {self.unit!r}; use one of {known}, "
                "or the empty string"
            )
        if self.labels and (not self.shape or self.shape[-1] != len(self.labels)):
            raise ContractError(
                f"field {self.name!r}: {len(self.labels)} labels for shape {self.shape}; "
                "labels name the entries of the last axis"
            )

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The dtype as numpy's, little-endian."""
        return np.dtype(self.dtype).newbyteorder("<")

    @property
    def is_float(self) -> bool:
        """True if values can be non-finite."""
        return self.dtype.startswith("float")

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
        return cls(**_keywords("observation field", data, _FIELD_KEYS))


@dataclass(frozen=True)
class ActionField(Field):
    """One action field of a contract, with what its numbers mean.

    Attributes:
        semantics: one of `SEMANTICS`.
        reference: for `delta`, what the increment is added to.
        measured_position: name of the observation field holding the measured position, or "".
        measured_velocity: name of the observation field holding the measured velocity, or "".
        fallback: what is applied when no valid answer came; "" chooses the semantics' default.
        fallback_value: for fallback `value`, one number per element of the last axis (or one).

    Raises:
        ContractError: a combination that cannot be safe.
    """

    semantics: str = "opaque"
    reference: str = "target"
    measured_position: str = ""
    measured_velocity: str = ""
    fallback: str = ""
    fallback_value: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check, and choose the default fallback."""
        super().__post_init__()
        if self.semantics not in SEMANTICS:
            raise ContractError(
                f"action {self.name!r}: unknown semantics {self.semantics!r}; "
                f"use one of {', '.join(SEMANTICS)}"
            )
        if self.reference not in REFERENCES:
            raise ContractError(
                f"action {self.name!r}: unknown reference {self.reference!r}; "
                f"use one of {', '.join(REFERENCES)}"
            )
        if self.semantics != "opaque" and not self.is_float:
            raise ContractError(
                f"action {self.name!r}: {self.semantics} needs a float dtype, not {self.dtype}; "
                "use semantics 'opaque' for discrete actions"
            )
        self._check_fallback()

    def _check_fallback(self) -> None:
        allowed = SEMANTICS[self.semantics]
        if not self.fallback:
            if self.semantics == "opaque":
                raise ContractError(
                    f"action {self.name!r}: an opaque action must name its fallback: "
                    f"one of {', '.join(allowed)}"
                )
            object.__setattr__(self, "fallback", allowed[0])
        if self.fallback not in allowed:
            why = " (position 0 drives to the zero pose)" if self.semantics == "position" else ""
            why = " (torque 0 drops the arm)" if self.semantics == "torque" else why
            raise ContractError(
                f"action {self.name!r}: fallback {self.fallback!r} is not allowed for "
                f"{self.semantics}{why}; use one of {', '.join(allowed)}"
            )
        value = tuple(float(v) for v in self.fallback_value)
        object.__setattr__(self, "fallback_value", value)
        size = self.shape[-1] if self.shape else 1
        if self.fallback == "value" and len(value) not in (1, size):
            raise ContractError(
                f"action {self.name!r}: fallback 'value' needs fallback_value of 1 or {size} "
                f"numbers, got {len(value)}"
            )
        if not all(math.isfinite(v) for v in value):
            raise ContractError(f"action {self.name!r}: fallback_value must be finite")
        if self.fallback == "hold" and self.semantics in ("position", "delta"):
            self._need_measured("hold")
        if self.semantics == "delta" and self.reference == "measured":
            self._need_measured("reference 'measured'")

    def _need_measured(self, what: str) -> None:
        if not self.measured_position:
            raise ContractError(
                f"action {self.name!r}: {what} needs measured_position, the observation field "
                "that holds the measured position"
            )

    def interface(self) -> dict[str, Any]:
        """What both sides must agree on. The fallback is the robot's business and left out."""
        return {
            **super().interface(),
            "semantics": self.semantics,
            "reference": self.reference if self.semantics == "delta" else "",
            "measured_position": self.measured_position,
            "measured_velocity": self.measured_velocity,
        }

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            **super().interface(),
            "semantics": self.semantics,
            "reference": self.reference,
            "measured_position": self.measured_position,
            "measured_velocity": self.measured_velocity,
            "fallback": self.fallback,
            "fallback_value": list(self.fallback_value),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ActionField:
        """Read the JSON form.

        Raises:
            ContractError: a key is missing, unknown or of the wrong type.
        """
        return cls(**_keywords("action field", data, _ACTION_KEYS))


_FIELD_KEYS: dict[str, type] = {
    "name": str,
    "shape": list,
    "dtype": str,
    "unit": str,
    "labels": list,
}
_ACTION_KEYS: dict[str, type] = {
    **_FIELD_KEYS,
    "semantics": str,
    "reference": str,
    "measured_position": str,
    "measured_velocity": str,
    "fallback": str,
    "fallback_value": list,
}
_REQUIRED_KEYS = ("name", "shape", "dtype")


def _keywords(what: str, data: Mapping[str, Any], keys: Mapping[str, type]) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise ContractError(f"{what}: expected an object, got {type(data).__name__}")
    name = data.get("name", "?")
    for key in _REQUIRED_KEYS:
        if key not in data:
            raise ContractError(f"{what} {name!r}: key {key!r} is missing")
    for key, value in data.items():
        if key not in keys:
            raise ContractError(
                f"{what} {name!r}: unknown key {key!r}; known keys: {', '.join(keys)}"
            )
        if not isinstance(value, (tuple, list) if keys[key] is list else keys[key]):
            raise ContractError(
                f"{what} {name!r}: {key!r} must be {keys[key].__name__}, "
                f"got {type(value).__name__}"
            )
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in data.items()}
    for number in values.get("fallback_value", ()):
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise ContractError(f"{what} {name!r}: fallback_value must hold numbers")
    return values


def _shape(name: object, shape: object) -> tuple[int, ...]:
    if not isinstance(shape, (tuple, list)):
        raise ContractError(f"field {name!r}: shape must be a tuple of integers, got {shape!r}")
    for size in shape:
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
            raise ContractError(
                f"field {name!r}: shape {tuple(shape)!r} must hold whole numbers of at least 1"
            )
    if len(shape) > MAX_DIMENSIONS or math.prod(int(s) for s in shape) > MAX_ELEMENTS:
        raise ContractError(
            f"field {name!r}: shape {tuple(shape)!r} is too large; at most {MAX_DIMENSIONS} "
            f"axes and {MAX_ELEMENTS} elements"
        )
    return tuple(int(size) for size in shape)


def _names(name: object, labels: object) -> tuple[str, ...]:
    if not isinstance(labels, (tuple, list)):
        raise ContractError(f"field {name!r}: labels must be a list of names, got {labels!r}")
    for label in labels:
        if not isinstance(label, str) or not 0 < len(label) <= MAX_NAME_LENGTH:
            raise ContractError(f"field {name!r}: label {label!r} is not a name")
    if len(set(labels)) != len(labels):
        twice = sorted({label for label in labels if list(labels).count(label) > 1})
        raise ContractError(f"field {name!r}: duplicate labels {', '.join(twice)}")
    return tuple(labels)
