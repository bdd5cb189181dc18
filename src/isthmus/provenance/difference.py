"""Where two samples part: the first value that differs, by its path.

Values are compared as the hash sees them, so two samples differ here if and only if their hashes
do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from .plain import child, item, plain, sorted_items

__all__ = ["ABSENT", "Difference", "differences", "first_difference"]

_MOST_SHOWN = 200
"""Characters of a path or a text that a record of a difference holds."""


class _Absent(Enum):
    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent.ABSENT
"""Stands for a value that one of two samples does not have."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that two samples do not share.

    Attributes:
        key: its path, such as `drive.stiffness[3]`; "" if one sample is no mapping.
        expected: the value of the first sample, as plain Python; ABSENT if it has none.
        actual: that of the second.
    """

    key: str
    expected: Any
    actual: Any

    def to_dict(self) -> dict[str, Any]:
        """For a record: `key`, `expected_value`, `actual_value`; a side without it is left out.

        A value that holds others is said in words, and a long text is cut.
        """
        found: dict[str, Any] = {"key": _shown(self.key)}
        for name, value in (("expected_value", self.expected), ("actual_value", self.actual)):
            if value is not ABSENT:
                found[name] = _shown(value)
        return found


def first_difference(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> Difference | None:
    """The first value that differs, in the order of the canonical form; None if none does.

    Raises:
        ContractError: one of the two cannot be hashed.
    """
    return next(differences(expected, actual), None)


def differences(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> Iterator[Difference]:
    """Every value that differs, in the order of the canonical form.

    Raises:
        ContractError: as `first_difference`.
    """
    yield from _parted("", plain(expected), plain(actual))


def _parted(path: str, expected: Any, actual: Any) -> Iterator[Difference]:
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key, _ in sorted_items({**expected, **actual}, path):
            here = child(path, key)
            yield from _parted(here, expected.get(key, ABSENT), actual.get(key, ABSENT))
    elif isinstance(expected, list) and isinstance(actual, list):
        for index in range(max(len(expected), len(actual))):
            sides = (side[index] if index < len(side) else ABSENT for side in (expected, actual))
            yield from _parted(item(path, index), *sides)
    elif not _same(expected, actual):
        yield Difference(path, expected, actual)


def _same(expected: Any, actual: Any) -> bool:
    """Two values of which at most one holds others; True is no number, though Python says so."""
    if isinstance(expected, bool) is not isinstance(actual, bool):
        return False
    return bool(expected == actual)


def _shown(value: Any) -> Any:
    if isinstance(value, dict):
        return f"a mapping of {len(value)}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, str) and len(value) > _MOST_SHOWN:
        return value[:_MOST_SHOWN] + "..."
    return value
