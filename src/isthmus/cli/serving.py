"""What stands around the engine of `isthmus serve`: made from the command line, and given back.

Everything here may fail or be left out without an answer being late. It is given back in the order
that lets each part still tell the next: the engine first, then the last reports, HTTP, the
policies, and the events last of all, because the others end with one.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from isthmus import __version__
from isthmus.bench.kept import kept
from isthmus.contract import Contract
from isthmus.control.health import engine_health, engine_readiness
from isthmus.control.server import ControlServer
from isthmus.control.textfile import Textfile
from isthmus.events import EventLog, new_event
from isthmus.gateway import Engine, Settings
from isthmus.gateway.housekeeping import Housekeeper
from isthmus.gateway.ledger import Ledger
from isthmus.gateway.metrics_file import MetricsFile
from isthmus.policy.base import Policy
from isthmus.telemetry import ALERTS, Advisor, AlertRule, Alerts, Snapshot
from isthmus.transport.sockets import Listener

from .arguments import check_writable
from .serve_policies import Models

__all__ = ["Surroundings"]

MEGABYTE = 1_000_000

THRESHOLDS: dict[str, str] = {
    "latency_p95": "alert_latency_p95_ms",
    "deadline_miss_rate": "alert_deadline_miss_rate",
}
"""Alert -> the flags of its thresholds, less their ending."""


class Surroundings:
    """Opened before the engine, closed after it.

    Attributes:
        ledger: what the engine tells.
        housekeeper: adds it up, and makes reports of it.
        events: where events go; None if nowhere.
        url: where HTTP is answered; "" if nowhere.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        """Check what can be checked before a model is loaded, and open nothing.

        Raises:
            Error: a file cannot be written where it is wanted.
        """
        check_writable("prometheus-textfile", args.prometheus_textfile, replaced=True)
        self.url = ""
        self.events: EventLog | None = None
        self._hashes: EventLog | None = None
        self._args = args
        self._instance_id = args.prometheus_instance_id or platform.node()
        self._open = ExitStack()
        self._engine: Engine | None = None
        self._models: Models | None = None
        if args.log_dir is not None:
            metrics = Path(args.log_dir) / MetricsFile.name
            if metrics.parent.is_dir():  # else it is made
                check_writable("log-dir", str(metrics), replaced=True)
            self._make_logs(Path(args.log_dir))
        self.ledger = Ledger(
            self.events,
            hash_log=self._hashes,
            payloads=args.record_payloads,
            escalate_after=args.deadline_escalate_threshold,
            degrade_ratio=args.degrade_mode_ratio,
        )
        self.housekeeper = self._make_housekeeper()

    def __enter__(self) -> Surroundings:
        """Open the logs.

        Raises:
            Error: another gateway writes them, or they cannot be written.
        """
        try:
            for log in (self.events, self._hashes):
                if log is not None:
                    log.start()
                    self._open.callback(self._close_log, log)
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Give everything back; the engine has ended, or was never made."""
        self._open.close()

    def close_logs(self) -> None:
        """End the logs where nothing else can be given back any more; from any thread."""
        for log in (self._hashes, self.events):
            if log is not None:
                log.close()

    def _close_log(self, log: EventLog) -> None:
        """End a log; what it lost by that is in the last reports, too."""
        before = log.stats().dropped
        log.close()
        if log is self.events and log.stats().dropped > before and self.housekeeper.ended:
            self.housekeeper.flush(advise=False)

    def load(self, models: Models) -> dict[str, Policy]:
        """Load the policies to begin with, which are closed at the end.

        Raises:
            Error: one cannot be loaded.
        """
        self._models = models
        policies = models.load_all()
        for policy in policies.values():
            self._open.callback(policy.close)
        return policies

    def engine(
        self,
        policies: Mapping[str, Policy],
        listeners: Sequence[Listener],
        settings: Settings,
        upgrade_at: str,
    ) -> Engine:
        """Make the engine.

        Raises:
            InferenceError: a policy cannot answer an observation of zeros.
        """
        loader = None if self._models is None else self._models.loader(self._served, self._assumed)
        self._engine = Engine(
            policies,
            listeners,
            settings,
            upgrade_at=upgrade_at,
            ledger=self.ledger,
            loader=loader,
            housekeeper=self.housekeeper,
        )
        return self._engine

    def begin(self, engine: Engine, listening: Sequence[str]) -> None:
        """Answer HTTP, make reports, and say that the gateway serves.

        Raises:
            Error: HTTP cannot be answered there.
        """
        args = self._args
        if args.http is not None:
            server = ControlServer(
                args.http,
                self.ledger.snapshot,
                instance_id=self._instance_id,
                labels=args.prometheus_enable_labels,
                health=engine_health(lambda: engine.busy_since_ns),
                readiness=engine_readiness(lambda: len(engine.policies), lambda: engine.accepting),
                alerts=self.housekeeper.alerts_report,
            )
            self._open.callback(server.close)
            self.url = server.url
        if self.events is not None:
            self.events.emit(self._started(listening))
            self._open.callback(self._stopped)
        self.housekeeper.start()
        self._open.callback(self.housekeeper.close)

    def words(self) -> Iterator[str]:
        """Lines for whoever started the gateway."""
        if self._models is not None and not self._models.targets:
            yield "policy none yet"
        for policy in () if self._engine is None else self._engine.policies.values():
            if self._models is not None and (order := self._models.assumed_order(policy)):
                names = ", ".join(order)
                yield f"joint-spec: policy {policy.name} names no joints; order taken: {names}"
        if self._models is not None and self._models.loadable:
            yield f"load_policy {self._models.loadable}, from this machine only"
        if self.events is not None:
            yield f"logs {self.events.path.parent.absolute()}"
        if self.url:
            yield f"http {self.url}"
        yield from _turned_off(_rules(self._args))

    def _served(self) -> Contract | None:
        served = [] if self._engine is None else list(self._engine.policies.values())
        return served[0].contract if len(served) == 1 else None

    def _assumed(self, policy: Policy, order: Sequence[str]) -> None:
        if self.events is not None:
            told = new_event("joint_order_assumed", policy=policy.name, joints=list(order))
            self.events.emit(told)

    def _make_logs(self, folder: Path) -> None:
        args = self._args
        options: dict[str, Any] = {
            "max_bytes": int(args.max_log_mb * MEGABYTE),
            "quota_bytes": int(args.log_quota_mb * MEGABYTE),
            "compress": args.compress_rotated,
        }
        self.events = EventLog(folder, **options)
        self._hashes = EventLog(
            folder, name="hash_mismatch_events.jsonl", notes=self.events, **options
        )

    def _make_housekeeper(self) -> Housekeeper:
        """Also where nobody wants a report: what it adds up, the engine need not."""
        args = self._args
        sinks: list[Callable[[Snapshot], None]] = []
        if args.log_dir is not None:
            sinks.append(MetricsFile(Path(args.log_dir) / MetricsFile.name))
        if args.prometheus_textfile is not None:
            labels = args.prometheus_enable_labels
            path = Path(args.prometheus_textfile)
            sinks.append(Textfile(path, instance_id=self._instance_id, labels=labels))
        return Housekeeper(
            self.ledger,
            args.metrics_interval,
            sinks=sinks,
            events=self.events,
            alerts=Alerts(_rules(args)),
            advisor=Advisor(args.auto_transport_escalate_p95, measured_us=kept(os.environ)),
        )

    def _started(self, listening: Sequence[str]) -> dict[str, Any]:
        policies = {} if self._engine is None else self._engine.policies
        return new_event(
            "gateway_started",
            version=__version__,
            pid=os.getpid(),
            policies={
                name: {"kind": each.kind, "digest": each.digest} for name, each in policies.items()
            },
            listening=list(listening),
            settings={key: value for key, value in vars(self._args).items() if value is not None},
        )

    def _stopped(self) -> None:
        if self.events is not None:
            self.events.emit(new_event("gateway_stopped", counters=self.ledger.counters.to_dict()))


def _thresholds(args: argparse.Namespace, flag: str) -> tuple[float | None, float | None]:
    return getattr(args, f"{flag}_warn"), getattr(args, f"{flag}_crit")


def _rules(args: argparse.Namespace) -> list[AlertRule]:
    """Every alert, at the thresholds of the command line."""
    rules = dict(ALERTS)
    for name, flag in THRESHOLDS.items():
        warn, crit = _thresholds(args, flag)
        rule = rules[name]
        if warn is None and crit is None:
            continue
        if crit is None and rule.crit is not None and rule.crit >= (warn or 0.0):
            crit = rule.crit  # one that was not named stays, unless it would contradict
        if warn is None and rule.warn is not None and rule.warn <= (crit or 0.0):
            warn = rule.warn
        rules[name] = rule.with_thresholds(warn, crit)
    return list(rules.values())


def _turned_off(rules: Sequence[AlertRule]) -> Iterator[str]:
    """What is not watched any more because it would contradict the command line."""
    for rule in rules:
        usual = ALERTS[rule.name]
        for word, now, was, other in (
            ("CRIT", rule.crit, usual.crit, rule.warn),
            ("WARN", rule.warn, usual.warn, rule.crit),
        ):
            if now is None and was is not None and other is not None:
                side, flag = "below" if word == "CRIT" else "above", THRESHOLDS[rule.name]
                yield (
                    f"alert {rule.name} without {word}: the usual {was:g} lies {side} {other:g}; "
                    f"--{flag.replace('_', '-')}-{word.lower()} sets another"
                )
