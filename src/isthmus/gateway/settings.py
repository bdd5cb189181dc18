"""How a gateway behaves."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """How a gateway behaves.

    Attributes:
        executor: `inline`, `thread`, or `auto`: a thread for policies slower than a quarter of
            their deadline.
        deterministic: one session per inference, so that no row's last bits depend on who else
            asked.
        deadline_ns: for clients that name none; 0 = 0.8 x control_dt.
        max_sessions: connections beyond this are refused.
        max_rows: environments of all sessions together; a session that asks for more than are left
            is refused. One inference may hold them all, and everybody waits for it.
        max_newcomers: connections without a handshake beyond this end the oldest of them.
        greeting_timeout_ns: for the handshake, from a connection's first byte.
        silence_timeout_ns: for that first byte.
        action_scale: the hint that plain clients are sent; None = none.
        joints: how many joints the joint specification has, which observations of plain clients are
            held against; None = there is none.
        joints_cooldown_ns: least time between two events about another number of joints.
    """

    executor: str = "auto"
    deterministic: bool = False
    deadline_ns: int = 0
    max_sessions: int = 256
    max_rows: int = 16384
    max_newcomers: int = 256
    greeting_timeout_ns: int = 5_000_000_000
    silence_timeout_ns: int = 30_000_000_000
    action_scale: float | None = None
    joints: int | None = None
    joints_cooldown_ns: int = 60_000_000_000
