"""The page's tables: time by stage, and the facts of both sides and of the run. Pure."""

from __future__ import annotations

import html
from collections.abc import Mapping
from datetime import datetime, timezone

from .metrics import STAGES
from .randomization import randomization_summary
from .svg import element
from .timing_charts import SIDES
from .view import View

__all__ = ["run_facts", "side_facts", "stage_table"]

QUANTILES: tuple[str, ...] = ("p50", "p95", "p99", "max")


def stage_table(view: View) -> str:
    """Rows by stage, columns by quantile, in ms."""
    latency = view.metrics["latency_us"]
    head = element("tr", element("th", "stage"), *(element("th", name) for name in QUANTILES))
    rows = []
    for stage in STAGES:
        if stage not in latency:
            continue
        if stage == "total":
            name = "act()" + element("span", "as the caller feels it", class_="where")
        else:
            swatch = element("i", class_=f"s-{stage}")
            name = swatch + stage + element("span", SIDES[stage], class_="where")
        cells = [element("td", f"{latency[stage][q] / 1e3:.3f}") for q in QUANTILES]
        class_ = "sum" if stage == "total" else None
        rows.append(element("tr", element("td", name), *cells, class_=class_))
    note = (
        "Stages count the steps the policy answered; act() counts every step. Quantiles of parts "
        "do not add up to the quantile of the whole."
    )
    table = element("table", element("thead", head), element("tbody", *rows))
    return table + element("p", note, class_="small")


def side_facts(view: View, key: str) -> str:
    """One side's interpreter and packages."""
    facts = view.meta.get(key, {})
    rows = {
        "Python": f"{facts.get('python', '?')} ({facts.get('implementation', '?')})",
        "interpreter": facts.get("executable", "?"),
        **facts.get("packages", {}),
    }
    if key == "policy_side":
        policy = view.meta.get("policy", {})
        rows["policy"] = f"{policy.get('name', '?')} ({policy.get('kind', '?')})"
        rows["digest"] = policy.get("digest", "?")
    return _list(rows, code=("interpreter", "digest"))


def run_facts(view: View) -> str:
    """Settings, identity and outcome of the run."""
    meta, metrics = view.meta, view.metrics
    git = meta.get("git")
    host = meta.get("host", {})
    rows = {
        "run": meta.get("run_id", "?"),
        "state": meta.get("state", "?"),
        "started": _moment(meta.get("started_ns")),
        "ended": _moment(meta.get("ended_ns")),
        "transport": meta.get("transport", "?"),
        "pacing": meta.get("pacing", "?"),
        "control rate": f"{1 / view.control_dt:g} Hz",
        "deadline": f"{view.deadline_ms:g} ms" if view.deadline_ms else "none",
        "late loop ticks": meta.get("summary", {}).get("rate_overruns", "?"),
        **({"stall": f"{meta['stall_seconds']:g} s, on purpose"} if "stalled_ns" in meta else {}),
        "seed": meta.get("seed", "?"),
        "actions by source": ", ".join(f"{n} {c}" for n, c in metrics["status"].items()) or "?",
        "causes": ", ".join(f"{n} {c}" for n, c in metrics["causes"].items()) or "none",
        "randomization": randomization_summary([e.facts for e in view.episodes]),
        "randomization hash": meta.get("randomization_hash", "none"),
        "interface hash": meta.get("interface_hash", "?"),
        "limits hash": meta.get("limits_hash", "?"),
        "source": "?" if not git else git["sha"] + (" with local changes" if git["dirty"] else ""),
        "host": " ".join(str(host[k]) for k in ("system", "release", "machine") if k in host)
        + (f", {host['cores']} cores" if host.get("cores") else ""),
    }
    hashes = ("randomization hash", "interface hash", "limits hash")
    return _list(rows, code=("run", *hashes, "source"))


def _moment(wall_ns: object) -> str:
    if not isinstance(wall_ns, int):
        return "not yet"
    return f"{datetime.fromtimestamp(wall_ns / 1e9, tz=timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def _list(rows: Mapping[str, object], code: tuple[str, ...]) -> str:
    found = []
    for name, value in rows.items():
        shown = html.escape(str(value))
        found.append(element("dt", html.escape(name)))
        found.append(element("dd", element("code", shown) if name in code else shown))
    return element("dl", *found)
