"""The contract: everything that crosses, and the two hashes that prove it is shared.

The interface hash covers what a policy and a simulator must agree on. It is taken over a
canonical JSON that holds only strings and integers, so it is the same on every Python and
platform. Limits, fallbacks and the robot's identity are the robot's own facts: they are hashed
apart, and lowering a speed limit never invalidates a policy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeVar

from ..errors import ContractError
from .fields import ActionField, Field
from .limits import Limits

__all__ = ["ACTUATORS", "AUTORESET_MODES", "CONTRACT_VERSION", "Contract"]

CONTRACT_VERSION = 1
"""Version of the JSON form of a contract."""

ACTUATORS: tuple[str, ...] = ("simulated", "real")
AUTORESET_MODES: tuple[str, ...] = ("disabled", "next_step", "same_step")

MAX_FIELDS = 256
MAX_CONTROL_DT_NS = 3_600_000_000_000

AnyField = TypeVar("AnyField", bound=Field)


@dataclass(frozen=True)
class Contract:
    """What crosses the boundary, for one environment.

    Attributes:
        name: a word for people; not part of the interface.
        observation: fields the simulator sends, in wire order.
        action: fields the policy answers with, in wire order.
        control_dt_ns: time between two actions, in nanoseconds.
        actuator: `simulated` or `real`; a real one refuses lockstep.
        autoreset_mode: as Gymnasium's `AutoresetMode`.
        obs_version: version of the observation's meaning.
        action_version: version of the action's meaning.
        horizon: actions per answer; 1 until chunks.
        limits: action field name -> `Limits`. Not part of the interface.
        robot_id: which robot this is. Not part of the interface.

    Raises:
        ContractError: anything in it contradicts itself.
    """

    name: str
    observation: tuple[Field, ...]
    action: tuple[ActionField, ...]
    control_dt_ns: int
    actuator: str = "simulated"
    autoreset_mode: str = "disabled"
    obs_version: int = 1
    action_version: int = 2
    horizon: int = 1
    limits: Mapping[str, Limits] = field(default_factory=dict)
    robot_id: str = ""

    def __post_init__(self) -> None:
        """Check the parts against each other."""
        object.__setattr__(self, "observation", tuple(self.observation))
        object.__setattr__(self, "action", tuple(self.action))
        object.__setattr__(self, "limits", MappingProxyType(dict(self.limits)))
        _check_fields("observation", self.observation, Field)
        _check_fields("action", self.action, ActionField)
        _check_choice("actuator", self.actuator, ACTUATORS)
        _check_choice("autoreset_mode", self.autoreset_mode, AUTORESET_MODES)
        _check_whole("control_dt_ns", self.control_dt_ns, 1, MAX_CONTROL_DT_NS)
        for name in ("obs_version", "action_version"):
            _check_whole(name, getattr(self, name), 1, 1_000_000)
        if self.horizon != 1:
            raise ContractError(f"horizon must be 1 in this version, got {self.horizon!r}")
        for text in ("name", "robot_id"):
            if not isinstance(getattr(self, text), str):
                raise ContractError(f"{text} must be text, got {getattr(self, text)!r}")
        for action in self.action:
            self._check_measured(action)
        for name, limits in self.limits.items():
            self._check_limits(name, limits)

    def _check_measured(self, action: ActionField) -> None:
        for key in ("measured_position", "measured_velocity"):
            name = getattr(action, key)
            if not name:
                continue
            measured = next((f for f in self.observation if f.name == name), None)
            if measured is None:
                raise ContractError(
                    f"action {action.name!r}: {key} names {name!r}, which is no observation field"
                )
            if measured.shape != action.shape or not measured.is_float:
                raise ContractError(
                    f"action {action.name!r} {action.shape}: {key} {name!r} is "
                    f"{measured.dtype} {measured.shape}; it must be float and of the same shape"
                )
            if action.labels and measured.labels and action.labels != measured.labels:
                raise ContractError(
                    f"action {action.name!r} and {key} {name!r} name different joints, or in "
                    f"another order: {list(action.labels)} and {list(measured.labels)}"
                )

    def _check_limits(self, name: str, limits: Limits) -> None:
        if not isinstance(limits, Limits):
            raise ContractError(f"limits of {name!r}: expected Limits, got {limits!r}")
        action = next((f for f in self.action if f.name == name), None)
        if action is None:
            raise ContractError(f"limits name {name!r}, which is no action field")
        size = action.shape[-1] if action.shape else 1
        if limits.size not in (None, size):
            raise ContractError(
                f"limits of {name!r} have {limits.size} entries; the field's last axis has {size}"
            )
        bounded = limits.low is not None or limits.high is not None
        if bounded and action.semantics == "delta" and not action.measured_position:
            raise ContractError(
                f"action {name!r}: position limits of a delta need measured_position"
            )

    @property
    def control_dt(self) -> float:
        """Time between two actions, in seconds."""
        return self.control_dt_ns / 1e9

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Every label of every field, each once, in order of first appearance."""
        labels = (label for f in (*self.observation, *self.action) for label in f.labels)
        return tuple(dict.fromkeys(labels))

    def interface(self) -> dict[str, Any]:
        """What is hashed: strings, integers and lists of them."""
        return {
            "observation": [f.interface() for f in self.observation],
            "action": [f.interface() for f in self.action],
            "control_dt_ns": self.control_dt_ns,
            "obs_version": self.obs_version,
            "action_version": self.action_version,
            "horizon": self.horizon,
        }

    @cached_property
    def interface_hash(self) -> str:
        """SHA-256 of the interface, 64 hex digits; model, gateway and link must agree on it."""
        return _digest(self.interface())

    @cached_property
    def limits_hash(self) -> str:
        """SHA-256 of the robot's side: limits, fallbacks, actuator. 64 hex digits."""
        return _digest(
            {
                "actuator": self.actuator,
                "fallback": {
                    f.name: [f.fallback, *(value.hex() for value in f.fallback_value)]
                    for f in self.action
                },
                "limits": {
                    name: {key: [v.hex() for v in values] for key, values in bounds.items()}
                    for name, bounds in sorted((n, li.to_dict()) for n, li in self.limits.items())
                },
            }
        )

    def with_limits(self, other: Mapping[str, Limits]) -> Contract:
        """This contract with the tighter of its own and the other side's limits.

        Raises:
            ContractError: together they leave no room, or name an unknown field.
        """
        both = dict(self.limits)
        for name, limits in other.items():
            both[name] = both[name].tighter(limits) if name in both else limits
        return replace(self, limits=both)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "contract_version": CONTRACT_VERSION,
            "name": self.name,
            "robot_id": self.robot_id,
            "actuator": self.actuator,
            "autoreset_mode": self.autoreset_mode,
            "control_dt_ns": self.control_dt_ns,
            "obs_version": self.obs_version,
            "action_version": self.action_version,
            "horizon": self.horizon,
            "observation": [f.to_dict() for f in self.observation],
            "action": [f.to_dict() for f in self.action],
            "limits": {name: limits.to_dict() for name, limits in self.limits.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Contract:
        """Read the JSON form.

        Raises:
            ContractError: a key is missing, unknown or of the wrong type, or the parts
                contradict each other.
        """
        if not isinstance(data, Mapping):
            raise ContractError(f"contract: expected an object, got {type(data).__name__}")
        unknown = [key for key in data if key not in _KEYS]
        if unknown:
            raise ContractError(
                f"contract: unknown keys {', '.join(map(repr, unknown))}; "
                f"known keys: {', '.join(_KEYS)}"
            )
        missing = [key for key in ("observation", "action", "control_dt_ns") if key not in data]
        if missing:
            raise ContractError(f"contract: keys missing: {', '.join(missing)}")
        version = data.get("contract_version", CONTRACT_VERSION)
        if version != CONTRACT_VERSION:
            raise ContractError(
                f"contract_version {version!r}: this isthmus reads version {CONTRACT_VERSION}"
            )
        values = {key: value for key, value in data.items() if key != "contract_version"}
        values.setdefault("name", "")
        values["observation"] = tuple(
            Field.from_dict(item) for item in _list("observation", data["observation"])
        )
        values["action"] = tuple(
            ActionField.from_dict(item) for item in _list("action", data["action"])
        )
        limits = data.get("limits", {})
        if not isinstance(limits, Mapping):
            raise ContractError(f"limits: expected an object, got {type(limits).__name__}")
        values["limits"] = {name: Limits.from_dict(item) for name, item in limits.items()}
        return cls(**values)


_KEYS: tuple[str, ...] = (
    "contract_version",
    "name",
    "robot_id",
    "actuator",
    "autoreset_mode",
    "control_dt_ns",
    "obs_version",
    "action_version",
    "horizon",
    "observation",
    "action",
    "limits",
)


def _digest(value: Mapping[str, Any]) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _list(what: str, value: object) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise ContractError(f"{what}: expected a list of fields, got {type(value).__name__}")
    return list(value)


def _check_fields(side: str, found: Iterable[Field], kind: type[AnyField]) -> None:
    names: set[str] = set()
    for item in found:
        if not isinstance(item, kind):
            raise ContractError(f"{side}: expected {kind.__name__}, got {item!r}")
        if item.name in names:
            raise ContractError(f"{side}: duplicate field name {item.name!r}")
        names.add(item.name)
    if not names or len(names) > MAX_FIELDS:
        raise ContractError(f"{side}: expected 1 to {MAX_FIELDS} fields, got {len(names)}")


def _check_choice(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ContractError(f"{name} {value!r}: use one of {', '.join(allowed)}")


def _check_whole(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ContractError(f"{name} must be a whole number from {low} to {high}, got {value!r}")
