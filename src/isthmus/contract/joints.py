"""Joints matched by name: from a robot's order into the contract's, and back.

A simulator lists its joints in an order of its own and often has more than the policy knows.
`JointMap` turns the names into index arrays once; after that every step is one `take`.

Which fields are joint fields: those whose labels share a name with an action field's labels, or
with the robot's joints. Any other labelled field (`goal` with x, y, z) passes through untouched.
A field that names no joints itself takes them from its action, or from what the action measures.

What an action sends to a joint it does not command ("extra" joints of the robot):

    ==========  =====================================
    semantics   neutral value
    ==========  =====================================
    position    the joint's own measured position
    delta       0: no increment
    velocity    0: no motion
    torque      none exists: refused at construction
    opaque      none exists: refused at construction
    ==========  =====================================
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ContractError, InterfaceMismatchError, ObservationError
from .actions import ActionField
from .checks import check_name, listing
from .contract import Contract

__all__ = ["JointMap"]

Array = npt.NDArray[Any]
Labels = dict[str, tuple[str, ...]]


class JointMap:
    """Gathers observations into the contract's joint order and scatters actions back.

    Args:
        contract: what the policy expects.
        joints: the robot's joint names, in the robot's order, each once.

    Attributes:
        joints: the robot's names, in its order.
        extra: the robot's joints that no action field commands, in the robot's order.
        is_identity: True if every joint field already is in the robot's order and complete, so
            that nothing has to be moved.
        observation_fields: observation field -> its joints in contract order.
        action_fields: action field -> its joints in contract order.
        outputs: action field -> the joints `scatter` returns, in the robot's order: all of the
            robot's, less those that only other action fields command.

    Raises:
        ContractError: `joints` is no list of distinct names, the contract names no joints, or an
            extra joint has no neutral value.
        InterfaceMismatchError: the robot lacks a joint; names the nearest it has.
    """

    def __init__(self, contract: Contract, joints: Sequence[str]) -> None:
        self.joints = _distinct(joints)
        observed, commanded = _joint_fields(contract, self.joints)
        if not observed and not commanded:
            raise ContractError(
                "joints were given, but no field of the contract is labelled with joint names, "
                "so nothing can be matched; leave joints out, or label the fields"
            )
        _check_present([*observed.items(), *commanded.items()], self.joints)
        position = {name: index for index, name in enumerate(self.joints)}
        self.observation_fields: Mapping[str, tuple[str, ...]] = MappingProxyType(observed)
        self.action_fields: Mapping[str, tuple[str, ...]] = MappingProxyType(commanded)
        any_action = {label for labels in commanded.values() for label in labels}
        self.extra = tuple(name for name in self.joints if name not in any_action)
        outputs: Labels = {}
        for name, labels in commanded.items():
            others = any_action.difference(labels)
            outputs[name] = tuple(joint for joint in self.joints if joint not in others)
        self.outputs: Mapping[str, tuple[str, ...]] = MappingProxyType(outputs)
        self._semantics = {f.name: f.semantics for f in contract.action}
        for field in contract.action:
            if field.name in commanded:
                _check_neutral(field, set(outputs[field.name]).difference(commanded[field.name]))

        # None marks the fast path: already in order and complete.
        self._gather = {n: _index(labels, self.joints) for n, labels in observed.items()}
        self._scatter = {n: _index(labels, outputs[n]) for n, labels in commanded.items()}
        self._measured = {
            n: np.array([position[joint] for joint in labels], dtype=np.intp)
            for n, labels in outputs.items()
        }
        self.is_identity = all(
            index is None for index in (*self._gather.values(), *self._scatter.values())
        )

    def gather(self, name: str, array: Array) -> Array:
        """Bring an observation field from the robot's joint order into the contract's.

        Args:
            name: an observation field. One that holds no joints passes through.
            array: (..., len(joints)) in the robot's order, any leading axes.

        Returns:
            (..., joints of the field) in contract order: `array` itself where that changes
            nothing, else a new array.

        Raises:
            ObservationError: the last axis is not one entry per joint of the robot.
        """
        if name not in self._gather:
            return array
        if array.ndim == 0 or array.shape[-1] != len(self.joints):
            raise ObservationError(
                f"observation {name!r} has shape {array.shape}; with joints given its last axis "
                f"holds one entry per joint of the robot, {len(self.joints)} in its order: "
                f"{listing(self.joints)}"
            )
        index = self._gather[name]
        return array if index is None else array.take(index, -1)

    def scatter(self, name: str, array: Array, measured: Array | None = None) -> Array:
        """Bring an action field from the contract's joint order into the robot's.

        Args:
            name: an action field. One that commands no joints passes through.
            array: (..., joints of the field) in contract order.
            measured: (..., len(joints)) the robot's measured positions in the robot's order, with
                the leading axes of `array`. Needed for a position action with extra joints only.

        Returns:
            (..., len(outputs[name])) in the robot's order, extra joints at their neutral value:
            `array` itself where that changes nothing, else a new array of the same dtype.

        Raises:
            ContractError: the last axis does not fit the field, or `measured` is missing, of
                another shape or not finite.
        """
        if name not in self._scatter:
            return array
        labels = self.action_fields[name]
        if array.ndim == 0 or array.shape[-1] != len(labels):
            raise ContractError(
                f"action {name!r} has shape {array.shape}; its last axis must hold "
                f"{len(labels)} joints: {listing(labels)}"
            )
        index = self._scatter[name]
        if index is None:
            return array
        shape = (*array.shape[:-1], len(self.outputs[name]))
        out = np.zeros(shape, array.dtype)
        if self._semantics[name] == "position" and len(labels) < shape[-1]:
            out[...] = self._own_positions(name, array, measured)
        out[..., index] = array
        return out

    def _own_positions(self, name: str, array: Array, measured: Array | None) -> Array:
        expected = (*array.shape[:-1], len(self.joints))
        if measured is None or measured.shape != expected:
            came = "nothing" if measured is None else f"shape {measured.shape}"
            raise ContractError(
                f"action {name!r} commands positions and the robot has further joints, so it "
                f"needs their measured positions, shape {expected} in the robot's order; "
                f"got {came}"
            )
        own: Array = measured.take(self._measured[name], -1)
        if not np.isfinite(own).all():
            raise ContractError(
                f"action {name!r}: the measured positions of the robot's further joints are not "
                "finite, so there is nowhere to keep them"
            )
        return own


def _distinct(joints: Sequence[str]) -> tuple[str, ...]:
    if isinstance(joints, (str, bytes)) or not isinstance(joints, Iterable):
        raise ContractError(f"joints must be a list of names, got {joints!r}")
    found: dict[str, None] = {}
    for joint in joints:
        name = str(check_name("joint name", joint))
        if name in found:
            raise ContractError(f"joints name {name!r} twice, so it cannot be matched by name")
        found[name] = None
    if not found:
        raise ContractError("joints is empty; leave it out if the robot's joints have no names")
    return tuple(found)


def _joint_fields(contract: Contract, joints: Sequence[str]) -> tuple[Labels, Labels]:
    """Observation and action fields that hold joints, each with its labels."""
    observed: Labels = {f.name: f.labels for f in contract.observation}
    commanded: Labels = {f.name: f.labels for f in contract.action}
    for action in contract.action:
        for measured in (action.measured_position, action.measured_velocity):
            if measured and not commanded[action.name]:
                commanded[action.name] = observed[measured]
        for measured in (action.measured_position, action.measured_velocity):
            if measured and not observed[measured]:
                observed[measured] = commanded[action.name]
            elif measured and observed[measured] != commanded[action.name]:
                raise ContractError(
                    f"action {action.name!r} and its measurement {measured!r} hold different "
                    "joints by way of another action field; label all of them"
                )
    known = {label for labels in commanded.values() for label in labels}.union(joints)
    return (
        {name: labels for name, labels in observed.items() if known.intersection(labels)},
        {name: labels for name, labels in commanded.items() if labels},
    )


def _check_present(fields: Iterable[tuple[str, tuple[str, ...]]], joints: Sequence[str]) -> None:
    """Every joint of every field is one of the robot's."""
    has = set(joints)
    needed = {label: name for name, labels in fields for label in labels}
    missing = [label for label in needed if label not in has]
    if not missing:
        return
    folded = {joint.casefold(): joint for joint in joints}
    hints = []
    for label in missing[:16]:
        nearest = difflib.get_close_matches(label.casefold(), folded, n=1, cutoff=0.5)
        hints.append(f"{label!r} (nearest: {folded[nearest[0]]!r})" if nearest else repr(label))
    rest = f" and {len(missing) - 16} more" if len(missing) > 16 else ""
    where = listing(dict.fromkeys(needed[label] for label in missing))
    raise InterfaceMismatchError(
        f"the robot lacks {len(missing)} of the contract's joints: {', '.join(hints)}{rest}, "
        f"in {where}. The robot has {len(joints)}: {listing(joints)}. "
        "Pass joints= with the contract's names in the robot's order, or change the contract"
    )


def _check_neutral(field: ActionField, extra: set[str]) -> None:
    """A joint the field does not command has a value that leaves it alone."""
    if not extra:
        return
    if field.semantics in ("torque", "opaque"):
        raise ContractError(
            f"action {field.name!r}: the robot has joints it does not command "
            f"({listing(sorted(extra))}), and {field.semantics} has no value that leaves a joint "
            "alone; pass joints= with the commanded ones only"
        )
    if field.semantics == "position" and not field.measured_position:
        raise ContractError(
            f"action {field.name!r}: the robot has joints it does not command "
            f"({listing(sorted(extra))}), which stay where they are measured, so the action "
            "needs measured_position; or pass joints= with the commanded ones only"
        )


def _index(labels: tuple[str, ...], order: tuple[str, ...]) -> npt.NDArray[np.intp] | None:
    """Where in `order` each label is, or None if they are the same list."""
    if labels == order:
        return None
    where = {name: index for index, name in enumerate(order)}
    return np.array([where[label] for label in labels], dtype=np.intp)
