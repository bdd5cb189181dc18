"""How a process's end is said. Pure."""

from __future__ import annotations

import signal

__all__ = ["duration", "exit_status", "how_it_ended", "signal_name"]


def how_it_ended(status: int) -> str:
    """Say how a process ended.

    Args:
        status: its exit status; negative is the number of the signal that ended it.
    """
    return f"ended by {signal_name(-status)}" if status < 0 else f"ended with status {status}"


def signal_name(number: int) -> str:
    """Name a signal, such as "SIGTERM"; a realtime one by its number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def exit_status(status: int) -> int:
    """Turn a status into what a shell would say: 128 and the number for a signal."""
    return 128 - status if status < 0 else status


def duration(seconds: float) -> str:
    """Say how long something took, such as "4.2 s", "3 min 20 s", "5 h 2 min"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
