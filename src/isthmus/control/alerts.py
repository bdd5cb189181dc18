"""`/alerts`: what a gateway complains of, what it means and what to do."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ..telemetry import ALERTS, Snapshot
from ..telemetry.alertrules import SEVERITIES

__all__ = ["alerts_page", "rows_of"]


def rows_of(snapshot: Snapshot) -> list[dict[str, Any]]:
    """What a snapshot alone knows of the alerts: not since when, nor at which threshold."""
    return [_row(name, severity) for name, severity in snapshot.alerts.items()]


def _row(name: str, severity: int) -> dict[str, Any]:
    rule = ALERTS.get(name)
    told = {key: getattr(rule, key, None) for key in ("unit", "meaning", "action")}
    return {"name": name, "severity": severity, **told}


def alerts_page(rows: Iterable[Mapping[str, Any]], snapshot: Snapshot) -> bytes:
    """The page as JSON, the worst first.

    Args:
        rows: `name`, `severity`, and, where they are known, `since_ns` (monotonic), `value`,
            `threshold`, `unit`, `meaning` and `action`.
        snapshot: the instant; turns `since_ns` into seconds since 1970.
    """
    told = sorted((_told(row, snapshot) for row in rows), key=lambda row: -row["severity"])
    worst = max((row["severity"] for row in told), default=0)
    page = {
        "severity": worst,
        "word": SEVERITIES[worst],
        "active": sum(row["active"] for row in told),
        "ts": snapshot.wall_ns / 1e9,
        "alerts": told,
    }
    return json.dumps(page, indent=2, allow_nan=False).encode() + b"\n"


def _told(row: Mapping[str, Any], snapshot: Snapshot) -> dict[str, Any]:
    severity = int(row["severity"])
    since = row.get("since_ns")
    return {
        "name": row["name"],
        "active": severity > 0,
        "severity": severity,
        "word": SEVERITIES[severity],
        "since": None if since is None else (snapshot.wall_ns - (snapshot.now_ns - since)) / 1e9,
        **{key: row.get(key) for key in ("value", "threshold", "unit", "meaning", "action")},
    }
