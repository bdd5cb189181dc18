"""What a gateway counts: name -> meaning. Metrics, files and documentation are drawn from here."""

from __future__ import annotations

__all__ = ["COUNTERS"]

COUNTERS: dict[str, str] = {
    "sessions": "sessions welcomed",
    "observations": "observations taken",
    "answered": "observations answered with the policy's action",
    "deadline_miss": "observations answered with a miss or its fallback",
    "late": "inferences that ended after their question had been answered with a miss",
    "errors": "error answers",
    "refused": "connections refused",
    "stale": "questions dropped because their number was old",
    "batches": "passes in which something was inferred",
    "accept_pauses": "times that accepting paused because descriptors were used up",
    "rand_hash_mismatch": "observations whose randomization hash was not the expected one",
    "joint_limit_violation": "answers to plain clients that a joint limit changed",
    "joint_spec_mismatch": "observations with another number of joints than the specification",
    "empty_joint_state": "observations without a joint",
    "deadline_escalation_events": "times that a session missed too many deadlines in a row",
    "degrade_zeroed": "actions replaced because the session missed too often",
    "actions_replaced": "answers to plain clients in time, but with the fallback's numbers",
    "policy_loads": "policies loaded while serving",
    "policy_load_failures": "policies that could not be loaded while serving",
    "events_dropped": "events that could not be written",
}
