"""Whether an engine still turns, and whether it can be asked."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic_ns

__all__ = ["Check", "engine_health", "engine_readiness", "well"]

Check = Callable[[], str]
"""What it returns is empty if all is well, else one line that says what is not."""


def well() -> str:
    """Nothing is known to be wrong."""
    return ""


def engine_health(
    busy_since_ns: Callable[[], int],
    *,
    limit_s: float = 5.0,
    now_ns: Callable[[], int] = monotonic_ns,
) -> Check:
    """A check that fails while a pass of the engine does not end.

    An engine that waits is well however long it waits, so the age of its last pass says nothing;
    a policy that hangs in the engine's own thread shows as a pass that has begun and not ended.

    Args:
        busy_since_ns: the monotonic instant at which the pass at hand began; 0 while it waits.
        limit_s: longest pass that is still taken for work.
        now_ns: the monotonic clock.
    """

    def check() -> str:
        since = busy_since_ns()
        busy_s = (now_ns() - since) / 1e9 if since else 0.0
        if busy_s <= limit_s:
            return ""
        return (
            f"the engine has been in one pass for {busy_s:.1f} s, expected at most {limit_s:g} s; "
            "a policy that hangs is the usual reason: see its log, restart the gateway"
        )

    return check


def engine_readiness(policies: Callable[[], int], accepting: Callable[[], bool]) -> Check:
    """A check that fails while whoever comes now could not be served.

    Args:
        policies: how many are served.
        accepting: False while connections are not taken in.
    """

    def check() -> str:
        if not policies():
            return "no policy is served; load one"
        if not accepting():
            return (
                "no connection is taken in, because the process has no descriptor left; "
                "raise its limit (ulimit -n), or lower --max-sessions"
            )
        return ""

    return check
