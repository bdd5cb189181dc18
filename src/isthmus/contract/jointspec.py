"""A joint specification: the joints' limits in a file of their own, apart from any contract.

Three forms are read, all JSON, in the contract's unit (rad and rad/s for joints that turn)::

    {"joints": [{"name": "base", "lower": -1.5, "upper": 1.5, "velocity": 2.0}, ...]}
    {"base": {"lower": -1.5, "upper": 1.5, "velocity": 2.0}, ...}
    {"names": ["base", ...], "lower": [-1.5, ...], "upper": [1.5, ...], "velocity": [2.0, ...]}

`velocity` may be left out, by all joints together; names likewise in the first and third form, and
then the joints are those of the contract, in its order. `low`, `min` and `high`, `max` are read as
`lower` and `upper`, and `max_rate` as `velocity`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .. import strictjson
from ..errors import ContractError
from .actions import ActionField
from .checks import brief, check_name, finite, listing
from .contract import Contract
from .limits import Limits

__all__ = ["BOUNDED", "JointSpec"]

BOUNDED = ("position", "delta")
"""Semantics whose command, or the target it leads to, is a position that can be bounded."""

_WORDS: dict[str, str] = {
    "lower": "lower", "low": "lower", "min": "lower",
    "upper": "upper", "high": "upper", "max": "upper",
    "velocity": "velocity", "max_velocity": "velocity", "max_rate": "velocity",
}  # fmt: skip
"""Word in a file -> ours."""

_FORMS = (
    'write {"joints": [{"name": ..., "lower": ..., "upper": ...}, ...]}, or '
    '{"NAME": {"lower": ..., "upper": ...}, ...}, or {"names": [...], "lower": [...], '
    '"upper": [...]}'
)

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class JointSpec:
    """Limits of joints, one number per joint.

    Attributes:
        names: the joints; () = those of the contract, in its order.
        limits: `low`, `high` and maybe `max_rate`.

    Raises:
        ContractError: names twice, or not as many as there are limits.
    """

    names: tuple[str, ...]
    limits: Limits

    def __post_init__(self) -> None:
        """Check the names against each other and against the limits."""
        for name in self.names:
            check_name("joint name", name)
        if len(set(self.names)) != len(self.names):
            twice = {name for name in self.names if self.names.count(name) > 1}
            raise ContractError(f"joints named twice: {listing(sorted(twice))}")
        if self.names and len(self.names) != self.size:
            raise ContractError(f"{len(self.names)} names for the limits of {self.size} joints")

    @property
    def size(self) -> int:
        """How many joints there are."""
        return self.limits.size or 0

    def tighten(self, contract: Contract) -> Contract:
        """The contract with these limits beside its own, the tighter of each.

        Raises:
            ContractError: the joints are others, no action moves to a position, or the limits of
                both together leave no room.
        """
        fields = [field for field in contract.action if field.semantics in BOUNDED]
        if not fields:
            found = listing(f"{field.name}: {field.semantics}" for field in contract.action)
            raise ContractError(
                f"a joint specification bounds positions and deltas; the contract has {found}. "
                "Write the limits into the contract"
            )
        limits = dict(contract.limits)
        for field in fields:
            own = self._for(field)
            limits[field.name] = own.tighter(limits[field.name]) if field.name in limits else own
        return replace(contract, limits=limits)

    def assumes_order(self, contract: Contract) -> bool:
        """True if it names joints, and the contract names none to hold them against."""
        bounded = (field for field in contract.action if field.semantics in BOUNDED)
        return bool(self.names) and any(not field.labels for field in bounded)

    def _for(self, field: ActionField) -> Limits:
        """The limits in the order of a field's entries."""
        if field.last != self.size:
            raise ContractError(
                f"the joint specification has {self.size} joints, and action {field.name!r} moves "
                f"{field.last}; give the limits of exactly those that the policy moves"
            )
        if not self.names or not field.labels or self.names == field.labels:
            return self.limits
        if set(self.names) != set(field.labels):
            raise ContractError(
                f"the joint specification names {listing(self.names)}; action {field.name!r} moves "
                f"{listing(field.labels)}"
            )
        order = [self.names.index(label) for label in field.labels]
        rows = self.limits.to_dict().items()
        return Limits.from_dict({key: [row[i] for i in order] for key, row in rows})

    @classmethod
    def parse(cls, text: str) -> JointSpec:
        """Read a specification's text.

        Raises:
            ContractError: it is none; the message names the place, what was expected and what came.
        """
        try:
            data = strictjson.loads(text)
        except ValueError as exc:
            raise ContractError(f"not valid JSON: {str(exc)[:200]}") from exc
        if not isinstance(data, dict) or not data:
            raise ContractError(f"expected an object of joints, got {brief(data)}; {_FORMS}")
        if isinstance(data.get("joints"), list):
            return _from_list(data)
        if any(isinstance(data.get(word), list) for word in (*_WORDS, "names")):
            return _from_columns(data)
        return _from_rows(tuple(data), list(data.values()), tuple(map(repr, data)))


def _from_list(data: Mapping[str, Any]) -> JointSpec:
    unknown = [key for key in data if key != "joints"]
    if unknown:
        raise ContractError(f"unknown keys beside 'joints': {listing(unknown)}")
    joints = data["joints"]
    places = [f"joints[{index}]" for index in range(len(joints))]
    for place, joint in zip(places, joints, strict=True):
        _check_object(place, joint)
    named = [joint for joint in joints if "name" in joint]
    if named and len(named) != len(joints):
        place = next(p for p, joint in zip(places, joints, strict=True) if "name" not in joint)
        raise ContractError(f"{place} has no name, and others have; name all of them, or none")
    rows = [{key: value for key, value in joint.items() if key != "name"} for joint in joints]
    return _from_rows(tuple(joint["name"] for joint in named), rows, places)


def _from_rows(names: tuple[Any, ...], rows: Sequence[Any], places: Sequence[str]) -> JointSpec:
    columns: dict[str, list[float]] = {}
    for place, row in zip(places, rows, strict=True):
        _check_object(place, row)
        for key, value in _translated(place, row).items():
            columns.setdefault(key, []).append(finite(f"{place}: {key}", [value])[0])
    for key, column in columns.items():
        if len(column) != len(rows):
            raise ContractError(
                f"{key!r} is given for {len(column)} of {len(rows)} joints; give it for all of "
                "them, or for none"
            )
    return _made(names, columns)


def _from_columns(data: Mapping[str, Any]) -> JointSpec:
    names = data.get("names", [])
    if not isinstance(names, list):
        raise ContractError(f"'names' must be a list, got {brief(names)}")
    found = _translated("the specification", {k: v for k, v in data.items() if k != "names"})
    columns = {key: list(finite(repr(key), value)) for key, value in found.items()}
    return _made(tuple(names), columns)


def _made(names: tuple[Any, ...], columns: Mapping[str, Sequence[float]]) -> JointSpec:
    for key in ("lower", "upper"):
        if not columns.get(key):
            raise ContractError(f"there is no {key!r}; {_FORMS}")
    for name in names:
        check_name("joint name", name)
    limits = Limits(
        low=tuple(columns["lower"]),
        high=tuple(columns["upper"]),
        max_rate=tuple(columns["velocity"]) if "velocity" in columns else None,
    )
    return JointSpec(names, limits)


def _translated(place: str, row: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in row.items():
        ours = _WORDS.get(key)
        if ours is None:
            raise ContractError(
                f"{place}: unknown key {brief(key)}; known: name, lower, upper, velocity"
            )
        if ours in found:
            raise ContractError(f"{place}: {ours!r} is given twice, by different words")
        found[ours] = value
    return found


def _check_object(place: str, value: object) -> None:
    if not isinstance(value, dict):
        raise ContractError(
            f"{place}: expected an object with limits, got {brief(value)}; {_FORMS}"
        )
