"""How a run is named, wherever one is made: by a recorder, or by the supervisor. Pure."""

from __future__ import annotations

from datetime import datetime, timezone

__all__ = ["run_id"]


def run_id(wall_ns: int, token: str) -> str:
    """Name a run: its UTC start, and letters that tell two runs of one second apart.

    Args:
        wall_ns: nanoseconds since the Unix epoch.
        token: a few random letters or digits.

    Returns:
        For instance `20261122T101500Z-3f9a1c`; names sort by time.
    """
    start = datetime.fromtimestamp(wall_ns // 1_000_000_000, tz=timezone.utc)
    return f"{start:%Y%m%dT%H%M%SZ}-{token}"
