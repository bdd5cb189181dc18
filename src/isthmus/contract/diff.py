"""What two contracts disagree on, for people: field by field, naming both sides and the fix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import InterfaceMismatchError
from .checks import listing
from .contract import Contract
from .fields import Field

__all__ = ["Difference", "diff", "differences", "require_same_interface"]


@dataclass(frozen=True)
class Difference:
    """One thing two contracts disagree on.

    Attributes:
        where: `observation 'q'`, `action 'delta'`, or `contract`.
        aspect: a key of `FIXES`.
        ours: our side's value, as text; "" if it has none.
        theirs: the other side's.
        interface: True if it makes the two sides unable to talk; False for limits, fallbacks
            and names, which are each side's own.
    """

    where: str
    aspect: str
    ours: str
    theirs: str
    interface: bool = True


FIXES: dict[str, str] = {
    "missing": "send every field the other side expects, or use a model trained on what you have",
    "extra": "leave out fields the other side does not know",
    "order": "list the fields in the same order; the wire has no names",
    "shape": "give the field the same shape on both sides; nothing is padded or cut",
    "dtype": "declare the same dtype on both sides",
    "unit": "convert on the simulator's side and declare the same unit; nothing is scaled for you",
    "labels": "name the same joints in the same order; a robot's own order is mapped by joints=",
    "semantics": "command what the policy was trained to command",
    "reference": "add a delta to what the policy was trained with: the target or the measurement",
    "measured_position": "name the same observation field as measured_position",
    "measured_velocity": "name the same observation field as measured_velocity",
    "control_dt": "step at the rate the policy was trained at, or retrain it",
    "obs_version": "use the version of the model, or of the simulator program, that fits",
    "action_version": "use the version of the model, or of the simulator program, that fits",
    "horizon": "ask for as many actions per answer as the policy gives",
}
"""Aspect of the interface -> what to do about a difference in it."""

MAX_LINES = 40
MAX_ENTRIES = 16

_ADOPT = "or: contract=None in connect() adopts the gateway's contract instead of stating one"


def differences(ours: Contract, theirs: Contract) -> tuple[Difference, ...]:
    """Everything two contracts disagree on; the interface first."""
    found = [
        *_sides("observation", ours.observation, theirs.observation),
        *_sides("action", ours.action, theirs.action),
        *_values("contract", _versions(ours), _versions(theirs)),
        *_values("contract", _facts(ours), _facts(theirs), interface=False),
        *_own(ours, theirs),
    ]
    return tuple(sorted(found, key=lambda difference: not difference.interface))


def diff(
    ours: Contract,
    theirs: Contract,
    ours_name: str = "ours",
    theirs_name: str = "theirs",
    *,
    interface_only: bool = False,
) -> str:
    """What two contracts disagree on, as text; "" if nothing.

    Args:
        ours: one contract.
        theirs: the other.
        ours_name: what to call our side: `link`, a file's name.
        theirs_name: what to call theirs: `gateway`, `reach.onnx`.
        interface_only: leave out limits, fallbacks and other facts of one side.
    """
    found = differences(ours, theirs)
    parts = []
    matter = [difference for difference in found if difference.interface]
    if matter:
        parts.append(
            f"the interfaces of {ours_name} ({ours.interface_hash[:12]}) and "
            f"{theirs_name} ({theirs.interface_hash[:12]}) differ:"
        )
        parts.extend(_table(matter, ours_name, theirs_name))
        parts.append("what to change:")
        parts.extend(f"  - {FIXES[a]}" for a in dict.fromkeys(d.aspect for d in matter))
    own = [difference for difference in found if not difference.interface]
    if own and not interface_only:
        parts.append("differences outside the interface, which keep nobody from talking:")
        parts.extend(_table(own, ours_name, theirs_name))
    return "\n".join(parts)


def require_same_interface(
    ours: Contract, theirs: Contract, ours_name: str = "ours", theirs_name: str = "theirs"
) -> None:
    """Refuse two contracts with different interfaces.

    Raises:
        InterfaceMismatchError: they differ; the message is the diff.
    """
    if ours.interface_hash != theirs.interface_hash:
        found = diff(ours, theirs, ours_name, theirs_name, interface_only=True)
        raise InterfaceMismatchError(f"{found}\n  - {_ADOPT}")


def _sides(side: str, ours: Sequence[Field], theirs: Sequence[Field]) -> Iterator[Difference]:
    mine = {f.name: f for f in ours}
    other = {f.name: f for f in theirs}
    for name in dict.fromkeys([*mine, *other]):
        where = f"{side} {name!r}"
        if name not in other:
            yield Difference(where, "extra", _describe(mine[name]), "")
        elif name not in mine:
            yield Difference(where, "missing", "", _describe(other[name]))
        else:
            yield from _values(where, mine[name].interface(), other[name].interface())
    shared = [name for name in mine if name in other]
    if shared != [name for name in other if name in mine]:
        yield Difference(side, "order", listing(mine), listing(other))


def _values(
    where: str, ours: Mapping[str, Any], theirs: Mapping[str, Any], *, interface: bool = True
) -> Iterator[Difference]:
    for key, value in ours.items():
        if value != theirs[key]:
            start = _first_difference(value, theirs[key])
            shown = (_show(value, start), _show(theirs[key], start))
            yield Difference(where, key, *shown, interface)


def _versions(contract: Contract) -> dict[str, Any]:
    return {
        "control_dt": f"{contract.control_dt_ns} ns ({1e9 / contract.control_dt_ns:g} Hz)",
        "obs_version": contract.obs_version,
        "action_version": contract.action_version,
        "horizon": contract.horizon,
    }


def _facts(contract: Contract) -> dict[str, Any]:
    keys = ("name", "robot_id", "actuator", "autoreset_mode")
    return {key: getattr(contract, key) for key in keys}


def _own(ours: Contract, theirs: Contract) -> Iterator[Difference]:
    """Fallbacks and limits of the action fields both have."""
    other = {f.name: f for f in theirs.action}
    for field in ours.action:
        if field.name not in other:
            continue
        where = f"action {field.name!r}"
        mine, its = (
            {
                "fallback": f.fallback,
                "fallback_value": f.fallback_value,
                **dict.fromkeys(("low", "high", "max_rate", "max_acceleration"), "none"),
                **(c.limits[f.name].to_dict() if f.name in c.limits else {}),
            }
            for c, f in ((ours, field), (theirs, other[field.name]))
        )
        yield from _values(where, mine, its, interface=False)


def _describe(field: Field) -> str:
    return " ".join(part for part in (field.dtype, str(field.shape), field.unit) if part)


def _first_difference(ours: object, theirs: object) -> int:
    """Where to start showing two lists: 0, or shortly before they part if that is far in."""
    if not isinstance(ours, (list, tuple)) or not isinstance(theirs, (list, tuple)):
        return 0
    pairs = enumerate(zip(ours, theirs, strict=False))
    at = next((index for index, (a, b) in pairs if a != b), min(len(ours), len(theirs)))
    return max(0, at - 2) if at >= MAX_ENTRIES else 0


def _show(value: object, start: int = 0) -> str:
    if not isinstance(value, (list, tuple)):
        return str(value) if value != "" else "''"
    entries = [str(entry) for entry in value[start : start + MAX_ENTRIES]]
    rest = len(value) - start - MAX_ENTRIES
    more = f" and {rest} more" if rest > 0 else ""
    return (f"from entry {start}: " if start else "") + f"[{', '.join(entries)}{more}]"


def _table(found: Sequence[Difference], ours_name: str, theirs_name: str) -> Iterator[str]:
    width = max(len(difference.where) for difference in found)
    for d in found[:MAX_LINES]:
        sides = (f"{n}: {v or 'absent'}" for n, v in ((ours_name, d.ours), (theirs_name, d.theirs)))
        yield f"  {d.where:<{width}}  {d.aspect}: " + " | ".join(sides)
    if len(found) > MAX_LINES:
        yield f"  and {len(found) - MAX_LINES} more"
