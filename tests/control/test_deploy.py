"""What is deployed beside a gateway: valid, and made of metrics that there are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from isthmus.control.metrics import METRICS
from isthmus.telemetry import ALERTS

from .promtool import needs_promtool, promtool
from .queries import dashboard_queries, labels_of, metrics_of, rule_queries

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
RULES = (PROMETHEUS / "isthmus_rules.yml").read_text(encoding="utf-8")
TESTS = (PROMETHEUS / "isthmus_rules_test.yml").read_text(encoding="utf-8")
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "isthmus.json").read_text("utf-8"))

RECORDED = set(re.findall(r"- record: (\S+)", RULES))
RAISED = re.findall(r"- alert: (\S+)", RULES)
QUERIES = [*rule_queries(RULES), *dashboard_queries(DASHBOARD)]


def known() -> Iterator[tuple[str, set[str]]]:
    """Every series that can be asked for, and its labels."""
    yield "up", set()
    for row in METRICS:
        if row.kind == "histogram":
            yield f"{row.name}_bucket", {*row.labels, "le"}
            yield f"{row.name}_sum", {*row.labels}
            yield f"{row.name}_count", {*row.labels}
        else:
            yield row.name, {*row.labels}


KNOWN = dict(known())
OF_PROMETHEUS = {"job", "instance", "instance_id", "policy_kind"}


def test_there_is_something_to_look_at() -> None:
    assert len(RECORDED) >= 6 and len(RAISED) >= 13 and len(QUERIES) >= 60


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_asks_for_metrics_that_there_are(query: str) -> None:
    metrics = metrics_of(query)
    assert metrics and metrics <= KNOWN.keys() | RECORDED
    if not metrics & RECORDED:
        labels = set().union(*(KNOWN[name] for name in metrics))
        assert labels_of(query) <= labels | OF_PROMETHEUS


def test_a_query_is_taken_apart_as_prometheus_would() -> None:
    query = 'sum by (le, a) (rate(isthmus_x_bucket{b=~"c_d", e!="f"}[5m])) / on() isthmus:y:z > 3'
    assert metrics_of(query) == {"isthmus_x_bucket", "isthmus:y:z"}
    assert labels_of(query) == {"le", "a", "b", "e"}
    assert metrics_of("time() - max(isthmus_x) or vector(0)") == {"isthmus_x"}


def test_every_metric_is_on_the_dashboard_or_in_a_rule() -> None:
    """Of what nobody looks at, nobody learns. The exceptions say where they are of use."""
    asked = set().union(*map(metrics_of, QUERIES))
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked}
    elsewhere = {
        "isthmus_snapshot_time_seconds",  # the age of a textfile
        "isthmus_deadline_miss_ratio",  # of the whole run: for a glance at the page
        "isthmus_error_answers_total",  # isthmus_errors_total has them by code
        "isthmus_observations_answered_total",  # isthmus_answers_total has them by outcome
        "isthmus_sessions_welcomed_total",  # the dashboard shows those that are connected
    }
    assert {row.name for row in METRICS} - shown == elsewhere


def test_thresholds_are_the_gateways_own() -> None:
    found = dict(re.findall(r"- alert: Isthmus(\w+)\n +expr: .* > (\S+)\n", RULES))
    for name, alert in (
        ("DeadlineMissRate", "deadline_miss_rate"),
        ("RandHashMismatchBurst", "rand_hash_mismatch_burst"),
    ):
        rule = ALERTS[alert]
        assert (float(found[f"{name}Warn"]), float(found[f"{name}Crit"])) == (rule.warn, rule.crit)
    assert (found["LatencyP95Warn"], found["LatencyP95Crit"]) == ("0.06", "0.1")


def test_every_alert_says_what_to_do_and_is_seen_to_rise() -> None:
    for alert in RULES.split("- alert: ")[1:]:
        name = alert.split()[0]
        for part in ("severity", "summary", "description", "action"):
            assert f" {part}: " in alert, (name, part)
        assert f'alertname="{name}"' in TESTS


def test_every_recorded_series_is_seen_with_its_value() -> None:
    seen = TESTS + "".join(re.findall(r"- alert: .*\n +expr: (.*)", RULES))
    assert all(name in seen for name in RECORDED)


def test_the_guide_names_every_alert() -> None:
    guide = (DEPLOY / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`Isthmus(\w+)`", guide)) | {"GatewayRestartsOften"}
    assert {re.sub(r"(Warn|Crit)$", "", name.removeprefix("Isthmus")) for name in RAISED} == named


def test_the_dashboard_can_be_imported_anywhere() -> None:
    assert DASHBOARD["id"] is None and DASHBOARD["uid"]
    variables = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert "__inputs" not in DASHBOARD
    panels = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    for panel in panels:
        assert panel["title"] and panel["description"] and panel["targets"]
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(source["uid"] == "${datasource}" for source in sources)


def test_panels_do_not_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not taken & cells, panel["title"]
        taken |= cells


@needs_promtool
def test_prometheus_takes_the_rules_and_the_configuration() -> None:
    status, said = promtool("check", "config", PROMETHEUS / "prometheus.yml")
    assert status == 0, said
    assert "rules found" in said
    status, said = promtool(
        "check", "rules", "--lint=all", "--lint-fatal", PROMETHEUS / "isthmus_rules.yml"
    )
    assert status == 0, said


@needs_promtool
def test_the_rules_do_what_their_tests_say() -> None:
    status, said = promtool("test", "rules", "isthmus_rules_test.yml", cwd=PROMETHEUS)
    assert status == 0, said


@needs_promtool
def test_the_tests_notice_another_threshold(tmp_path: Path) -> None:
    (tmp_path / "isthmus_rules.yml").write_text(RULES.replace("> 0.06", "> 0.6"), encoding="utf-8")
    (tmp_path / "isthmus_rules_test.yml").write_text(TESTS, encoding="utf-8")
    status, said = promtool("test", "rules", "isthmus_rules_test.yml", cwd=tmp_path)
    assert status == 1 and "IsthmusLatencyP95Warn" in said
