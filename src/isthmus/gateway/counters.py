"""What a gateway counts, live. Only the engine's thread adds to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Counters"]


@dataclass
class Counters:
    """Totals since the start. The names are those of `telemetry.COUNTERS`, which explains them.

    Attributes:
        by_code: code -> error answers and refusals of that code. It is replaced, never changed, so
            that whoever has read it may keep it.
    """

    sessions: int = 0
    observations: int = 0
    answered: int = 0
    deadline_miss: int = 0
    late: int = 0
    errors: int = 0
    refused: int = 0
    stale: int = 0
    batches: int = 0
    accept_pauses: int = 0
    rand_hash_mismatch: int = 0
    joint_limit_violation: int = 0
    joint_spec_mismatch: int = 0
    empty_joint_state: int = 0
    deadline_escalation_events: int = 0
    degrade_zeroed: int = 0
    actions_replaced: int = 0
    policy_loads: int = 0
    policy_load_failures: int = 0
    by_code: Mapping[str, int] = field(default_factory=dict)

    @property
    def misses(self) -> int:
        """`deadline_miss`, by a shorter name."""
        return self.deadline_miss

    def to_dict(self) -> dict[str, Any]:
        """Name -> total, the share of deadlines missed, and the totals by code."""
        rate = self.deadline_miss / self.observations if self.observations else 0.0
        return {**vars(self), "deadline_miss_rate": rate, "by_code": dict(self.by_code)}

    def error(self, code: str) -> None:
        """Count one error answer."""
        self.errors += 1
        self._code(code)

    def refuse(self, code: str) -> None:
        """Count one refused connection."""
        self.refused += 1
        self._code(code)

    def _code(self, code: str) -> None:
        self.by_code = {**self.by_code, code: self.by_code.get(code, 0) + 1}
