"""The order of mismatches, and their times where a clock was set meanwhile. Pure.

A line of today has the token of its writer's life and its number in it: that is its order, whatever
the clock did. Its time is that of its life's first mismatch, and what has passed since by a clock
that nobody sets; a life that begins before the last one ended goes on from there. The first
system's lines have neither: those are taken by their times, and come before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .mismatch import Mismatch

__all__ = ["ordered"]

_SLEW = 1.0  # s by which the two clocks may differ before it is worth a word


def ordered(mismatches: Iterable[Mismatch]) -> tuple[list[Mismatch], list[str]]:
    """Put mismatches into their order.

    Args:
        mismatches: as they were read, the oldest file first.

    Returns:
        The mismatches, and a note for each life in which the clock was set.
    """
    loose: list[Mismatch] = []
    lives: dict[str, list[Mismatch]] = {}
    for mismatch in mismatches:
        known = mismatch.boot and mismatch.number >= 0
        (lives.setdefault(mismatch.boot, []) if known else loose).append(mismatch)
    found = sorted(loose, key=lambda mismatch: mismatch.ts)  # stable: equal times as written
    notes: list[str] = []
    for life in lives.values():
        life.sort(key=lambda mismatch: mismatch.number)
        told, most = _steady(life, _anchor(life[0], found[-1] if found else None))
        found += told
        if abs(most) > _SLEW:
            notes.append(
                f"the clock was set by {most:+.0f} s after {told[0].corr_id or 'the first line'}; "
                "times are what it would have said if it had not been"
            )
    return found, notes


def _anchor(first: Mismatch, before: Mismatch | None) -> Mismatch:
    """What a life's times are told from: itself, or the life before if its clock was later."""
    if before is None or before.mono_ns is None or first.mono_ns is None or first.ts >= before.ts:
        return first
    return before if first.mono_ns >= before.mono_ns else first  # else the machine began anew


def _steady(life: Sequence[Mismatch], start: Mismatch) -> tuple[list[Mismatch], float]:
    """Times of one life by the clock that nobody sets; by how much the other one strayed."""
    if start.mono_ns is None:
        return list(life), 0.0
    found, most = [], 0.0
    for mismatch in life:
        if mismatch.mono_ns is None:
            found.append(mismatch)
            continue
        ts = start.ts + (mismatch.mono_ns - start.mono_ns) / 1e9
        strayed = mismatch.ts - ts
        most = strayed if abs(strayed) > abs(most) else most
        found.append(mismatch._replace(ts=ts) if abs(strayed) > _SLEW else mismatch)
    return found, most
