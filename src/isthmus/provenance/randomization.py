"""One hash for the values that are in force, and one for each of thousands of environments."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ContractError
from .arrays import encode_rows
from .canonical import FORM_VERSION, PREFIX, canonical, encode
from .plain import check_array, check_depth, child, is_sequence, item, plain, sorted_items

__all__ = [
    "HASH_VERSION",
    "MAX_SENT_VALUES",
    "batch_hashes",
    "randomization_hash",
    "sample_to_send",
]

HASH_VERSION = f"r{FORM_VERSION}"
"""What a hash starts with; another version is another hash of the same values."""

MAX_SENT_VALUES = 1024
"""Values of a sample that is sent along with its hash; a larger one would hold up a step."""


def randomization_hash(values: Mapping[str, Any]) -> str:
    """The hash of values as applied.

    Args:
        values: names to numbers, text, booleans, None, arrays, sequences and mappings of these.
            Read them back from the simulator: what was drawn need not be what runs.

    Returns:
        `r1-` and 64 hex digits: SHA-256 of the canonical form.

    Raises:
        ContractError: a value that is not finite or has no canonical form; the message has its
            path, such as `drive.stiffness[3]`.
    """
    return f"{HASH_VERSION}-{hashlib.sha256(canonical(values)).hexdigest()}"


def batch_hashes(values: Mapping[str, Any], num_envs: int) -> list[str]:
    """The hash of each environment's values.

    Args:
        values: names to arrays (num_envs, ...), or to mappings of such.
        num_envs: how many environments, >= 0.

    Returns:
        `num_envs` hashes; the one at i is `randomization_hash` of the values at i.

    Raises:
        ContractError: as `randomization_hash`, and where an array has another number of rows.
    """
    if not isinstance(values, Mapping):
        raise ContractError(
            f"randomization: expected a mapping of names to arrays, got {type(values).__name__}"
        )
    begun = hashlib.sha256(PREFIX)
    found = []
    for row in _joined(list(_columns(values, "", num_envs, 1)), num_envs):
        one = begun.copy()
        one.update(row)
        found.append(f"{HASH_VERSION}-{one.hexdigest()}")
    return found


def sample_to_send(values: Mapping[str, Any]) -> dict[str, Any] | None:
    """The sample as it travels beside its hash, or None if it has more values than are sent.

    Raises:
        ContractError: as `randomization_hash`.
    """
    if _count(values) > MAX_SENT_VALUES:
        return None
    return plain(values)


Column = bytes | NDArray[np.uint8] | list[bytes]
"""Part of every environment's form: the same in all, one row of bytes each, or one text each."""


def _columns(values: Mapping[str, Any], path: str, num_envs: int, depth: int) -> Iterator[Column]:
    """The form of a mapping, in parts that hold for all environments at once."""
    check_depth(path, depth)
    yield b"M" + struct.pack(">I", len(values))
    for key, value in sorted_items(values, path):
        here = child(path, key)
        yield encode(key, path)
        if isinstance(value, Mapping):
            yield from _columns(value, here, num_envs, depth + 1)
        else:
            yield _column(value, here, num_envs, depth + 1)


def _column(value: Any, path: str, num_envs: int, depth: int) -> Column:
    is_array = isinstance(value, np.ndarray)
    rows = value.shape[:1] if is_array else (len(value),) if is_sequence(value) else ()
    if rows != (num_envs,):
        raise ContractError(
            f"randomization: {path}: expected {num_envs} rows, one for each environment, got "
            f"{'an array of shape ' + str(value.shape) if is_array else type(value).__name__}"
            f"{'' if is_array or not rows else f' of {rows[0]}'}"
        )
    if is_array:
        check_array(value, path, depth)
        encoded = encode_rows(value)
        if encoded is not None:
            return encoded
    return [encode(row, item(path, index), depth) for index, row in enumerate(value)]


def _joined(columns: list[Column], num_envs: int) -> Iterator[Any]:
    """Each environment's form without the prefix, as bytes or a view of them."""
    if any(isinstance(column, list) for column in columns):
        for index in range(num_envs):
            yield b"".join(
                column if isinstance(column, bytes) else bytes(column[index]) for column in columns
            )
        return
    blocks = [
        np.broadcast_to(np.frombuffer(column, np.uint8), (num_envs, len(column)))
        if isinstance(column, bytes)
        else np.asarray(column)
        for column in columns
    ]
    joined = np.concatenate(blocks, axis=1)
    rows, width = memoryview(joined.ravel()), joined.shape[1]
    for start in range(0, num_envs * width, width):
        yield rows[start : start + width]


def _count(value: Any) -> int:
    """Values without others in them; stops counting where there are more than are sent."""
    if isinstance(value, np.ndarray):
        return int(value.size)
    if not isinstance(value, (Mapping, list, tuple)):
        return 1
    total = 0
    for sub in value.values() if isinstance(value, Mapping) else value:
        total += _count(sub)
        if total > MAX_SENT_VALUES:
            break
    return total
