"""Results as text: one block per row, for a terminal; the same data as JSON for everything else."""

from __future__ import annotations

from typing import Any

from .rows import Row

_MET = {True: "met", False: "NOT MET", None: ""}
FIGURES = ("p50", "p90", "p99", "per_second", "n")


def row_text(row: Row, result: dict[str, Any]) -> str:
    """One row, readable."""
    lines = [f"{row.title}  [{row.name}, {result['placement']}, {row.unit}]"]
    for name, figures in result["subjects"].items():
        lines.append(f"  {name:<22}{subject_text(figures)}")
    for bar in result["bars"]:
        lines.append(f"  -> {bar_text(bar)}")
    return "\n".join(lines)


def subject_text(figures: dict[str, Any]) -> str:
    """The figures of one subject, or why there are none."""
    if "left_out" in figures:
        return f"left out: {figures['left_out']}"
    shown = "".join(f"{key} {number(figures[key]):>9}  " for key in FIGURES if key in figures)
    return shown + (f"missed {figures['missed']}" if figures["missed"] else "")


def bar_text(bar: dict[str, Any]) -> str:
    """How a bar stands."""
    if bar["value"] is None:
        return f"{bar['bar']}: not measured"
    spread = f"({number(bar['low'])} to {number(bar['high'])})"
    return f"{bar['bar']}: {number(bar['value'])} {spread} {_MET[bar['met']]}".rstrip()


def number(value: float) -> str:
    """Three significant digits, never an exponent."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
