"""What differs from one episode's arm to the next: masses, friction, drives, delay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from ...errors import ContractError

__all__ = ["Randomization", "RandomizationRanges"]


@dataclass(frozen=True, slots=True)
class Randomization:
    """The values an arm runs with, as applied; one number per joint or per joint's link.

    Attributes:
        link_mass: kg. Inertias scale with it.
        joint_friction: dry friction, N m.
        drive_stiffness: N m/rad.
        drive_damping: N m s/rad.
        action_delay: control steps between receiving a delta and applying it.
    """

    link_mass: tuple[float, ...]
    joint_friction: tuple[float, ...]
    drive_stiffness: tuple[float, ...]
    drive_damping: tuple[float, ...]
    action_delay: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON and for a hash."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    def override(self, values: Mapping[str, Any]) -> Randomization:
        """This sample with some values replaced.

        Args:
            values: attribute name -> what `to_dict` gives for it.

        Raises:
            ContractError: an unknown name, a wrong count, or a value out of its meaning.
        """
        known = {field.name for field in fields(self)}
        changes: dict[str, Any] = {}
        for name, value in values.items():
            if name not in known:
                raise ContractError(
                    f"randomization: unknown name {name!r}; known: {', '.join(sorted(known))}"
                )
            if name == "action_delay":
                changes[name] = _delay(value)
            else:
                changes[name] = _amounts(name, value, len(self.link_mass))
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class RandomizationRanges:
    """From where samples are drawn: factors of the nominal value, and steps of delay.

    Attributes:
        link_mass: lowest and highest factor.
        joint_friction: lowest and highest factor.
        drive_stiffness: lowest and highest factor.
        drive_damping: lowest and highest factor.
        action_delay: fewest and most control steps, both included.
    """

    link_mass: tuple[float, float] = (0.8, 1.3)
    joint_friction: tuple[float, float] = (0.5, 2.0)
    drive_stiffness: tuple[float, float] = (0.8, 1.25)
    drive_damping: tuple[float, float] = (0.8, 1.25)
    action_delay: tuple[int, int] = (0, 2)

    def sample(self, nominal: Randomization, rng: np.random.Generator) -> Randomization:
        """Draw each value on its own, uniformly; the order of draws never changes.

        Args:
            nominal: what the factors multiply.
            rng: where the draws come from.
        """

        def scaled(values: tuple[float, ...], bounds: tuple[float, float]) -> tuple[float, ...]:
            return tuple((np.array(values) * rng.uniform(*bounds, len(values))).tolist())

        return Randomization(
            link_mass=scaled(nominal.link_mass, self.link_mass),
            joint_friction=scaled(nominal.joint_friction, self.joint_friction),
            drive_stiffness=scaled(nominal.drive_stiffness, self.drive_stiffness),
            drive_damping=scaled(nominal.drive_damping, self.drive_damping),
            action_delay=int(rng.integers(self.action_delay[0], self.action_delay[1] + 1)),
        )


def _delay(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        raise ContractError(f"action_delay: expected whole control steps >= 0, got {value!r}")
    return int(value)


def _amounts(name: str, value: Any, count: int) -> tuple[float, ...]:
    amounts = np.asarray(value, dtype=np.float64)
    if amounts.shape != (count,) or not (np.isfinite(amounts).all() and (amounts >= 0).all()):
        raise ContractError(f"{name}: expected {count} finite numbers >= 0, got {value!r}")
    return tuple(amounts.tolist())
