"""Columns: one growing list per name, the same names at every step. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RecordError

__all__ = ["Columns"]

_KINDS = "biufU"
"""NumPy dtype kinds a column may hold: bool, integers, floats, text. Never objects."""


class Columns:
    """A table that grows by one row per step; the first row decides names, shapes and dtypes."""

    def __init__(self) -> None:
        self._rows: dict[str, list[NDArray[Any]]] = {}
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, values: Mapping[str, Any]) -> None:
        """Add one row. Arrays are copied, so the caller may reuse its buffers.

        Args:
            values: column name -> number, text or array; each array has one shape for ever.

        Raises:
            RecordError: a column is missing, new, of another shape or dtype, or holds objects.
        """
        row = {name: np.array(value) for name, value in values.items()}
        if self._length:
            self._check_names(row)
        for name, value in row.items():
            self._check(name, value)
        for name, value in row.items():
            self._rows.setdefault(name, []).append(value)
        self._length += 1

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Every column as one array with the steps as its first axis."""
        return {name: np.stack(rows) for name, rows in self._rows.items()}

    def _check_names(self, row: Mapping[str, NDArray[Any]]) -> None:
        if row.keys() == self._rows.keys():
            return
        missing = sorted(self._rows.keys() - row.keys())
        added = sorted(row.keys() - self._rows.keys())
        raise RecordError(
            f"step {self._length}: every step records the same columns as the first; "
            f"missing {missing}, new {added}"
        )

    def _check(self, name: str, value: NDArray[Any]) -> None:
        if value.dtype.kind not in _KINDS:
            raise RecordError(
                f"column {name!r}: expected numbers, booleans or text, got {value.dtype}; "
                "record an array or a plain value"
            )
        if not self._length:
            return
        first = self._rows[name][0]
        if value.shape != first.shape or value.dtype.kind != first.dtype.kind:
            raise RecordError(
                f"column {name!r}: expected {first.dtype} {first.shape} as at the first step, "
                f"got {value.dtype} {value.shape} at step {self._length}"
            )
