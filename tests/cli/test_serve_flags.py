"""The arguments of `isthmus serve`: the table, its checks, and what is made of them."""

from __future__ import annotations

import argparse
import errno
import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.events.faults import Faulty, failing

from isthmus.cli import serve_flags
from isthmus.cli.main import command_parser
from isthmus.cli.serve_flags import FLAGS
from isthmus.cli.serve_listeners import wanted_addresses
from isthmus.cli.serve_policies import Models
from isthmus.cli.serving import Surroundings
from isthmus.errors import Error
from isthmus.events import EventLog, new_event
from isthmus.telemetry import ALERTS

FIRST_SYSTEM = """
--host --port --policy --deadline-ms --metrics-interval --max-log-mb --compress-rotated --log-dir
--alert-latency-p95-ms --alert-latency-p95-ms-warn --alert-latency-p95-ms-crit
--alert-deadline-miss-rate --alert-deadline-miss-rate-warn --alert-deadline-miss-rate-crit
--prometheus-textfile --prometheus-instance-id --prometheus-enable-labels --action-scale
--auto-transport-escalate-p95 --joint-spec --joint-spec-mismatch-cooldown
--deadline-escalate-threshold --degrade-mode-ratio
""".split()


def parsed(*arguments: str) -> argparse.Namespace:
    args = command_parser("serve").parse_args([*arguments])
    serve_flags.check(args)
    return args


def test_every_flag_of_the_first_gateway_is_there() -> None:
    assert set(FIRST_SYSTEM) <= {flag.name for flag in FLAGS}


def test_the_table_is_whole() -> None:
    assert len({flag.name for flag in FLAGS}) == len(FLAGS)
    for flag in FLAGS:
        assert re.fullmatch(r"--[a-z0-9-]+", flag.name)
        assert flag.help and not flag.help.endswith(".")
        assert bool(flag.metavar) is (flag.kind is not bool and not flag.choices)
        assert not flag.meaning or flag.meaning.endswith(".")
        if flag.low is not None and flag.default is not None:
            assert flag.low <= flag.default <= flag.high
        if flag.default and flag.low is not None:  # a help that names another default lies
            assert f"default {flag.default:g}" in flag.help


def test_defaults() -> None:
    args = parsed("m.onnx")
    assert {flag.attribute: getattr(args, flag.attribute) for flag in FLAGS} == {
        **{flag.attribute: flag.default for flag in FLAGS},
        "log_quota_mb": 16 * 64.0,
    }


BOUNDED = [flag for flag in FLAGS if flag.low is not None]


@pytest.mark.parametrize("flag", BOUNDED, ids=lambda flag: flag.name)
def test_a_number_outside_its_bounds_is_refused_by_name(flag: Any) -> None:
    over = [] if flag.high == float("inf") else [flag.high + 1]
    wrong = [flag.low - 1, *over, *([] if flag.kind is int else [float("nan")])]
    for value in wrong:
        with pytest.raises(Error, match=f"^{flag.name}: expected a number .*, got"):
            parsed("m.onnx", f"{flag.name}={value}")
    with pytest.raises(SystemExit):
        parsed("m.onnx", f"{flag.name}=many")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--metrics-interval", "0.4"], "--metrics-interval: expected a number from 0.5"),
        (["--alert-latency-p95-ms-warn=30", "--alert-latency-p95-ms-crit=20"], "at least the WARN"),
        (["--alert-latency-p95-ms=30", "--alert-latency-p95-ms-crit=20"], r"\(30\), got 20"),
        (["--alert-deadline-miss-rate=0.3", "--alert-deadline-miss-rate-crit=0.2"], "at least the"),
        (["--alert-latency-p95-ms=30", "--alert-latency-p95-ms-warn=20"], "give one of them"),
        (["--max-log-mb=64", "--log-quota-mb=32"], r"--log-quota-mb: expected at least --max-log"),
        (["--record-payloads=all"], "--log-dir"),
    ],
)
def test_what_contradicts_itself_is_refused(arguments: list[str], words: str) -> None:
    with pytest.raises(Error, match=words):
        parsed("m.onnx", *arguments)


@pytest.mark.parametrize(
    ("arguments", "thresholds"),
    [
        ([], (ALERTS["latency_p95"].warn, ALERTS["latency_p95"].crit)),
        (["--alert-latency-p95-ms=30"], (30, None)),
        (["--alert-latency-p95-ms-warn=30", "--alert-latency-p95-ms-crit=30"], (30, 30)),
        (["--alert-latency-p95-ms-crit=40"], (None, 40)),
    ],
)
def test_thresholds_of_the_latency(
    arguments: list[str], thresholds: tuple[float | None, float | None], tmp_path: Path
) -> None:
    assert rules(tmp_path, *arguments)["latency_p95"] == thresholds


@pytest.mark.parametrize(
    ("arguments", "thresholds"),
    [
        ([], (0.05, 0.2)),
        (["--alert-deadline-miss-rate=0.1"], (0.1, 0.2)),
        (["--alert-deadline-miss-rate=0.3"], (0.3, None)),  # the usual CRIT lies below
        (["--alert-deadline-miss-rate-crit=0.5"], (0.05, 0.5)),
        (["--alert-deadline-miss-rate-crit=0.01"], (None, 0.01)),
    ],
)
def test_thresholds_of_the_miss_rate(
    arguments: list[str], thresholds: tuple[float | None, float | None], tmp_path: Path
) -> None:
    assert rules(tmp_path, *arguments)["deadline_miss_rate"] == thresholds


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], []),
        (["--alert-deadline-miss-rate-warn=0.1", "--alert-latency-p95-ms=30"], []),
        (["--alert-deadline-miss-rate-warn=0.5", "--alert-deadline-miss-rate-crit=0.6"], []),
        (
            ["--alert-deadline-miss-rate-warn=0.5"],
            ["alert deadline_miss_rate without CRIT: the usual 0.2 lies below 0.5; "
             "--alert-deadline-miss-rate-crit sets another"],
        ),
        (
            ["--alert-deadline-miss-rate-crit=0.01"],
            ["alert deadline_miss_rate without WARN: the usual 0.05 lies above 0.01; "
             "--alert-deadline-miss-rate-warn sets another"],
        ),
    ],
)  # fmt: skip
def test_a_severity_that_a_flag_turns_off_is_said_at_the_start(
    arguments: list[str], words: list[str], tmp_path: Path
) -> None:
    surroundings = Surroundings(parsed("m.onnx", "--log-dir", str(tmp_path), *arguments))
    assert [line for line in surroundings.words() if line.startswith("alert ")] == words


def rules(folder: Path, *arguments: str) -> dict[str, tuple[float | None, float | None]]:
    """The thresholds that a gateway of these arguments watches."""
    surroundings = Surroundings(parsed("m.onnx", "--log-dir", str(folder), *arguments))
    alerts = surroundings.housekeeper._alerts
    assert alerts is not None
    return {name: (rule.warn, rule.crit) for name, rule in alerts.rules.items()}


def test_what_the_end_of_a_log_lost_is_in_the_last_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that stays full: events that waited are lost when the log is closed."""
    close = EventLog.close
    monkeypatch.setattr(EventLog, "close", lambda log: close(log, 0))
    surroundings = Surroundings(parsed("m.onnx", "--log-dir", str(tmp_path)))
    assert surroundings.events is not None
    with monkeypatch.context() as patched:
        full = Faulty(write=failing(errno.ENOSPC))
        patched.setattr("isthmus.events.livefile.os", full)
        with surroundings:
            for _ in range(5):
                surroundings.events.emit(new_event("accept_paused"))
            surroundings.housekeeper.close()
    counters = json.loads((tmp_path / "ipc_metrics.json").read_text())["isthmus"]["counters"]
    assert counters["events_dropped"] == surroundings.events.stats().dropped >= 5


def test_nothing_is_opened_before_it_is_needed(tmp_path: Path) -> None:
    for wish in (["--log-dir", str(tmp_path)], ["--http=127.0.0.1:0"],
                 ["--prometheus-textfile", str(tmp_path / "m.prom")]):  # fmt: skip
        Surroundings(parsed("m.onnx", *wish))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "urls"),
    [
        ([], ["unix:isthmus.sock"]),
        (["--host", "127.0.0.1"], ["tcp://127.0.0.1:45123"]),
        (["--port", "7"], ["tcp://127.0.0.1:7"]),
        (["--host", "::1", "--port", "7"], ["tcp://[::1]:7"]),
        (["--listen", "unix:a", "--port", "7"], ["unix:a", "tcp://127.0.0.1:7"]),
    ],
)
def test_where_it_listens(arguments: list[str], urls: list[str]) -> None:
    assert [address.url for address in wanted_addresses(parsed("m", *arguments))] == urls


def test_a_model_in_either_spelling() -> None:
    assert Models(parsed("a.onnx", "--policy", "b.onnx")).targets == ["a.onnx", "b.onnx"]
    with pytest.raises(Error, match="expected a MODEL to serve"):
        Models(parsed())


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    spec = tmp_path / "joints.json"
    for text, words in (("{", "not valid JSON"), ("[]", "expected an object")):
        spec.write_text(text)
        with pytest.raises(Error, match=f"^--joint-spec {spec}: {words}"):
            Models(parsed("m.onnx", "--joint-spec", str(spec)))
    spec.write_bytes(b"\xff")
    with pytest.raises(Error, match="^--joint-spec"):
        Models(parsed("m.onnx", "--joint-spec", str(spec)))
    with pytest.raises(Error, match="cannot be read"):
        Models(parsed("m.onnx", "--joint-spec", str(tmp_path / "none")))
    with pytest.raises(Error, match="--policy-dir: expected a folder"):
        Models(parsed("--policy-dir", str(spec)))
    with pytest.raises(Error, match="--prometheus-textfile: .* there is no folder"):
        Surroundings(parsed("m.onnx", "--prometheus-textfile", str(tmp_path / "no" / "m.prom")))
