"""Which versions of Python a text allows: `requires-python`, and the ranges of `python`.

The part of PEP 440 that interpreters need: numbers, `>= > <= < == != ~=`, `.*`, and commas for
"and". A bare version is what a person means by it: "3.11" is any 3.11, "3.11.7" is that one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from isthmus.errors import EnvironmentSetupError

__all__ = ["Specifier", "is_version_range"]

Release = tuple[int, int, int]

# A path may begin with "~" as well: only "~=" is ours.
_RANGE = re.compile(r"\s*([0-9<>=!]|~=)")
_CLAUSE = re.compile(
    r"(?P<operator>~=|==|!=|<=|>=|<|>)?\s*(?P<version>[0-9]+(\.[0-9]+){0,2})(?P<any>\.\*)?\Z"
)
_EXPECTED = 'expected such as "3.11", ">=3.11,<3.13" or "==3.12.*"'


def _compatible(version: Release, given: tuple[int, ...]) -> bool:
    """Tell whether `version` is at least the given one and differs in its last number only."""
    return version >= _padded(given) and _starts(version, given[:-1])


def _starts(version: Release, given: tuple[int, ...]) -> bool:
    return version[: len(given)] == given


_COMPARISONS: dict[str, Callable[[Release, tuple[int, ...]], bool]] = {
    ">=": lambda version, given: version >= _padded(given),
    ">": lambda version, given: version > _padded(given),
    "<=": lambda version, given: version <= _padded(given),
    "<": lambda version, given: version < _padded(given),
    "==": lambda version, given: version == _padded(given),
    "!=": lambda version, given: version != _padded(given),
    "==.*": _starts,
    "!=.*": lambda version, given: not _starts(version, given),
    "~=": _compatible,
}


@dataclass(frozen=True, slots=True)
class Specifier:
    """A set of Python versions.

    Attributes:
        text: as PEP 440 writes it, such as ">=3.11,<3.13"; "" allows every version.
        clauses: pairs of a comparison and the version compared with; all must hold.
    """

    text: str
    clauses: tuple[tuple[str, tuple[int, ...]], ...]

    @classmethod
    def parse(cls, text: str) -> Specifier:
        """Read a text such as "3.11", ">=3.11,<3.13" or "~=3.12.1"; "" is any version.

        Raises:
            EnvironmentSetupError: it is something else.
        """
        if not text.strip():
            return cls("", ())
        clauses = tuple(_clause(part.strip(), text) for part in text.split(","))
        return cls(",".join(_written(*clause) for clause in clauses), clauses)

    def allows(self, version: Sequence[int]) -> bool:
        """Tell whether a version such as (3, 11, 7) is one of them."""
        release = _padded(version)
        return all(_COMPARISONS[comparison](release, given) for comparison, given in self.clauses)

    def __str__(self) -> str:
        return self.text


def is_version_range(text: str) -> bool:
    """Tell a version range from a path: it begins with a digit or a comparison.

    A relative path that begins so is written "./3rdparty/python".
    """
    return _RANGE.match(text) is not None


def _clause(part: str, text: str) -> tuple[str, tuple[int, ...]]:
    found = _CLAUSE.match(part)
    if found is None:
        raise EnvironmentSetupError(
            f"cannot read {part!r} in the Python version {text!r}: {_EXPECTED}"
        )
    operator, given = found["operator"], tuple(map(int, found["version"].split(".")))
    if operator is None:
        operator = "==.*" if found["any"] or len(given) < 3 else "=="
    elif found["any"] and operator in ("==", "!="):
        operator += ".*"
    elif found["any"] or (operator == "~=" and len(given) < 2):
        raise EnvironmentSetupError(
            f"{part!r} in the Python version {text!r} has no meaning: "
            '".*" goes with == and != only, and ~= needs two numbers'
        )
    return operator, given


def _written(comparison: str, given: tuple[int, ...]) -> str:
    operator, star = comparison.removesuffix(".*"), comparison.endswith(".*")
    return f"{operator}{'.'.join(map(str, given))}{'.*' if star else ''}"


def _padded(version: Sequence[int]) -> Release:
    major, minor, micro = (*version, 0, 0, 0)[:3]
    return (major, minor, micro)
