"""The table of events, and that everything the package emits fits it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from isthmus.events.kinds import COMMON, EVENTS, PHASES, SEVERITIES, complaints, new_event

SOURCE = Path(__file__).resolve().parents[2] / "src" / "isthmus"
MAKERS = {"new_event", "note", "_note", "_tell"}
"""Functions whose first argument is a kind."""
GIVEN_BY_LOG = {"file"}  # `Writer.note` adds it


def made() -> Iterator[tuple[str, str, set[str], bool]]:
    """List the literal makings of events: place, kind, fields, and whether there may be more."""
    for file in sorted(SOURCE.rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        if "events" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else None
            name = node.func.id if isinstance(node.func, ast.Name) else name
            kind = node.args[0]
            if name not in MAKERS or not isinstance(kind, ast.Constant):
                continue
            if name in ("note", "_note") and file.parent.name != "events":
                continue
            fields = {each.arg for each in node.keywords if each.arg}
            more = any(each.arg is None for each in node.keywords)
            yield f"{file.name}:{node.lineno}", str(kind.value), fields, more


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_each_kind_is_whole(name: str) -> None:
    kind = EVENTS[name]
    assert kind.phase in PHASES and kind.severity in SEVERITIES.values()
    assert kind.meaning and all(kind.fields.values()) and all(kind.maybe.values())
    assert not set(kind.fields) & set(COMMON) and not set(kind.maybe) & set(COMMON)
    assert not set(kind.fields) & set(kind.maybe)
    assert complaints(new_event(name, **dict.fromkeys(kind.fields, ""))) == []


def test_what_does_not_fit_is_named() -> None:
    assert complaints({"type": "party"}) == ["type: 'party' is no kind of event"]
    assert complaints({}) == ["type: None is no kind of event"]
    wrong = {"type": "policy_loaded", "phase": "alert", "severity": 7, "path": "x", "mood": "fine"}
    assert complaints(wrong) == [
        "policy_kind: missing",
        "mood: a policy_loaded has no such field",
        "phase: expected 'event', got 'alert'",
        "severity: expected 0, 1 or 2, got 7",
    ]


def test_an_event_may_say_its_own_severity() -> None:
    assert new_event("sla_alert")["severity"] == 1
    assert new_event("sla_alert", severity=2)["severity"] == 2
    with pytest.raises(KeyError):
        new_event("party")


def test_everything_that_is_emitted_is_in_the_table() -> None:
    found = list(made())
    assert {kind for _, kind, _, _ in found} >= {"log_opened", "log_closed", "dropped"}
    wrong = []
    for place, kind, fields, more in found:
        if kind not in EVENTS:
            wrong.append(f"{place}: {kind} is no kind of event")
            continue
        row = EVENTS[kind]
        known = {*COMMON, *row.fields, *row.maybe}
        missing = set() if more else set(row.fields) - fields - GIVEN_BY_LOG
        wrong += [f"{place}: {kind} has no field {field}" for field in fields - known]
        wrong += [f"{place}: {kind} lacks {field}" for field in missing]
    assert wrong == []
