"""The contract: everything that crosses, and the two hashes that prove it is shared.

The interface hash covers what a policy and a simulator must agree on. It is taken over a
canonical JSON that holds only strings and integers, so it is the same on every Python and
platform. Limits, fallbacks and the robot's identity are the robot's own facts: they are hashed
apart, and lowering a speed limit never invalidates a policy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeVar

from ..errors import ContractError
from .actions import ActionField
from .checks import brief, check_choice, check_keys, check_text, check_whole, listing
from .fields import Field
from .limits import Limits

__all__ = ["ACTUATORS", "AUTORESET_MODES", "CONTRACT_VERSION", "PACINGS", "Contract"]

CONTRACT_VERSION = 1
"""Version of the JSON form of a contract."""

ACTUATORS: tuple[str, ...] = ("simulated", "real")
AUTORESET_MODES: tuple[str, ...] = ("disabled", "next_step", "same_step")
PACINGS: tuple[str, ...] = ("realtime", "lockstep")

MAX_FIELDS = 256
MAX_CONTROL_DT_NS = 3_600_000_000_000
MAX_VERSION = 1_000_000

# Attribute, smallest, largest.
_WHOLE: tuple[tuple[str, int, int], ...] = (
    ("control_dt_ns", 1, MAX_CONTROL_DT_NS),
    ("obs_version", 1, MAX_VERSION),
    ("action_version", 1, MAX_VERSION),
    ("horizon", 1, 1),
)

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
    # Out of __hash__ only: a mapping has none.
    limits: Mapping[str, Limits] = field(default_factory=dict, hash=False)
    robot_id: str = ""

    def __post_init__(self) -> None:
        """Check the parts against each other."""
        object.__setattr__(self, "observation", _fields("observation", self.observation, Field))
        object.__setattr__(self, "action", _fields("action", self.action, ActionField))
        if not isinstance(self.limits, Mapping):
            raise ContractError(f"limits: expected a mapping, got {type(self.limits).__name__}")
        object.__setattr__(self, "limits", MappingProxyType(dict(self.limits)))
        check_choice("actuator", self.actuator, ACTUATORS)
        check_choice("autoreset_mode", self.autoreset_mode, AUTORESET_MODES)
        for name, low, high in _WHOLE:
            check_whole(name, getattr(self, name), low, high)
        for text in ("name", "robot_id"):
            check_text(text, getattr(self, text))
        observation = {f.name: f for f in self.observation}
        for action in self.action:
            action.check_measured(observation)
        for name, limits in self.limits.items():
            self._check_limits(name, limits)

    def _check_limits(self, name: str, limits: Limits) -> None:
        if not isinstance(limits, Limits):
            raise ContractError(f"limits of {brief(name)}: expected Limits, got {brief(limits)}")
        action = next((f for f in self.action if f.name == name), None)
        if action is None:
            raise ContractError(
                f"limits name {brief(name)}, which is no action field; "
                f"there are {listing(f.name for f in self.action)}"
            )
        action.check_limits(limits)

    def check_pacing(self, pacing: str) -> None:
        """Check that this contract may be driven at a pacing.

        Args:
            pacing: one of `PACINGS`.

        Raises:
            ContractError: an unknown pacing, or a real actuator under lockstep.
        """
        check_choice("pacing", pacing, PACINGS)
        if pacing == "lockstep" and self.actuator == "real":
            raise ContractError(
                f"contract {self.name!r}: a real actuator cannot run in lockstep, which has no "
                "deadline and no fallback: a robot cannot wait for an answer. Use pacing "
                "'realtime', or actuator 'simulated' if this is a simulator"
            )

    @property
    def control_dt(self) -> float:
        """Time between two actions, in seconds."""
        return self.control_dt_ns / 1e9

    @property
    def joint_names(self) -> tuple[str, ...]:
        """The joints this contract commands, each once, in order of first appearance.

        They are the labels of the action fields, or of what these measure. A contract whose
        actions name none may still observe some: then every label counts.
        """
        measured = {f.measured_position for f in self.action}
        measured |= {f.measured_velocity for f in self.action}
        named = [*self.action, *(f for f in self.observation if f.name in measured)]
        labels = [label for f in named for label in f.labels]
        labels = labels or [label for f in self.observation for label in f.labels]
        return tuple(dict.fromkeys(labels))

    def field(self, name: str) -> Field:
        """The action field of this name, or else the observation field.

        Raises:
            ContractError: there is none.
        """
        for found in (*self.action, *self.observation):
            if found.name == name:
                return found
        names = listing(f.name for f in (*self.observation, *self.action))
        raise ContractError(f"no field {brief(name)}; there are {names}")

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
                    for name, bounds in ((n, li.to_dict()) for n, li in self.limits.items())
                    if bounds
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
        found = check_keys("contract", data, _KEYS, ("observation", "action", "control_dt_ns"))
        version = found.get("contract_version", CONTRACT_VERSION)
        if type(version) is not int or version != CONTRACT_VERSION:
            raise ContractError(
                f"contract_version {brief(version)}: this isthmus reads {CONTRACT_VERSION}"
            )
        values = {key: value for key, value in found.items() if key != "contract_version"}
        values.setdefault("name", "")
        values["observation"] = tuple(
            Field.from_dict(item) for item in _list("observation", found["observation"])
        )
        values["action"] = tuple(
            ActionField.from_dict(item) for item in _list("action", found["action"])
        )
        limits = found.get("limits", {})
        if not isinstance(limits, Mapping):
            raise ContractError(f"limits: expected an object, got {type(limits).__name__}")
        values["limits"] = {name: _limits(name, item) for name, item in limits.items()}
        return cls(**values)

    def __reduce__(self) -> tuple[Any, ...]:
        # A read-only mapping cannot be copied by the copy protocol; the JSON form can.
        return (Contract.from_dict, (self.to_dict(),))


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
    if not 0 < len(value) <= MAX_FIELDS:
        raise ContractError(f"{what}: expected 1 to {MAX_FIELDS} fields, got {len(value)}")
    return list(value)


def _limits(name: object, value: Any) -> Limits:
    try:
        return Limits.from_dict(value)
    except ContractError as exc:
        raise ContractError(f"limits of {brief(name)}: {exc}") from exc


def _fields(side: str, value: object, kind: type[AnyField]) -> tuple[AnyField, ...]:
    found = _list(side, value)
    names: set[str] = set()
    for item in found:
        # Exactly this kind: an action field among the observations would not read back.
        if type(item) is not kind:
            raise ContractError(f"{side}: expected {kind.__name__}, got {brief(item)}")
        if item.name in names:
            raise ContractError(f"{side}: duplicate field name {item.name!r}")
        names.add(item.name)
    return tuple(found)
