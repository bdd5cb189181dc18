"""A policy that always answers the same: for wiring, measuring and holding still."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..contract import ActionField, Contract, Limits
from ..errors import PolicyLoadError
from .base import Array, ArrayMap

__all__ = ["ConstantPolicy", "parse_values"]

Value = float | Sequence[float]

NEEDS_VALUE: dict[str, str] = {
    "position": "position 0 drives to the zero pose",
    "torque": "torque 0 drops the arm",
}
"""Semantics for which zero is no neutral answer -> why."""


class ConstantPolicy:
    """Answers one value per action field, whatever it sees.

    Args:
        contract: the contract it answers for.
        values: one value for every field, or a value per field name; a value is one number or
            one per entry of the field's last axis. Fields not named get zero, which `position`
            and `torque` do not allow.
        name: a word for people.

    Raises:
        PolicyLoadError: a value is missing, of the wrong length, not representable in the
            field's dtype, or outside the contract's limits.
    """

    kind = "constant"

    def __init__(
        self,
        contract: Contract,
        values: Value | Mapping[str, Value] | None = None,
        *,
        name: str = "constant",
    ) -> None:
        self.name = name
        self.contract = contract
        if not isinstance(values, Mapping):
            values = {} if values is None else {f.name: values for f in contract.action}
        known = [field.name for field in contract.action]
        for key in values:
            if key not in known:
                raise PolicyLoadError(
                    f"constant: {key!r} is no action field; the contract has {', '.join(known)}"
                )
        self._rows = {f.name: _row(contract, f, values.get(f.name)) for f in contract.action}
        self.digest = _digest(contract, self._rows)

    def initial_state(self, num_envs: int) -> dict[str, Array]:
        """Stateless: always empty."""
        return {}

    def infer(
        self, observation: ArrayMap, action: ArrayMap, state: ArrayMap, next_state: ArrayMap
    ) -> None:
        """Write the values into every row of `action`."""
        for name, row in self._rows.items():
            action[name][...] = row

    def close(self) -> None:
        """Nothing to give back."""


def parse_values(text: str) -> Value | dict[str, Value] | None:
    """Read what follows `constant:` on a command line.

    Args:
        text: "" (zeros), "0.5", "0.1,0.2,0.3", or "field=0.1,0.2;other=1".

    Raises:
        PolicyLoadError: it is none of these.
    """
    if not text:
        return None
    if "=" not in text:
        return _numbers(text)
    values: dict[str, Value] = {}
    for part in text.split(";"):
        field, equals, numbers = part.partition("=")
        if not equals or not field.strip() or field.strip() in values:
            raise _unreadable(text)
        values[field.strip()] = _numbers(numbers)
    return values


def _numbers(text: str) -> Value:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as exc:
        raise _unreadable(text) from exc
    return numbers[0] if len(numbers) == 1 else numbers


def _unreadable(text: str) -> PolicyLoadError:
    return PolicyLoadError(
        f"constant value {text!r} is not understood; write constant:0.5, constant:0.1,0.2,0.3 "
        "or constant:field=0.1,0.2;other=1"
    )


def _row(contract: Contract, field: ActionField, value: Value | None) -> Array:
    """The value of one environment, shaped to broadcast over (n, *shape)."""
    if value is None:
        if field.semantics in NEEDS_VALUE:
            raise PolicyLoadError(
                f"constant: action {field.name!r} is a {field.semantics} and needs a value "
                f"({NEEDS_VALUE[field.semantics]}); write constant:{field.name}=..."
            )
        value = 0.0
    numbers = tuple(float(v) for v in value) if isinstance(value, Sequence) else (float(value),)
    size = field.shape[-1] if field.shape else 1
    if len(numbers) not in (1, size):
        raise PolicyLoadError(
            f"constant: action {field.name!r} of shape {field.shape} takes 1 or {size} numbers, "
            f"got {len(numbers)}"
        )
    numbers = numbers * size if len(numbers) == 1 else numbers
    limits = contract.limits.get(field.name)
    for index, number in enumerate(numbers):
        _check_number(field, number)
        if limits is not None:
            _check_limits(field, limits, index, number, contract.control_dt)
    row = np.array(numbers if field.shape else numbers[0], field.numpy_dtype)
    return np.broadcast_to(row, field.shape)


def _check_number(field: ActionField, number: float) -> None:
    fits = math.isfinite(number)
    if fits and not field.is_float:
        info: Any = None if field.dtype == "bool" else np.iinfo(field.dtype)
        low, high = (0, 1) if info is None else (info.min, info.max)
        fits = number == int(number) and low <= number <= high
    elif fits:
        fits = abs(number) <= float(np.finfo(field.dtype).max)
    if not fits:
        raise PolicyLoadError(
            f"constant: action {field.name!r} is {field.dtype}, which cannot hold {number!r}"
        )


def _check_limits(field: ActionField, limits: Limits, index: int, number: float, dt: float) -> None:
    bounds: list[tuple[str, float]] = []
    low, high, rate = limits.low, limits.high, limits.max_rate
    # A delta's low and high bound the position it leads to, which no constant can know.
    if field.semantics != "delta":
        bounds += [("low", number - low[index])] if low else []
        bounds += [("high", high[index] - number)] if high else []
    if rate and field.semantics == "delta":
        bounds += [("max_rate x control_dt", rate[index] * dt - abs(number))]
    if rate and field.semantics == "velocity":
        bounds += [("max_rate", rate[index] - abs(number))]
    for name, room in bounds:
        if room < 0:
            raise PolicyLoadError(
                f"constant: action {field.name!r} entry {index}: {number!r} is beyond the "
                f"contract's {name} by {-room:g}; choose a value inside the limits"
            )


def _digest(contract: Contract, rows: ArrayMap) -> str:
    found = hashlib.sha256(f"constant {contract.interface_hash}".encode())
    for name, row in sorted(rows.items()):
        found.update(name.encode() + b"\0" + row.tobytes())
    return found.hexdigest()
