"""docs/OBSERVABILITY.md: words from `observability_text.py`, tables from what they describe."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from observability_example import example
from observability_text import FILES, QUESTIONS, RECORDING, SECTIONS

from isthmus.cli.serve_flags import GROUPS, Flag
from isthmus.control.first_system import FIRST_SYSTEM
from isthmus.control.metrics import METRICS, Metric
from isthmus.events.kinds import COMMON, EVENTS, PHASES, SEVERITIES
from isthmus.gateway.metrics_file import FIELDS
from isthmus.telemetry import ADVICE, ALERTS, COUNTERS, GATEWAY_STAGES, AlertRule
from isthmus.telemetry.snapshot import STAGE_MEANINGS

__all__ = ["PARTS", "observability_page"]

_PLACE = re.compile(r"<<(\w+)>>")
_THRESHOLDS = {
    "latency_p95": "--alert-latency-p95-ms",
    "deadline_miss_rate": "--alert-deadline-miss-rate",
}
"""Alert -> the flag that sets its thresholds, with `-warn` and `-crit` behind it."""


def observability_page() -> str:
    """Write the page: the sections, with what `PARTS` makes wherever they say `<<name>>`."""
    return _PLACE.sub(lambda found: PARTS[found[1]](), "\n".join(SECTIONS))


def _table(head: str, rows: Iterable[Iterable[object]]) -> str:
    lines = [head, "|" + "---|" * (head.count("|") - 1)]
    lines += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    """One line; a bar that is not code would end the cell."""
    return " ".join(str(value).replace("|", "\\|").split())


def _files() -> str:
    return _table(
        "| file | format | the truth for | not for |",
        ((f"`{row.name}`", row.format, row.truth, row.other) for row in FILES),
    )


def _alerts() -> str:
    return _table(
        "| alert | reading | WARN, CRIT above | rises after, falls after | meaning | action |",
        (
            (
                f"`{name}`",
                f"`{rule.reading}`{', ' + rule.unit if rule.unit else ''}",
                _thresholds(rule),
                f"{rule.dwell_s:g} s, {rule.cooldown_s:g} s at {rule.exit_ratio:g} of it",
                rule.meaning,
                rule.action,
            )
            for name, rule in ALERTS.items()
        ),
    )


def _thresholds(rule: AlertRule) -> str:
    limits = ", ".join("off" if each is None else f"{each:g}" for each in (rule.warn, rule.crit))
    flag = _THRESHOLDS.get(rule.name)
    return f"{limits}; `{flag}-warn`, `-crit`" if flag else limits


def _advice() -> str:
    return _table("| stage with the largest p95 | advice |", _coded(ADVICE))


def _recording() -> str:
    return _table(
        "| level | shm: round trip, p50 | gateway's processor | json: round trip, p50 | "
        "gateway's processor |",
        RECORDING,
    )


def _phases() -> str:
    return _table("| `phase` | |", _coded(PHASES))


def _severities() -> str:
    return ", ".join(f"{number} {word}" for word, number in SEVERITIES.items())


def _common() -> str:
    return _table("| key | meaning |", _coded(COMMON))


def _events() -> str:
    words = {number: word for word, number in SEVERITIES.items()}
    return _table(
        "| `type` | phase | severity | meaning | always has | may have |",
        (
            (
                f"`{name}`", kind.phase, words[kind.severity], kind.meaning,
                _keys(kind.fields), _keys(kind.maybe),
            )
            for name, kind in EVENTS.items()
        ),
    )  # fmt: skip


def _keys(fields: Mapping[str, str]) -> str:
    return "; ".join(f"`{key}`: {meaning}" for key, meaning in fields.items())


def _coded(rows: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    return ((f"`{name}`", meaning) for name, meaning in rows.items())


def _fields() -> str:
    return _table("| field | meaning |", _coded(FIELDS))


def _stages() -> str:
    return _table(
        "| stage | from, to |", ((f"`{name}`", STAGE_MEANINGS[name]) for name in GATEWAY_STAGES)
    )


def _counters() -> str:
    return _table("| counter | counts |", _coded(COUNTERS))


def _metrics(rows: Iterable[Metric]) -> str:
    return _table(
        "| metric | type | labels | from | meaning |",
        (
            (
                f"`{row.name}`", row.kind, ", ".join(f"`{label}`" for label in row.labels),
                f"`{row.source}`", row.help,
            )
            for row in rows
        ),
    )  # fmt: skip


def _flags() -> str:
    """The flags that this page is about, by heading."""
    wanted = ("deadlines that are missed", "what it writes", "alerts and advice", "Prometheus")
    return _table(
        "| flag | default | meaning |",
        (
            (f"`{flag.name}{' ' + _value(flag) if _value(flag) else ''}`", _default(flag),
             f"{flag.help}. {flag.meaning}".strip())
            for heading in wanted
            for flag in GROUPS[heading]
        ),
    )  # fmt: skip


def _value(flag: Flag) -> str:
    return flag.metavar or "\\|".join(flag.choices)


def _default(flag: Flag) -> str:
    return "" if flag.default in (None, False) else f"`{flag.default}`"


PARTS: dict[str, Callable[[], str]] = {
    "questions": lambda: _table("| you want to know | look at |", QUESTIONS.items()),
    "files": _files,
    "alerts": _alerts,
    "advice": _advice,
    "phases": _phases,
    "severities": _severities,
    "common": _common,
    "events": _events,
    "example": example,
    "recording": _recording,
    "fields": _fields,
    "stages": _stages,
    "counters": _counters,
    "metrics": lambda: _metrics(METRICS),
    "first_metrics": lambda: _metrics(FIRST_SYSTEM),
    "flags": _flags,
}
"""Word between `<<` and `>>` -> what stands there."""
