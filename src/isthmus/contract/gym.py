"""A contract from a Gymnasium environment's spaces.

Spaces are recognised by the names of their classes, so nothing is imported: a space of the old
`gym` serves as well. `Dict` and `Tuple` become fields with dotted names.

What a `Box` bounds depends on what the action means. A delta's box bounds the increment, which is
a speed: it becomes `max_rate`. Any other box bounds the command: it becomes `low` and `high`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ContractError
from .actions import ActionField
from .checks import brief, check_name, listing, nanoseconds
from .contract import Contract
from .fields import RANGES, Field
from .limits import Limits

__all__ = ["contract_from_spaces", "offered_contract"]

MAX_DEPTH = 16
_DEFAULTS = {"semantics": "opaque", "reference": "target"}

Array = npt.NDArray[Any]
PerField = str | Mapping[str, str]
"""One word for every action field, or one for each by name."""


@dataclass(frozen=True)
class _Leaf:
    """One space without parts: a field's array, and what every entry may be."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    low: Array
    high: Array


def contract_from_spaces(
    observation_space: object,
    action_space: object,
    *,
    name: str,
    control_dt: float,
    semantics: PerField = "opaque",
    fallback: PerField = "",
    reference: PerField = "target",
    measured_position: PerField = "",
    measured_velocity: PerField = "",
    units: Mapping[str, str] | None = None,
    labels: Mapping[str, Sequence[str]] | None = None,
) -> Contract:
    """Describe an environment by its spaces.

    A space says nothing of what its numbers mean, so an action is `opaque` and its fallback must
    be named, unless `semantics` says more.

    Args:
        observation_space: Gymnasium's, of one environment. A bare space becomes `observation`.
        action_space: likewise; a bare space becomes `action`.
        name: a word for people.
        control_dt: seconds between two actions.
        semantics: what the action's numbers mean.
        fallback: what is applied when no answer came; "" is the semantics' default, if it has one.
        reference: what a delta is added to.
        measured_position: the observation field with the action's measured position, or "".
        measured_velocity: the observation field with its measured velocity, or "".
        units: field name -> unit.
        labels: field name -> names of the entries of its last axis.

    Raises:
        ContractError: a space without a fixed shape, or parts that contradict each other.
    """
    observed = list(_leaves(observation_space, "observation"))
    commanded = list(_leaves(action_space, "action"))
    names = {leaf.name for leaf in (*observed, *commanded)}
    meaning = {
        "semantics": semantics,
        "fallback": fallback,
        "reference": reference,
        "measured_position": measured_position,
        "measured_velocity": measured_velocity,
    }
    for what, given in (*meaning.items(), ("units", units or {}), ("labels", labels or {})):
        unknown = set(given).difference(names) if isinstance(given, Mapping) else ()
        if unknown:
            raise ContractError(
                f"{what} names {listing(sorted(unknown))}, which is no field; "
                f"there are {listing(sorted(names))}"
            )

    def described(leaf: _Leaf) -> dict[str, Any]:
        return {
            "name": leaf.name,
            "shape": leaf.shape,
            "dtype": leaf.dtype,
            "unit": (units or {}).get(leaf.name, ""),
            "labels": tuple((labels or {}).get(leaf.name, ())),
        }

    def meant(leaf: _Leaf) -> dict[str, Any]:
        return {key: _of(given, leaf, _DEFAULTS.get(key, "")) for key, given in meaning.items()}

    action = [ActionField(**described(leaf), **meant(leaf)) for leaf in commanded]
    dt_ns = nanoseconds("control_dt", control_dt)
    limits = {leaf.name: _limits(leaf, f, dt_ns) for leaf, f in zip(commanded, action, strict=True)}
    return Contract(
        name,
        tuple(Field(**described(leaf)) for leaf in observed),
        tuple(action),
        dt_ns,
        limits={key: found for key, found in limits.items() if found.size is not None},
    )


def offered_contract(env: Any) -> Contract | None:
    """The contract an environment states itself: its attribute or method `contract`, if any.

    Raises:
        ContractError: what it offers is no contract.
    """
    offered = getattr(getattr(env, "unwrapped", env), "contract", None)
    found = offered() if callable(offered) else offered
    if found is not None and not isinstance(found, Contract):
        raise ContractError(f"the environment's `contract` is no Contract: {brief(found)}")
    return found


def _of(given: PerField, leaf: _Leaf, default: str) -> str:
    return given.get(leaf.name, default) if isinstance(given, Mapping) else given


def _leaves(space: object, name: str, inside: str = "", depth: int = 0) -> Iterator[_Leaf]:
    """Every space without parts, by its dotted name, in the space's own order."""
    if depth > MAX_DEPTH:
        raise ContractError(f"space {inside!r} is nested deeper than {MAX_DEPTH}")
    kind = next((c.__name__ for c in type(space).__mro__ if c.__name__ in _KINDS), None)
    if kind is None:
        raise ContractError(
            f"space {inside or name!r} is a {type(space).__name__}, which has no fixed shape or "
            f"is unknown; use {', '.join(_KINDS)}"
        )
    parts = _KINDS[kind]
    if parts is None:
        spaces: Any = getattr(space, "spaces", {})
        items = spaces.items() if isinstance(spaces, Mapping) else enumerate(spaces)
        for key, part in items:
            key = str(key) if isinstance(key, int) else check_name(f"key of space {name!r}", key)
            yield from _leaves(part, name, f"{inside}.{key}" if inside else key, depth + 1)
        return
    dtype, low, high = parts(space)
    low, high = np.broadcast_arrays(low, high)
    yield _Leaf(inside or name, low.shape, dtype, low, high)


def _box(space: Any) -> tuple[str, Array, Array]:
    return str(np.dtype(space.dtype)), np.asarray(space.low), np.asarray(space.high)


def _discrete(space: Any) -> tuple[str, Array, Array]:
    start = np.asarray(getattr(space, "start", 0))
    dtype = str(np.dtype(getattr(space, "dtype", "int64")))
    return dtype, start, start + np.asarray(space.n) - 1


def _multi_discrete(space: Any) -> tuple[str, Array, Array]:
    sizes = np.asarray(space.nvec)
    start = np.asarray(getattr(space, "start", np.zeros_like(sizes)))
    return str(np.dtype(space.dtype)), start, start + sizes - 1


def _multi_binary(space: Any) -> tuple[str, Array, Array]:
    return str(np.dtype(space.dtype)), np.zeros(space.shape), np.ones(space.shape)


_KINDS: dict[str, Callable[[Any], tuple[str, Array, Array]] | None] = {
    "Box": _box,
    "Discrete": _discrete,
    "MultiDiscrete": _multi_discrete,
    "MultiBinary": _multi_binary,
    "Dict": None,  # has parts
    "Tuple": None,
}


def _limits(leaf: _Leaf, field: ActionField, dt_ns: int) -> Limits:
    low, high = (_last_axis(leaf, bound.astype(np.float64)) for bound in (leaf.low, leaf.high))
    bottom, top = RANGES[leaf.dtype]
    if field.semantics == "delta":
        largest = np.maximum(np.abs(low), np.abs(high))
        return Limits(max_rate=_bounds(largest / (dt_ns / 1e9), largest >= top, top))
    return Limits(low=_bounds(low, low <= bottom, bottom), high=_bounds(high, high >= top, top))


def _last_axis(leaf: _Leaf, bound: Array) -> Array:
    """Bounds per entry of the last axis, where the leading axes agree on them."""
    rows: Array = bound.reshape(-1, bound.shape[-1] if bound.ndim else 1)
    if not (rows == rows[:1]).all():
        raise ContractError(
            f"space {leaf.name!r} of shape {leaf.shape} has bounds that differ along its leading "
            "axes; limits are per entry of the last axis, so write this contract by hand"
        )
    first: Array = rows[0]
    return first


def _bounds(values: Array, unbounded: Array, last: float) -> tuple[float, ...] | None:
    """None if no entry is bounded; where some are, the others get the dtype's last value."""
    if unbounded.all():
        return None
    return tuple(float(value) for value in np.where(unbounded, last, values))
