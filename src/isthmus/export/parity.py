"""Does the export answer what the policy answers? Asked of the very files that will be served."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import PolicyLoadError
from ..policy import Policy, allocate_action
from .fields import Layout
from .network import relative_difference
from .source import Source

__all__ = ["Recording", "measure", "read_recording"]

Array = NDArray[Any]

ROWS = 1024
SEED = 0
SINGLE = 16
"""Rows that are also asked one by one: a batch must not change the answer."""
MAX_BYTES = 256 << 20


class Recording:
    """Observations that were seen, and the answers to them, if they were kept.

    Attributes:
        observations: float (n, inputs).
        actions: (n, outputs) as the policy answered them, before any scale; None if not kept.
    """

    def __init__(self, observations: Array, actions: Array | None) -> None:
        self.observations = observations
        self.actions = actions


def read_recording(path: Path, source: Source, layout: Layout) -> Recording:
    """Read observations from an npz file.

    Args:
        path: holds `observations` (n, inputs), or every observation field by name; and, if there
            are answers to hold the export against, `actions` (n, outputs).
        source: the policy they were made for.
        layout: how its input is made of fields.

    Raises:
        PolicyLoadError: it cannot be read, or has other shapes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            total = sum(member.file_size for member in archive.infolist())
        if total > MAX_BYTES:
            raise ValueError(f"unpacks to {total} bytes; at most {MAX_BYTES} are read")
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
        return _recording(found, source, layout)
    except (OSError, ValueError, zipfile.BadZipFile) as exc:
        raise PolicyLoadError(f"{path}: the recorded observations cannot be used: {exc}") from exc


def _recording(found: dict[str, Array], source: Source, layout: Layout) -> Recording:
    rows = found.get("observations")
    if rows is None:
        missing = [name for name in layout.concat if name not in found]
        if missing:
            raise ValueError(f"there is neither 'observations' nor {missing[0]!r} in it")
        rows = np.concatenate([_flat(found[name]) for name in layout.concat], axis=1)
    rows = _flat(rows).astype(np.float64)
    if rows.shape[1] != source.inputs or not len(rows) or not np.isfinite(rows).all():
        raise ValueError(
            f"expected finite rows of {source.inputs} numbers, got an array of shape {rows.shape}"
        )
    actions = found.get("actions")
    if actions is not None:
        actions = _flat(actions)
        if actions.shape != (len(rows), source.outputs):
            raise ValueError(
                f"actions must be {(len(rows), source.outputs)}, got an array of {actions.shape}"
            )
    return Recording(rows, actions)


def _flat(array: Array) -> Array:
    """One row of numbers for each entry of the first axis."""
    return array.reshape(len(array), math.prod(array.shape[1:]))


def measure(
    policy: Policy, source: Source, layout: Layout, scale: float, recording: Recording | None
) -> dict[str, Any]:
    """Ask the export, and hold its answers against the source's.

    Args:
        policy: the export, as a gateway loads it.
        source: what it was made from.
        layout: how its input is made of fields.
        scale: what its manifest multiplies actions by.
        recording: observations of the caller's own.

    Returns:
        For the manifest: the rows asked, and the largest difference on each kind.
    """

    def ask(rows: Array) -> Array:
        answers: Array = _ask(policy, layout, rows) / scale
        return answers

    rows = _made_up(source)
    answers = ask(rows)
    alone = np.concatenate([ask(rows[[index]]) for index in range(SINGLE)])
    found: dict[str, Any] = {
        "random_rows": len(rows),
        "random_max_difference": max(
            source.difference(rows, answers), source.difference(rows[:SINGLE], alone)
        ),
    }
    if recording is not None:
        answers = ask(recording.observations)
        found["recorded_rows"] = len(recording.observations)
        found["recorded_max_difference"] = source.difference(recording.observations, answers)
        if recording.actions is not None:
            off = relative_difference(recording.actions, answers)
            found["recorded_answers_max_difference"] = off
    return found


def _made_up(source: Source) -> Array:
    """Random observations about where the policy's own lie, inside its space, as float32."""
    rng = np.random.default_rng(SEED)
    rows = source.centre + source.spread * rng.normal(size=(ROWS, source.inputs))
    low, high = source.observation.low.ravel(), source.observation.high.ravel()
    rows = np.clip(rows, low, high)
    if source.observation.dtype.kind != "f":
        rows = np.round(rows)
    return rows.astype(np.float32).astype(np.float64)


def _ask(policy: Policy, layout: Layout, rows: Array) -> Array:
    """Answers (n, outputs) as float64."""
    fields = {field.name: field for field in layout.contract.observation}
    given = {
        name: np.zeros((len(rows), *field.shape), field.numpy_dtype)
        for name, field in fields.items()
    }
    start = 0
    for name in layout.concat:
        stop = start + fields[name].width
        given[name][...] = rows[:, start:stop].reshape(given[name].shape)
        start = stop
    action = allocate_action(layout.contract, len(rows))
    state = policy.initial_state(len(rows))
    policy.infer(given, action, state, state)
    parts = [action[f.name].reshape(len(rows), -1) for f in layout.contract.action]
    return np.concatenate(parts, axis=1).astype(np.float64)
