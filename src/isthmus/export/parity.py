"""Does the export answer what the policy answers? Asked of the very files that will be served."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import PolicyLoadError
from ..policy import Policy, allocate_action
from .fields import Layout
from .network import relative_difference, worse
from .source import Source

__all__ = ["Recording", "measure", "read_recording"]

Array = NDArray[Any]

ROWS = 1024
SEED = 0
SINGLE = 16
"""Rows that are also asked one by one: a batch must not change the answer."""
AXES = 64
"""Numbers of an observation that are moved alone, at most."""
SIZES = (1.0, 5.0, 100.0)
LARGE = (1e3, 1e6)
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
        "random_max_difference": worse(
            _finite(source.difference(rows, answers), answers),
            source.difference(rows[:SINGLE], alone),
        ),
    }
    special = _special(source)
    found["special_rows"] = len(special)
    found["special_max_difference"] = _on_special(source, rows[:SINGLE], special, ask)
    if recording is not None:
        answers = ask(recording.observations)
        found["recorded_rows"] = len(recording.observations)
        off = source.difference(recording.observations, answers)
        found["recorded_max_difference"] = _finite(off, answers)
        if recording.actions is not None:
            off = relative_difference(recording.actions, answers)
            found["recorded_answers_max_difference"] = off
    return found


def _finite(difference: float, answers: Array) -> float:
    """The difference; nan where an ordinary observation is answered by no number at all."""
    return difference if np.isfinite(answers).all() else math.nan


def _on_special(
    source: Source, ordinary: Array, special: Array, ask: Callable[[Array], Array]
) -> float:
    """The largest difference on special rows, and on ordinary ones beside them.

    Rows of one size are asked together, and their differences count relative to that size: numbers
    that large lose as many digits in float32. A row that is asked alone, or beside others, must
    get the same answer: the ordinary ones before, between and after special ones.
    """
    size = np.maximum(1.0, np.abs(special).max(axis=1))
    worst = 0.0
    with np.errstate(all="ignore"):
        for each in np.unique(size):
            rows = special[size == each]
            alone = np.concatenate([ask(row[None]) for row in rows[:SINGLE]])
            for some, answers in ((rows, ask(rows)), (rows[:SINGLE], alone)):
                worst = worse(worst, source.difference(some, answers) / each)
            for first in (0, len(rows) // 2, len(rows)):
                mixed = np.concatenate([rows[:first], ordinary, rows[first:]])
                answers = ask(mixed)[first : first + len(ordinary)]
                worst = worse(worst, source.difference(ordinary, answers))
    return worst


def _special(source: Source) -> Array:
    """Observations where translations part: zeros of both signs, axes, equal and large numbers."""
    width = source.inputs
    axes = np.unique(np.linspace(0, width - 1, min(width, AXES)).astype(int))
    rows = [np.zeros(width), np.full(width, -0.0)]
    for size in (*SIZES, *LARGE):
        for signed in (size, -size):
            rows.append(np.full(width, signed))
            alone = np.zeros((len(axes), width))
            alone[np.arange(len(axes)), axes] = signed
            rows.extend(alone)
    return _inside(source, np.stack(rows))


def _made_up(source: Source) -> Array:
    """Random observations about where the policy's own lie, inside its space, as float32."""
    rng = np.random.default_rng(SEED)
    return _inside(source, source.centre + source.spread * rng.normal(size=(ROWS, source.inputs)))


def _inside(source: Source, rows: Array) -> Array:
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
