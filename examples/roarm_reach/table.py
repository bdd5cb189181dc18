"""The demo's last words: one table. Standard library only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

STAGES = ("encode", "wire", "queue", "infer", "decode", "total")
NAMES = {"total": "act(), as the caller feels it"}


def table(
    run: Path, meta: dict[str, Any], metrics: dict[str, Any], counted: list[dict[str, Any]]
) -> str:
    """What came of a run.

    Args:
        run: its directory.
        meta: what its `meta.json` holds.
        metrics: what its `metrics.json` holds.
        counted: the episodes that decide whether the arm reaches.
    """
    rows = [
        ("goals reached", goals(metrics, counted)),
        ("actions", actions(metrics, meta)),
        ("transport", meta["transport"]),
        ("simulator", side(meta.get("sim", {}), ("mujoco", "numpy"))),
        ("policy", side(meta.get("policy_side", {}), ("onnxruntime", "numpy"))),
        ("interface hash", meta["interface_hash"]),
        ("saved in", run),
        ("look at", run / "report.html"),
    ]
    wide = max(len(name) for name, _ in rows)
    head = [f"  {name:<{wide}}  {value}" for name, value in rows]
    return "\n".join(["", *head[:2], "", *latency(metrics["latency_us"]), "", *head[2:], ""])


def goals(metrics: dict[str, Any], counted: list[dict[str, Any]]) -> str:
    """Goals reached; those that a stall did not touch apart."""
    found = f"{metrics['reached']} of {metrics['episodes']}"
    if not counted:
        found += "; the stall touched them all"
    elif len(counted) < metrics["episodes"]:
        reached = sum(e["success"] for e in counted)
        found += f"; {reached} of the {len(counted)} that the stall did not touch"
    return found


def actions(metrics: dict[str, Any], meta: dict[str, Any]) -> str:
    """Actions, misses and where the actions came from."""
    hz = 1e9 / meta["contract"]["control_dt_ns"]
    # Without an answer is not late: once a gateway is silent, nobody waits for it at each step.
    lost = (
        f"{metrics['misses']} had no answer"
        if metrics["misses"]
        else f"0 missed the {meta['deadline_ns'] / 1e6:g} ms deadline"
    )
    found = f"{metrics['steps']} at {hz:g} Hz, {lost}"
    others = [f"{count} {name}" for name, count in metrics["status"].items() if name != "policy"]
    return found + (f" ({', '.join(others)})" if others else "")


def latency(stages: dict[str, dict[str, float]]) -> list[str]:
    """One line per stage, ms."""
    lines = [f"  {'milliseconds':<30}" + "".join(f"{name:>9}" for name in ("p50", "p95", "p99"))]
    lines.append("  " + "-" * 57)
    for stage in STAGES:
        if stage in stages:
            values = "".join(f"{stages[stage][q] / 1e3:9.3f}" for q in ("p50", "p95", "p99"))
            lines.append(f"  {NAMES.get(stage, stage):<30}{values}")
    return lines


def side(facts: dict[str, Any], packages: tuple[str, ...]) -> str:
    """One side's Python and the packages that matter there."""
    versions = facts.get("packages", {})
    shown = [f"{name} {versions[name]}" for name in packages if name in versions]
    return f"Python {facts.get('python', '?')} ({', '.join(shown)}), {facts.get('executable', '?')}"
