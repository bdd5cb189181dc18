"""Reads the record of a run, which another version or anyone at all may have written."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

__all__ = ["read_record"]


def read_record(file: Path, warn: Callable[[str], None]) -> Mapping[str, Any] | None:
    """Read a record; None if the run has just ended well, or it cannot be used.

    Args:
        file: of the record.
        warn: told, in one line, what is wrong with it.
    """
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        wrong = ", ".join(_wrong_fields(record)) if isinstance(record, dict) else "its form"
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as exc:
        record, wrong = None, getattr(exc, "strerror", None) or str(exc)
    if wrong:
        warn(f"{file} is of no use ({wrong}); remove it once its run has ended")
        return None
    found: Mapping[str, Any] = record
    return found


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def _is_seconds(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and value >= 0  # type: ignore[arg-type, operator]


def _or_none(fits: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or fits(value)


_Shape = Mapping[str, Callable[[object], bool]]
_RECORD: _Shape = {
    "folder": _is_text,
    "run": _or_none(_is_text),
    "stop_seconds": _or_none(_is_seconds),
    "supervisor": lambda value: isinstance(value, dict),
    "processes": lambda value: isinstance(value, dict),
}
_SUPERVISOR: _Shape = {"pid": _is_number, "ticks": _is_number, "boot_id": _is_text}
_PROCESS: _Shape = {
    "state": _is_text,
    "pid": _or_none(_is_number),
    "started_ns": _or_none(_is_number),
    "restarts": _is_number,
    "how": _or_none(_is_text),
}


def _wrong_fields(record: Mapping[str, Any]) -> Iterator[str]:
    """Name what is not as `report.facts` writes it: anyone can write into a file."""
    wrong = [name for name, fits in _RECORD.items() if not fits(record.get(name))]
    yield from wrong
    if wrong:
        return
    parts = {"supervisor": (record["supervisor"], _SUPERVISOR)}
    parts |= {f"processes.{name}": (each, _PROCESS) for name, each in record["processes"].items()}
    for where, (facts, shape) in parts.items():
        if not isinstance(facts, dict):
            yield where
            continue
        yield from (f"{where}.{name}" for name, fits in shape.items() if not fits(facts.get(name)))
