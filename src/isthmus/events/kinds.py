"""Every kind of event, as a table: which phase it has, how grave it is, and what it says.

A line of a log is one JSON object. `COMMON` are the keys that any line may have; the others are
those of its kind. Documentation and tests are drawn from here. That an event fits its kind is
checked by tests (`complaints`), never while serving: what is wrong is written all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

__all__ = [
    "COMMON",
    "CRITICAL",
    "EVENTS",
    "INFO",
    "PHASES",
    "SEVERITIES",
    "WARN",
    "EventKind",
    "EventSink",
    "complaints",
    "new_event",
]

INFO, WARN, CRITICAL = 0, 1, 2

SEVERITIES: dict[str, int] = {"info": INFO, "warn": WARN, "critical": CRITICAL}
"""Word -> the number in a line."""

PHASES: dict[str, str] = {
    "recv": "a message came; written only as far as payloads are recorded",
    "send": "a message left; written only as far as payloads are recorded",
    "event": "something happened",
    "alert": "a reading crossed the threshold of an alert, or came back",
    "advisory": "a suggestion of what to change",
}

COMMON: dict[str, str] = {
    "seq": "number of the event in its boot, from 0; a number that is missing is an event lost",
    "boot": "token of one writer's life, from opening the log to closing it",
    "ts_wall": "seconds since 1970, by a clock that may jump",
    "mono_ns": "nanoseconds of the machine's monotonic clock; order within a boot of the machine",
    "phase": "one of the phases",
    "type": "one of the kinds",
    "severity": "0 info, 1 warn, 2 critical; absent: that of the kind",
    "corr_id": "joins everything about one question",
    "session": "name of the session it is about",
    "remote": "who the session is",
}
"""Key -> meaning, of the keys that any line may have."""


class EventSink(Protocol):
    """Whoever takes events."""

    def emit(self, event: Mapping[str, Any]) -> None:
        """Take one event, from any thread; never wait, never raise."""


@dataclass(frozen=True, slots=True)
class EventKind:
    """One row of the table.

    Attributes:
        phase: one of `PHASES`.
        severity: that of an event which does not say its own.
        meaning: what happened, for an operator.
        fields: key -> meaning, of what such an event always says beside `COMMON`.
        maybe: key -> meaning, of what it may say.
    """

    phase: str
    severity: int
    meaning: str
    fields: Mapping[str, str] = field(default_factory=dict)
    maybe: Mapping[str, str] = field(default_factory=dict)


EVENTS: dict[str, EventKind] = {
    "received": EventKind(
        "recv", INFO, "a message came",
        {"msg_type": "its type, as on the wire"},
        {"raw": "the message: an object, or its text where it is no JSON object",
         "raw_bytes": "its size where `raw` is only the beginning",
         "arrays": "field -> numbers, of a binary observation"},
    ),
    "sent": EventKind(
        "send", INFO, "a message left",
        {"msg_type": "its type, as on the wire"},
        {"resp": "the message", "resp_bytes": "its size where `resp` is only the beginning",
         "outcome": "policy, miss (also one with a fallback), fallback or error; of what asked for "
         "an action, or failed"},
    ),
    "gateway_started": EventKind(
        "event", INFO, "the gateway serves",
        {"version": "of isthmus", "pid": "its process", "policies": "name -> kind and digest"},
        {"listening": "its addresses", "settings": "how it behaves"},
    ),
    "gateway_stopped": EventKind(
        "event", INFO, "the gateway has ended in order", {"counters": "name -> total"},
        {"reason": "why"},
    ),
    "session_opened": EventKind(
        "event", INFO, "a session was welcomed; WARN if it came back after a lost connection",
        {"transport": "shm, unix or tcp", "codec": "binary or json", "policy": "who answers it",
         "num_envs": "its rows"},
        {"resumed": "true if it came back after a lost connection",
         "deadline_ms": "its deadline", "facts": "what it said of itself"},
    ),
    "session_moved": EventKind(
        "event", INFO, "a session travels another way from now on",
        {"transport": "shm, unix or tcp", "before": "how it travelled until now"},
    ),
    "link_without_policy": EventKind(
        "event", WARN,
        "a link reported misses of its own, or time at a level below normal; told of the 1st, 2nd, "
        "4th, 8th... report in a row",
        {"misses": "periods of its interval without a valid action",
         "levels_s": "level -> seconds of the interval", "causes": "why -> calls",
         "interval_s": "the time that the report is about, s",
         "consecutive": "such reports in a row, with this one"},
    ),
    "session_closed": EventKind(
        "event", INFO, "a session has ended; WARN if it is a link whose connection was lost",
        {"steps": "observations taken", "misses": "of them answered with a miss"},
        {"reason": "why"},
    ),
    "refused": EventKind(
        "event", WARN, "a connection was refused",
        {"code": "why, as a word", "detail": "why, in words"},
    ),
    "error_answer": EventKind(
        "event", WARN,
        "a question was answered with an error; told of the 1st, 2nd, 4th, 8th... in a row",
        {"code": "why, as a word", "detail": "why, in words",
         "consecutive": "errors of that code since a step went well, with this one"},
        {"msg_type": "what was asked"},
    ),
    "deadline_miss": EventKind(
        "event", WARN, "no action was ready at the deadline; the answer said so",
        {"budget_ms": "time there was", "consecutive": "misses in a row, with this one"},
        {"elapsed_ms": "time until the answer left",
         "infer_ms": "how long the inference took, where it had ended by then"},
    ),
    "late_inference": EventKind(
        "event", WARN, "an inference ended after its question had been answered with a miss",
        {"infer_ms": "how long it took in truth", "late_ms": "by how much it was too late"},
        {"budget_ms": "time there was"},
    ),
    "deadline_escalation": EventKind(
        "event", CRITICAL, "a session missed too many deadlines in a row",
        {"consecutive": "misses in a row", "threshold": "at which this is said"},
    ),
    "degrade_entered": EventKind(
        "event", CRITICAL, "a session misses so often that its actions are replaced",
        {"miss_rate": "share of its recent steps, 0 to 1", "threshold": "above which this begins"},
    ),
    "degrade_left": EventKind(
        "event", INFO, "a session's actions are the policy's again",
        {"miss_rate": "share of its recent steps, 0 to 1", "threshold": "below which this ends"},
    ),
    "rand_hash_mismatch": EventKind(
        "event", WARN,
        "the randomization applied is not the one expected; told of the 1st, 2nd, 4th, 8th... in a "
        "row, and hash_mismatch_events.jsonl has every one",
        {"expected": "hash", "actual": "hash",
         "consecutive": "mismatches in a row, with this one"},
        {"first_difference": "path of the first value that differs, where both are known",
         "expected_value": "what was expected there", "actual_value": "what was applied there",
         "obs_seq": "number of the observation", "sim_time": "of the observation, s"},
    ),
    "empty_joint_state": EventKind(
        "event", WARN, "observations without a joint keep coming",
        {"consecutive": "such observations in a row"},
    ),
    "joint_spec_mismatch": EventKind(
        "event", WARN, "an observation has another number of joints than the joint specification",
        {"expected": "joints", "actual": "joints"},
    ),
    "joint_order_assumed": EventKind(
        "event", WARN, "a policy that a client loads names no joints: the joint specification's "
        "names cannot be held against it, and its order is taken",
        {"policy": "its name", "joints": "names in that order"},
    ),
    "joint_limit_violation": EventKind(
        "event", WARN, "joint limits began to change the actions of a plain client",
        {"joints": "indices of the joints"},
    ),
    "action_replaced": EventKind(
        "event", WARN,
        "a plain client was sent the fallback's numbers although the policy was in time; told of "
        "the 1st, 2nd, 4th, 8th... in a row",
        {"cause": "why, as a word: that of the guard", "consecutive": "in a row, with this one"},
    ),
    "policy_loaded": EventKind(
        "event", INFO, "another policy answers from now on",
        {"path": "its file", "policy_kind": "what it is"},
        {"policy": "its name", "digest": "SHA-256 of its file",
         "replaced": "name of the one before", "load_ms": "time to load and warm it"},
    ),
    "policy_load_failed": EventKind(
        "event", WARN, "a policy could not be loaded; the one before stays",
        {"path": "its file", "detail": "why, in words"},
    ),
    "accept_paused": EventKind(
        "event", WARN, "accepting paused: the process has no descriptors left",
        {}, {"detail": "the system's words"},
    ),
    "report_failed": EventKind(
        "event", WARN, "one of the gateway's reports could not be written",
        {"report": "which", "error": "why, in words"}, {"failures": "how often in a row"},
    ),
    "report_recovered": EventKind(
        "event", INFO, "a report is written again", {"report": "which"},
        {"failures": "how often it had failed"},
    ),
    "sla_alert": EventKind(
        "alert", WARN, "an alert was raised, changed its severity, or ended (severity 0)",
        {"alert": "its name", "reasons": "in words", "value": "the reading",
         "threshold": "the one that was crossed"},
        {"before": "its severity until now"},
    ),
    "transport_escalate": EventKind(
        "advisory", WARN, "latency stays over the threshold: what dominates it, and what helps",
        {"stage": "the one that dominates: wire, infer, queue...", "action": "what to change",
         "p95_ms": "of recent steps", "threshold_ms": "over which this is said"},
        {"evidence": "in words, with what was measured on this host", "stages_ms": "stage -> p95"},
    ),
    # What a log says of itself.
    "log_opened": EventKind(
        "event", INFO, "a writer begins; a boot's first line",
        {"pid": "its process", "file": "name of the log"},
    ),
    "log_closed": EventKind(
        "event", INFO, "a writer ended in order; a boot's last line. Without it, it was killed",
        {"file": "name of the log", "written": "lines", "dropped": "events lost"},
    ),
    "log_torn": EventKind(
        "event", WARN, "the file ended in half a line, as a kill leaves it; the half was cut off",
        {"file": "name of the log", "bytes": "cut off", "text": "how it began"},
    ),
    "dropped": EventKind(
        "event", WARN, "events were lost: they came faster than they could be written",
        {"file": "name of the log", "count": "how many", "first_seq": "number of the first",
         "last_seq": "number of the last", "why": "in words"},
    ),
    "log_writable": EventKind(
        "event", WARN, "the log could not be written for a while, and can again",
        {"file": "name of the log", "error": "the system's words", "failures": "tries that failed",
         "seconds": "how long"},
    ),
    "log_gone": EventKind(
        "event", WARN, "somebody removed, renamed or emptied the file that was being written",
        {"file": "name of the log", "first_seq": "number of the first event it held",
         "last_seq": "number of the last"},
    ),
    "log_removed": EventKind(
        "event", INFO, "the oldest files were deleted, to keep within the quota",
        {"file": "name of the log", "removed": "names of the files", "count": "how many",
         "bytes": "freed", "quota_bytes": "what all files may take"},
    ),
    "rotate_failed": EventKind(
        "event", WARN, "the full file could not be put aside; it grows on for a while",
        {"file": "name of the log", "error": "the system's words"},
    ),
    "compress_failed": EventKind(
        "event", WARN, "a rotated file could not be compressed; it stays as it is",
        {"file": "its name", "error": "the system's words"},
    ),
}  # fmt: skip
"""Type -> kind."""


def new_event(type_: str, /, **values: Any) -> dict[str, Any]:
    """Make an event of a kind, with its phase and severity.

    Args:
        type_: one of `EVENTS`.
        **values: its fields; `severity` replaces the kind's own.
    """
    kind = EVENTS[type_]
    return {"phase": kind.phase, "type": type_, "severity": kind.severity, **values}


def complaints(event: Mapping[str, Any]) -> list[str]:
    """Say where an event does not fit its kind; a test's business, not the gateway's."""
    kind = EVENTS.get(str(event.get("type")))
    if kind is None:
        return [f"type: {event.get('type')!r} is no kind of event"]
    found = [f"{key}: missing" for key in kind.fields if key not in event]
    known = {**COMMON, **kind.fields, **kind.maybe}
    found += [f"{key}: a {event['type']} has no such field" for key in event if key not in known]
    if event.get("phase") != kind.phase:
        found.append(f"phase: expected {kind.phase!r}, got {event.get('phase')!r}")
    if event.get("severity", kind.severity) not in SEVERITIES.values():
        found.append(f"severity: expected 0, 1 or 2, got {event['severity']!r}")
    return found
