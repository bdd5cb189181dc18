"""Values of a JSON document that are what they should be.

Every function takes where it is in the document, so that a message names the place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = [
    "Numbers",
    "read_choice",
    "read_file_name",
    "read_list",
    "read_number",
    "read_numbers",
    "read_object",
    "read_sha256",
    "read_size",
    "read_text",
]

Numbers = float | tuple[float, ...]
"""One number for all entries, or one for each."""

Item = TypeVar("Item")


def read_object(
    data: Any, where: str, required: tuple[str, ...], optional: tuple[str, ...]
) -> dict[str, Any]:
    """Read an object that has the required keys, maybe the optional ones, and no others."""
    if not isinstance(data, dict):
        raise ValueError(f"{where} must be an object, got {type(data).__name__}")
    missing = [key for key in required if key not in data]
    unknown = [key for key in data if key not in (*required, *optional)]
    if missing:
        raise ValueError(f"{where}: keys missing: {', '.join(missing)}")
    if unknown:
        raise ValueError(
            f"{where}: unknown keys {', '.join(map(repr, unknown))}; "
            f"known keys: {', '.join((*required, *optional))}"
        )
    return data


def read_list(data: Any, where: str, read: Callable[[Any, str], Item]) -> tuple[Item, ...]:
    """Read a list, each item by `read`."""
    if not isinstance(data, list):
        raise ValueError(f"{where} must be a list, got {type(data).__name__}")
    return tuple(read(item, f"{where}[{index}]") for index, item in enumerate(data))


def read_text(data: Any, where: str, *, empty: bool = False) -> str:
    """Read a name."""
    if not isinstance(data, str) or (not data and not empty):
        raise ValueError(f"{where} must be a name, got {data!r:.60}")
    return data


def read_choice(data: Any, where: str, allowed: tuple[str, ...]) -> str:
    """Read one of the allowed words."""
    if data not in allowed:
        raise ValueError(f"{where} {data!r:.60}: use one of {', '.join(allowed)}")
    return str(data)


def read_number(data: Any, where: str) -> float:
    """Read a finite number."""
    if isinstance(data, bool) or not isinstance(data, (int, float)):
        raise ValueError(f"{where} must be a number, got {data!r:.60}")
    return float(data)


def read_numbers(data: Any, where: str) -> Numbers:
    """Read a number, or a list of them."""
    if isinstance(data, list):
        return read_list(data, where, read_number)
    return read_number(data, where)


def read_size(data: Any, where: str) -> int:
    """Read a whole number of at least 1."""
    if isinstance(data, bool) or not isinstance(data, int) or not 1 <= data <= 1 << 28:
        raise ValueError(f"{where} must be a whole number of at least 1, got {data!r:.60}")
    return data


def read_sha256(data: Any, where: str) -> str:
    """Read 64 lower-case hex digits."""
    if not isinstance(data, str) or not re.fullmatch(r"[0-9a-f]{64}", data):
        raise ValueError(f"{where} must be 64 hex digits, got {data!r:.80}")
    return data


def read_file_name(data: Any, where: str) -> str:
    """Read a bare name: a manifest can point nowhere but into its own folder."""
    if not isinstance(data, str) or not re.fullmatch(r"[^/\\\0]+", data) or data in (".", ".."):
        raise ValueError(f"{where} must be a file name without a folder, got {data!r:.80}")
    return data
