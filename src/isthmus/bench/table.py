"""Results as text for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .compare import Change
from .rows import QUANTILES, Row, Settings

__all__ = ["change_table", "result_table"]

_SHOWN = ("p50", "p90", "p95", "p99", "p99.9", "max")
_STAGES = ("encode", "wire", "queue", "infer", "decode")


def result_table(rows: Sequence[Row], settings: Settings) -> str:
    """A block per payload: quantiles in microseconds, the ratio to the fastest way, the stages."""
    blocks = []
    for payload in dict.fromkeys(row.case.payload for row in rows):
        mine = [row for row in rows if row.case.payload == payload]
        blocks.append("\n".join([_heading(payload), *_lines(mine, settings), *_left_out(mine)]))
    return "\n\n".join(blocks)


def change_table(changes: Sequence[Change]) -> str:
    """New / old, per row and quantile."""
    head = f"{'transport':<10}{'payload':<12}" + "".join(f"{name:>10}" for name in QUANTILES)
    lines = [head]
    for change in changes:
        cells = "".join(f"{change.ratios.get(name, math.nan):>9.2f}x" for name in QUANTILES)
        lines.append(f"{change.transport:<10}{change.payload:<12}{cells}")
    return "\n".join(lines)


def _heading(payload: str) -> str:
    cells = "".join(f"{name:>10}" for name in _SHOWN)
    return f"{payload}\n  {'us':<8}{cells}{'ratio':>10}   {'median of ' + ' / '.join(_STAGES)}"


def _lines(rows: Sequence[Row], settings: Settings) -> list[str]:
    found = {row.case.way: row.quantiles_us() for row in rows if not row.left_out}
    if not found:
        return []
    best = min(figures["p50"] for figures in found.values())
    lines = []
    for row in rows:
        figures = found.get(row.case.way)
        if figures is None:
            continue
        cells = "".join(f"{number(figures[name]):>10}" for name in _SHOWN)
        stages = " / ".join(number(row.stages_ns.get(name, 0.0) / 1e3) for name in _STAGES)
        missed = f"   {row.missed} of {row.steps} not answered in time" if row.missed else ""
        if row.steps < settings.iterations:
            missed += f"   {row.steps} steps in {settings.seconds:g} s"
        ratio = f"{figures['p50'] / best:.2f}x"
        lines.append(f"  {row.case.way:<8}{cells}{ratio:>10}   {stages}{missed}")
    return lines


def _left_out(rows: Sequence[Row]) -> list[str]:
    return [f"  {row.case.way:<8} left out: {row.left_out}" for row in rows if row.left_out]


def number(value: float) -> str:
    """Three significant digits, never an exponent."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"
