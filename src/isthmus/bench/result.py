"""Results in files: a JSON document with the machine's fingerprint, and CSV."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from isthmus import strictjson
from isthmus.errors import RecordError

from .rows import QUANTILES, Row, Settings

__all__ = [
    "BENCH_VERSION",
    "document",
    "read_document",
    "save_csv",
    "save_document",
    "save_samples",
]

BENCH_VERSION = 1


def document(rows: Sequence[Row], settings: Settings, machine: dict[str, Any]) -> dict[str, Any]:
    """The JSON form of a result; times in microseconds."""
    return {
        "bench_version": BENCH_VERSION,
        "measured": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine,
        "settings": asdict(settings),
        "rows": [_row(row) for row in rows],
    }


def save_document(path: Path, found: dict[str, Any]) -> None:
    """Write it.

    Raises:
        RecordError: the file cannot be written.
    """
    _save(path, json.dumps(found, indent=1, allow_nan=False) + "\n")


def read_document(path: Path) -> dict[str, Any]:
    """Read one that `save_document` wrote.

    Raises:
        RecordError: it cannot be read, or is no result.
    """
    try:
        found = strictjson.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise RecordError(f"{path}: cannot be read as a result of `isthmus bench`: {exc}") from exc
    if not isinstance(found, dict) or found.get("bench_version") != BENCH_VERSION:
        raise RecordError(
            f"{path}: expected a result of `isthmus bench --json` with bench_version "
            f"{BENCH_VERSION}"
        )
    if not (
        isinstance(found.get("machine"), dict)
        and isinstance(found.get("rows"), list)
        and all(_is_row(row) for row in found["rows"])
    ):
        raise RecordError(f"{path}: 'machine' or 'rows' is missing or damaged; measure again")
    return found


def save_csv(path: Path, rows: Sequence[Row]) -> None:
    """One line per row; times in microseconds.

    Raises:
        RecordError: the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = ("mean", *QUANTILES)
    writer.writerow(
        ["transport", "payload", "num_envs", "steps", "missed", *(f"{n}_us" for n in names)]
    )
    for row in rows:
        if not row.left_out:
            found = row.quantiles_us()
            writer.writerow(
                [row.case.way, row.case.payload, row.case.num_envs or 1, row.steps,
                 row.missed, *(f"{found[name]:.3f}" for name in names)]
            )  # fmt: skip
    _save(path, text.getvalue())


def save_samples(path: Path, rows: Sequence[Row]) -> None:
    """Every step that was answered: transport, payload, number, microseconds.

    Raises:
        RecordError: the file cannot be written.
    """
    lines = ["transport,payload,step,round_trip_us"]
    for row in rows:
        start = f"{row.case.way},{row.case.payload}"
        lines += [f"{start},{n},{ns / 1e3:.3f}" for n, ns in enumerate(row.samples_ns.tolist())]
    _save(path, "\n".join(lines) + "\n")


def _save(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise RecordError(f"{path}: cannot be written: {exc.strerror or exc}") from exc


def _row(row: Row) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "transport": row.case.way,
        "payload": row.case.payload,
        "num_envs": row.case.num_envs or 1,
    }
    if row.left_out:
        return {**facts, "left_out": row.left_out}
    return {
        **facts,
        "steps": row.steps,
        "missed": row.missed,
        "us": {name: round(value, 3) for name, value in row.quantiles_us().items()},
        "stages_us": {name: round(ns / 1e3, 3) for name, ns in row.stages_ns.items()},
    }


def _is_row(row: object) -> bool:
    if not isinstance(row, dict):
        return False
    if not all(_is_name(row.get(name)) for name in ("transport", "payload")):
        return False
    figures = row.get("us", {})
    return isinstance(figures, dict) and all(
        isinstance(value, (int, float)) and value > 0 for value in figures.values()
    )


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and len(value) <= 64
