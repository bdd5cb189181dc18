"""Which events are wanted: by question, time, gravity, kind and session. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ..errors import EventLogError
from .kinds import EVENTS, INFO

__all__ = ["Selection", "instant", "severity_of", "wall_of"]

_AGO = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>[smhd])")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Selection:
    """What an event must be to be wanted; "" and None ask for nothing.

    Attributes:
        corr_id: of its question.
        session: its session.
        type_: its kind.
        severity: the least it may have.
        since: seconds since 1970; not older.
        until: seconds since 1970; not newer.
    """

    corr_id: str = ""
    session: str = ""
    type_: str = ""
    severity: int = INFO
    since: float | None = None
    until: float | None = None

    def wants(self, event: Mapping[str, Any]) -> bool:
        """Tell whether an event is wanted. One without a time fits every time."""
        for key, wanted in (
            ("corr_id", self.corr_id), ("session", self.session), ("type", self.type_)
        ):  # fmt: skip
            if wanted and event.get(key) != wanted:
                return False
        wall = wall_of(event)
        if wall is not None and self.since is not None and wall < self.since:
            return False
        if wall is not None and self.until is not None and wall > self.until:
            return False
        return severity_of(event) >= self.severity

    def needle(self) -> bytes:
        """Bytes that every wanted line has in it, for a search that does not read the others."""
        longest = max(self.corr_id, self.session, self.type_, key=len)
        return json.dumps(longest)[1:-1].encode("ascii")


def severity_of(event: Mapping[str, Any]) -> int:
    """Say how grave an event is: 0 info, 1 warn, 2 critical."""
    value = event.get("severity")
    if isinstance(value, int):
        return value
    kind = EVENTS.get(str(event.get("type")))
    return kind.severity if kind is not None else INFO


def wall_of(event: Mapping[str, Any]) -> float | None:
    """Say when an event was, seconds since 1970; None if it does not tell."""
    for key in ("ts_wall", "ts"):
        value = event.get(key)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
    return None


def instant(text: str, now: float) -> float:
    """Understand a time: so long ago (`90s`, `10m`, `2h`, `1d`), or a date and time.

    Args:
        text: as typed. A date and time without an offset is UTC, as times are shown.
        now: seconds since 1970.

    Raises:
        EventLogError: it is neither.
    """
    ago = _AGO.fullmatch(text.strip())
    if ago:
        return now - float(ago["number"]) * _UNITS[ago["unit"]]
    try:
        found = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text.strip()))
    except ValueError:
        raise EventLogError(
            f"expected a time such as 10m, 2h or 2026-11-23T04:05:42Z, got {text!r}"
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).timestamp()
