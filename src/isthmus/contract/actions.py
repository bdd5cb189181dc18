"""Action fields: what a command's numbers mean, and what replaces one that did not come in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ContractError
from .checks import brief, check_choice, check_text, finite
from .fields import FIELD_KEYS, RANGES, REFERENCES, SEMANTICS, Field, read_keys
from .limits import MEANINGS, Limits
from .units import RATES

__all__ = ["ActionField"]


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
        what = f"action {self.name!r}"
        check_choice(f"{what}: unknown semantics", self.semantics, SEMANTICS)
        check_choice(f"{what}: unknown reference", self.reference, REFERENCES)
        for key in ("measured_position", "measured_velocity"):
            check_text(f"{what}: {key}", getattr(self, key))
        if self.semantics != "opaque" and not self.is_float:
            raise ContractError(
                f"{what}: {self.semantics} needs a float dtype, not {self.dtype}; "
                "use semantics 'opaque' for discrete actions"
            )
        if self.semantics == "delta" and self.reference == "measured":
            self._need_measured("reference 'measured'")
        self._check_fallback(what)
        self._check_fallback_value(what)

    def _check_fallback(self, what: str) -> None:
        allowed = SEMANTICS[self.semantics]
        if self.fallback == "" and self.semantics == "opaque":
            raise ContractError(
                f"{what}: an opaque action must name its fallback: one of {', '.join(allowed)}"
            )
        if self.fallback == "":
            object.__setattr__(self, "fallback", allowed[0])
        why = f" is not allowed for {self.semantics}{_WHY_NOT_ZERO.get(self.semantics, '')}"
        check_choice(f"{what}: fallback", self.fallback, allowed, why)
        if self.fallback == "hold" and self.semantics in ("position", "delta"):
            self._need_measured("fallback 'hold'")

    def _check_fallback_value(self, what: str) -> None:
        value = finite(f"{what}: fallback_value", self.fallback_value)
        object.__setattr__(self, "fallback_value", value)
        if self.fallback != "value":
            if value:
                raise ContractError(
                    f"{what}: fallback_value is given but fallback is {self.fallback!r}; "
                    "leave one out, or use fallback 'value'"
                )
            return
        if len(value) not in (1, self.last):
            sizes = "1 number" if self.last == 1 else f"1 or {self.last} numbers"
            raise ContractError(
                f"{what}: fallback 'value' needs fallback_value of {sizes}, got {len(value)}"
            )
        low, high = RANGES[self.dtype]
        for number in value:
            if not low <= number <= high or not (self.is_float or number.is_integer()):
                raise ContractError(f"{what}: fallback_value {number} is no {self.dtype}")

    def _need_measured(self, reason: str) -> None:
        if not self.measured_position:
            raise ContractError(
                f"action {self.name!r}: {reason} needs measured_position, the observation field "
                "that holds the measured position"
            )

    def check_limits(self, limits: Limits) -> None:
        """Check that limits bound this action.

        Raises:
            ContractError: another size, a bound that means nothing here, or one that the dtype
                or the fallback cannot keep.
        """
        what = f"limits of {self.name!r}"
        if limits.size not in (None, self.last):
            raise ContractError(
                f"{what} have {limits.size} entries; the field's last axis has {self.last}"
            )
        bounded = limits.low is not None or limits.high is not None
        if bounded and self.semantics == "delta" and not self.measured_position:
            raise ContractError(
                f"action {self.name!r}: position limits of a delta need measured_position"
            )
        if limits.max_acceleration is not None and not MEANINGS[self.semantics][2]:
            raise ContractError(
                f"{what}: max_acceleration means nothing for {self.semantics}; leave it out"
            )
        low, high = RANGES[self.dtype]
        for number in (*(limits.low or ()), *(limits.high or ())):
            if not low <= number <= high:
                raise ContractError(
                    f"{what}: {number} is outside {self.dtype}; leave it out if unbounded"
                )
        for index, number in enumerate(self.constant_fallback()):
            if not limits.allow(index, number):
                raise ContractError(
                    f"{what} exclude its own fallback {self.fallback!r}: {number} at entry {index}"
                )

    def constant_fallback(self) -> tuple[float, ...]:
        """The command the fallback stands for, per entry of the last axis; () if it varies."""
        if self.fallback == "zero" and self.semantics != "delta":
            return (0.0,) * self.last
        if len(self.fallback_value) == 1:
            return self.fallback_value * self.last
        return self.fallback_value

    def check_measured(self, observation: Mapping[str, Field]) -> None:
        """Check the observation fields this action names as its measurements.

        Raises:
            ContractError: one is missing, or differs from the action in shape, joints or unit.
        """
        for key in ("measured_position", "measured_velocity"):
            name = getattr(self, key)
            if name and name not in observation:
                raise ContractError(
                    f"action {self.name!r}: {key} names {name!r}, which is no observation field; "
                    f"there are {', '.join(map(repr, observation))}"
                )
            if name:
                self._check_same_joints(key, observation[name])
                self._check_unit(key, observation[name])

    def _check_same_joints(self, key: str, measured: Field) -> None:
        if measured.shape != self.shape or not measured.is_float:
            raise ContractError(
                f"action {self.name!r} {self.shape}: {key} {measured.name!r} is "
                f"{measured.dtype} {measured.shape}; it must be float and of the same shape"
            )
        if self.labels and measured.labels and self.labels != measured.labels:
            raise ContractError(
                f"action {self.name!r} and {key} {measured.name!r} name different joints, or in "
                f"another order: {brief(list(self.labels))} and {brief(list(measured.labels))}"
            )

    def _check_unit(self, key: str, measured: Field) -> None:
        """Holding a pose measured in degrees by a command in radians would be a jump."""
        expected = {
            ("position", "measured_position"): self.unit,
            ("delta", "measured_position"): self.unit,
            ("velocity", "measured_velocity"): self.unit,
            ("position", "measured_velocity"): RATES.get(self.unit, ""),
            ("delta", "measured_velocity"): RATES.get(self.unit, ""),
        }.get((self.semantics, key), "")
        if expected and measured.unit and measured.unit != expected:
            raise ContractError(
                f"action {self.name!r} is in {self.unit!r}, so {key} {measured.name!r} must be in "
                f"{expected!r}, not {measured.unit!r}"
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
        return cls(**read_keys("action field", data, _ACTION_KEYS))


_ACTION_KEYS: dict[str, type] = {
    **FIELD_KEYS,
    "semantics": str,
    "reference": str,
    "measured_position": str,
    "measured_velocity": str,
    "fallback": str,
    "fallback_value": list,
}

_WHY_NOT_ZERO = {
    "position": " (position 0 drives to the zero pose)",
    "torque": " (torque 0 drops the arm)",
}
