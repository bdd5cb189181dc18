"""A contract as a page a person reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .actions import ActionField
from .contract import Contract
from .fields import RANGES, Field
from .limits import Limits

__all__ = ["summary"]

MAX_LABELS = 8


def summary(contract: Contract) -> str:
    """Everything in a contract, as aligned text with both hashes; ends without a newline."""
    return "\n".join(_lines(contract))


def _lines(contract: Contract) -> Iterator[str]:
    robot = f", robot {contract.robot_id}" if contract.robot_id else ""
    yield f"contract {contract.name or '(unnamed)'}{robot}"
    yield from _columns(
        [
            ("  interface", contract.interface_hash),
            ("  limits", contract.limits_hash),
            ("  control_dt", f"{contract.control_dt:g} s ({1 / contract.control_dt:g} Hz)"),
            ("  actuator", contract.actuator),
            ("  autoreset", contract.autoreset_mode),
            ("  versions", f"obs {contract.obs_version}, action {contract.action_version}"),
        ]
    )
    yield ""
    head = ("dtype", "shape", "unit", "labels")
    yield from _columns([("observation", *head), *(_row(f) for f in contract.observation)])
    yield ""
    yield from _columns([("action", *head), *(_row(f) for f in contract.action)])
    for field in contract.action:
        yield ""
        yield f"action {field.name}: {_meaning(field)}"
        limits = contract.limits.get(field.name)
        if limits is None or limits.size is None:
            yield "  no limits"
        else:
            yield from _columns(_limit_rows(field, limits))


def _row(field: Field) -> tuple[str, ...]:
    labels = ", ".join(field.labels[:MAX_LABELS])
    rest = len(field.labels) - MAX_LABELS
    labels += f" and {rest} more" if rest > 0 else ""
    return (f"  {field.name}", field.dtype, str(field.shape), field.unit or "-", labels or "-")


def _meaning(field: ActionField) -> str:
    parts = [field.semantics]
    if field.semantics == "delta":
        parts[0] += f" from the {field.reference}"
    measured = [name for name in (field.measured_position, field.measured_velocity) if name]
    if measured:
        parts.append(f"measured by {' and '.join(measured)}")
    value = " ".join(f"{number:g}" for number in field.fallback_value)
    parts.append(f"fallback {field.fallback}{' ' + value if value else ''}")
    return ", ".join(parts)


def _limit_rows(field: ActionField, limits: Limits) -> Iterator[tuple[str, ...]]:
    bounds = limits.to_dict()
    yield ("  limits", *bounds)
    for index in range(field.last):
        label = field.labels[index] if field.labels else str(index)
        yield (f"  {label}", *(_bound(field, values[index]) for values in bounds.values()))


def _bound(field: ActionField, value: float) -> str:
    """One entry's bound; a float's last value stands for none, where others have one."""
    return "unbounded" if field.is_float and value in RANGES[field.dtype] else f"{value:g}"


def _columns(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
