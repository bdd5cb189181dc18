"""What a link counts."""

from __future__ import annotations

from dataclasses import asdict, dataclass

__all__ = ["Counters"]


@dataclass(slots=True)
class Counters:
    """Totals since the link began; whoever owns it adds to it.

    Attributes:
        steps: calls of `act`.
        applied: steps in which the policy's action was sent.
        misses: steps that were a miss, as the ladder counts them.
        late: answers that came after their deadline and were dropped.
        rejected: answers the gate refused.
        clipped: values the gate clipped to low/high.
        rate_limited: values the gate cut by rate or acceleration.
        resets: episodes started.
        reconnects: epochs after the first.
        overruns: steps in which `act` itself returned after its deadline.
    """

    steps: int = 0
    applied: int = 0
    misses: int = 0
    late: int = 0
    rejected: int = 0
    clipped: int = 0
    rate_limited: int = 0
    resets: int = 0
    reconnects: int = 0
    overruns: int = 0

    def to_dict(self) -> dict[str, int]:
        """Name -> total."""
        return asdict(self)
