"""Files that appear whole or not at all.

A file is written under another name beside its own and then renamed over it. That survives the
death of this program at any instruction. It does not survive a power cut: nothing is synced,
because a sync stalls a control loop for up to 100 ms.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RecordError

__all__ = ["read_arrays", "read_json", "write_arrays", "write_json", "write_text"]


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write or replace a UTF-8 text file."""
    with _replacing(path) as file:
        file.write(text.encode("utf-8"))


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write or replace a JSON file. Non-finite numbers are refused, as JSON has none."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write or replace an npz file. Never a pickle: object arrays raise ValueError."""
    with _replacing(path) as file:
        # `allow_pickle` of savez exists since NumPy 2.1 only, so objects are refused by hand.
        for name, array in arrays.items():
            if array.dtype.hasobject:
                raise ValueError(f"array {name!r} holds objects; record numbers or text")
        np.savez(file, **arrays)  # type: ignore[arg-type,unused-ignore]


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        RecordError: the file is missing, or is no JSON object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise RecordError(
            f"{path}: no such file; expected a run directory with {path.name}"
        ) from exc
    except ValueError as exc:
        raise RecordError(f"{path}: not JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise RecordError(f"{path}: expected a JSON object, got {type(value).__name__}")
    return value


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read every array of an npz file.

    Raises:
        RecordError: the file is no npz file, or holds pickled objects.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError) as exc:
        raise RecordError(f"{path}: not an episode: {exc}") from exc
