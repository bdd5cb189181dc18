"""What a program said, as far as a person would read it."""

from __future__ import annotations

__all__ = ["shortened"]

_LONGEST = 240  # characters


def shortened(line: str) -> str:
    """Cut a line that nobody would read: a program that quotes its arguments quotes ours."""
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."
