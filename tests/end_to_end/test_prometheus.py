"""A real Prometheus reads a real gateway: rules, dashboard, and a fault that comes and goes."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import numpy as np
import pytest

import isthmus

from ..control.promtool import LINT, needs_promtool, promtool
from ..control.queries import dashboard_queries, rule_queries
from ..support.gateways import Gateway, gateway
from ..support.served import DELAY_FILE
from ..support.waiting import LAST_RESORT, until

PROMETHEUS = shutil.which("prometheus")
NODE_EXPORTER = shutil.which("prometheus-node-exporter") or shutil.which("node_exporter")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        PROMETHEUS is None,
        reason="prometheus is not installed; Debian has it in the package of that name",
    ),
]

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RULES = (DEPLOY / "prometheus" / "isthmus_rules.yml").read_text(encoding="utf-8")
DASHBOARD = json.loads((DEPLOY / "grafana" / "isthmus.json").read_text(encoding="utf-8"))

FAST, SLOW, SLOWER = 0.002, 0.075, 0.13  # s: below, between and above the thresholds
WINDOW = "4s"
EVERY = 0.1  # s between two looks, so that looking does not take the machine from who is looked at

CONFIG = """\
global: {{scrape_interval: 500ms, evaluation_interval: 500ms}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: isthmus
    static_configs: [{{targets: ["{target}", "{nobody}"]}}]
"""
NOBODY = "127.0.0.1:1"
"""A target that is not there."""


# Whatever proxy this machine has: 127.0.0.1 is asked itself.
fetch = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


class Server:
    """A program that serves HTTP, in a process of its own, on a port that was free a moment ago.

    Args:
        command: the program; `--web.listen-address` is added.
        path: a page that answers once it is ready.
        log: takes what it says.
    """

    def __init__(self, command: Sequence[str], path: str, log: Path) -> None:
        self._path = path
        with log.open("wb") as told:
            for _ in range(5):
                where = f"127.0.0.1:{free_port()}"
                self.url = f"http://{where}"
                self.process = subprocess.Popen(
                    [*command, f"--web.listen-address={where}"], stdout=told, stderr=told
                )
                if until(self._settled, "it is ready or has ended", every=EVERY) == "ready":
                    return
        raise AssertionError(log.read_text(encoding="utf-8"))

    def _settled(self) -> str:
        if self.process.poll() is not None:
            return "ended"  # somebody else took the port
        try:
            self.page(self._path)
        except (urllib.error.URLError, ConnectionError):
            return ""
        return "ready"

    def page(self, path: str) -> str:
        with fetch(self.url + path, timeout=LAST_RESORT) as response:
            found: bytes = response.read()
            return found.decode()

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(LAST_RESORT)


class Prometheus(Server):
    """One that reads a gateway and a target that is not there, by the deployed rules."""

    def __init__(self, folder: Path, target: str) -> None:
        config = CONFIG.format(target=target, nobody=NOBODY)
        (folder / "prometheus.yml").write_text(config, encoding="utf-8")
        # The rules as they are, but for the minutes that a test has not.
        quick = RULES.replace("[1m]", f"[{WINDOW}]").replace("for: 30s", "for: 1s")
        (folder / "rules.yml").write_text(quick, encoding="utf-8")
        assert PROMETHEUS is not None
        command = [
            PROMETHEUS,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--log.level=warn",
        ]
        super().__init__(command, "/-/ready", folder / "prometheus.log")

    def api(self, path: str, **parameters: str) -> Any:
        """What its HTTP API answers."""
        try:
            return json.loads(self.page(f"/api/v1/{path}?{urlencode(parameters)}"))["data"]
        except urllib.error.HTTPError as exc:
            raise AssertionError(f"{parameters}: {exc.read().decode()}") from exc

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an expression, now."""
        found: list[dict[str, Any]] = self.api("query", query=expression)["result"]
        return found

    def value(self, expression: str) -> float:
        """The one value of an expression; NaN if there is none."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else float("nan")

    def firing(self) -> set[str]:
        """The alerts that are up."""
        alerts = self.api("alerts")["alerts"]
        return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}


def free_port() -> int:
    """A port that nobody has now; another may take it before we do."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


@dataclass
class Stack:
    """A gateway, a link that asks it all the time, and who watches it."""

    gateway: Gateway
    prometheus: Prometheus
    delay: Path
    textfile: Path

    def slow_down(self, seconds: float) -> None:
        """From its next inference on the policy takes so long."""
        beside = self.delay.with_suffix(".new")
        beside.write_text(str(seconds))
        os.replace(beside, self.delay)

    def page(self, path: str) -> bytes:
        """A page of the gateway."""
        with fetch(self.gateway.http + path, timeout=LAST_RESORT) as response:
            found: bytes = response.read()
            return found

    def own_alert(self, name: str) -> dict[str, Any]:
        """What the gateway itself says of an alert."""
        rows: list[dict[str, Any]] = json.loads(self.page("/alerts"))["alerts"]
        return next(row for row in rows if row["name"] == name)


@contextmanager
def asking(url: str) -> Iterator[None]:
    """A link that acts until the end, and is always answered."""
    over = threading.Event()
    faults: list[BaseException] = []

    def act() -> None:
        try:
            with isthmus.connect(url, deadline=10.0) as link:
                while not over.is_set():
                    action = link.act(q=np.zeros(2, np.float32))
                    assert action.status == "policy", action
        except BaseException as exc:
            faults.append(exc)

    thread = threading.Thread(target=act)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(LAST_RESORT)
    assert not faults, faults


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("prometheus")
    delay, textfile = folder / "delay", folder / "isthmus.prom"
    delay.write_text(str(FAST))
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv(DELAY_FILE, str(delay))
        served = stack.enter_context(
            gateway(
                "tests.support.served:delayed",
                *("--listen", f"unix:{folder}/s"),
                *("--executor", "inline"),
                *("--http", "127.0.0.1:0"),
                *("--metrics-interval", "0.5"),
                *("--alert-latency-p95-ms-warn", "60"),
                *("--alert-latency-p95-ms-crit", "100"),
                *("--prometheus-textfile", str(textfile)),
                *("--prometheus-instance-id", "cell-3", "--prometheus-enable-labels"),
            )
        )
        stack.enter_context(asking(served.addresses[0]))
        target = urlsplit(served.http).netloc
        prometheus = stack.enter_context(closing(Prometheus(folder, target)))
        yield Stack(served, prometheus, delay, textfile)


def bare(query: str) -> str:
    """What a rule compares, without the comparison: it is there also while nothing is wrong."""
    return re.sub(r" (>|==) [\d.]+$", "", query)


QUERIES = [
    *map(bare, rule_queries(RULES)),
    *dashboard_queries(DASHBOARD),
]


def test_every_expression_has_data(stack: Stack) -> None:
    queries = [query.replace("[1m]", f"[{WINDOW}]") for query in QUERIES]

    def all_there() -> bool:
        queries[:] = [query for query in queries if not stack.prometheus.query(query)]
        return not queries

    try:
        until(all_there, every=EVERY)
    except AssertionError as exc:
        raise AssertionError(f"no data for {queries}") from exc


def test_what_it_reads_is_what_happens(stack: Stack) -> None:
    value = stack.prometheus.value
    until(lambda: value("isthmus_round_trip_seconds_count") > 0, "the link reports", every=EVERY)
    assert value('isthmus_connected_sessions{transport="shm", codec="binary"}') == 1
    assert value("sum(isthmus_connected_sessions)") == 1
    assert value('isthmus_policy_info{policy="delayed", kind="callable"}') == 1
    assert value('isthmus_observations_total{instance_id="cell-3", policy_kind="callable"}') > 0
    assert value("sum(isthmus_errors_total)") == value("isthmus_deadline_misses_total") == 0
    assert value("isthmus_round_trip_percentile_seconds{percentile='p50'}") >= FAST
    infer = "isthmus_stage_percentile_seconds{stage='infer', window='run', percentile='p50'}"
    assert value(infer) >= FAST
    normal = 'isthmus_ladder_seconds_total{level="normal"}'
    until(lambda: value(normal) > 0, "and how long it trusted the policy", every=EVERY)
    targets = stack.prometheus.api("targets")["activeTargets"]
    assert sorted(target["health"] for target in targets) == ["down", "up"]


def test_a_slow_policy_raises_warn_then_crit_and_is_forgotten(stack: Stack) -> None:
    prometheus = stack.prometheus
    warn, crit = {"IsthmusLatencyP95Warn"}, {"IsthmusLatencyP95Crit"}
    watched = warn | crit | {"IsthmusGatewayWarn", "IsthmusGatewayCrit"}
    p95 = 'isthmus:stage_duration_seconds:p95_1m{stage="policy"}'
    until(lambda: prometheus.value(p95) < 0.06, "p95 is known", every=EVERY)
    assert not prometheus.firing() & watched
    assert stack.own_alert("latency_p95")["severity"] == 0

    stack.slow_down(SLOW)
    until(lambda: warn <= prometheus.firing(), "WARN of the rules", every=EVERY)
    until(lambda: stack.own_alert("latency_p95")["severity"] == 1, "its own WARN", every=EVERY)
    until(lambda: "IsthmusGatewayWarn" in prometheus.firing(), "its own WARN, read", every=EVERY)
    assert not prometheus.firing() & (crit | {"IsthmusGatewayCrit"})
    told = stack.own_alert("latency_p95")
    assert told["threshold"] == 60 and told["value"] > 60 and told["unit"] == "ms"
    assert told["since"] > 0 and told["meaning"] and told["action"]

    stack.slow_down(SLOWER)
    until(lambda: crit <= prometheus.firing(), "CRIT of the rules", every=EVERY)
    until(lambda: "IsthmusGatewayCrit" in prometheus.firing(), "its own CRIT, read", every=EVERY)
    assert stack.own_alert("latency_p95")["threshold"] == 100

    stack.slow_down(FAST)
    until(lambda: not prometheus.firing() & watched, "everything is well again", every=EVERY)
    assert stack.own_alert("latency_p95")["severity"] == 0


def test_clients_of_its_pages_do_not_disturb_the_engine(stack: Stack) -> None:
    """The link that asks all the time would say so: see `asking`."""
    host, port = urlsplit(stack.gateway.http).netloc.split(":")
    answered = "isthmus_observations_answered_total"
    before = counter(stack, answered)
    with ExitStack() as connections:
        for number in range(200):
            sock = connections.enter_context(
                socket.create_connection((host, int(port)), timeout=LAST_RESORT)
            )
            sock.sendall((b"GET /metr", b"\x00\xff" * 50, b"POST / HTTP/1.1\r\n\r\n")[number % 3])
        assert stack.page("/healthz") == stack.page("/readyz") == b"ok\n"
        until(lambda: counter(stack, answered) > before + 20, "steps go on")
    assert counter(stack, "isthmus_error_answers_total") == 0
    assert counter(stack, "isthmus_deadline_misses_total") == 0


def counter(stack: Stack, name: str) -> float:
    """A counter, as the page has it now."""
    text = stack.page("/metrics").decode()
    return float(re.search(rf"^{name}\{{.*\}} (\S+)$", text, re.MULTILINE)[1])  # type: ignore[index]


@needs_promtool
def test_its_page_and_its_textfile_are_valid(stack: Stack) -> None:
    assert promtool("check", "metrics", stdin=stack.page("/metrics")) == (0, "")
    status, said = promtool("check", "metrics", stdin=stack.textfile.read_bytes())
    assert status == LINT
    assert all(line.startswith("gateway_") for line in said.splitlines())
    assert b'{instance_id="cell-3",policy_kind="callable"}' in stack.textfile.read_bytes()


@pytest.mark.skipif(
    NODE_EXPORTER is None,
    reason="no node exporter is installed; Debian has it in prometheus-node-exporter",
)
def test_a_node_exporter_hands_the_textfile_on_as_it_is(stack: Stack, tmp_path: Path) -> None:
    assert NODE_EXPORTER is not None
    folder = tmp_path / "textfile"
    folder.mkdir()
    shutil.copy(stack.textfile, folder)
    command = [
        NODE_EXPORTER,
        "--collector.disable-defaults",
        "--collector.textfile",
        f"--collector.textfile.directory={folder}",
    ]
    with closing(Server(command, "/metrics", tmp_path / "exporter.log")) as exporter:
        shown = exporter.page("/metrics")
    ours = ("gateway_", "isthmus_")
    wanted = {line.split("{")[0] for line in stack.textfile.read_text("utf-8").splitlines()}
    found = {line.split("{")[0] for line in shown.splitlines()}
    assert {name for name in wanted if name.startswith(ours)} == {
        name for name in found if name.startswith(ours)
    }
    assert "node_textfile_scrape_error 0" in shown


def test_a_gateway_that_is_not_there_is_missed(stack: Stack) -> None:
    def missed() -> set[str]:
        alerts = stack.prometheus.api("alerts")["alerts"]
        names = ("IsthmusNotScraped", "IsthmusNoTarget")
        return {
            each["labels"]["instance"]
            for each in alerts
            if each["labels"]["alertname"] in names and each["state"] == "firing"
        }

    assert until(missed, "an alert", every=EVERY) == {NOBODY}
