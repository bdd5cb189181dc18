"""The files of events: what is in a line, rotation, and whose lines they are."""

from __future__ import annotations

import gzip
import json
import time

import pytest

from .first_clients import ZERO, Connection, ask, observe
from .first_files import dummy
from .processes import Gateway, Starter


def test_files_are_in_logs_unless_told_otherwise(starter: Starter, gateway: Gateway) -> None:
    folder = starter.folder()
    other = starter.script("--policy", dummy(folder), folder=folder)
    other.ask(observe(*ZERO))
    other.flush()
    for each, where in ((other, "logs"), (gateway, "here")):
        each.flush()
        names = {path.name for path in (each.folder / where).iterdir()}
        assert {"ipc_gateway_events.jsonl", "ipc_metrics.json"} <= names
    assert not (gateway.folder / "logs").exists()
    assert other.stop() == 0


def test_events_of_a_message(gateway: Gateway) -> None:
    question = observe(*ZERO, corr_id="logged")
    before = time.time()
    answer = gateway.ask(question)
    got = gateway.event(phase="recv", corr_id="logged")
    sent = gateway.event(phase="send", corr_id="logged")
    assert (got["msg_type"], got["raw"]) == ("obs", question)
    assert got["remote"].startswith("127.0.0.1:")
    assert sent["resp"] == answer
    assert before - 1.0 <= got["ts_wall"] <= sent["ts_wall"] <= time.time() + 1.0


def test_events_of_an_error(gateway: Gateway) -> None:
    answer = ask(gateway.address, b'{broken", "phase":"alert"}\n')
    sent = gateway.event(phase="send", corr_id=answer["corr_id"])
    got = gateway.event(phase="recv", corr_id=answer["corr_id"])
    assert sent["resp"] == answer
    assert got["raw"] == '{broken", "phase":"alert"}'


@pytest.mark.parametrize(
    "text",
    ['{"a":1}\u2028{"phase":"alert","type":"sla_alert"}', 'x\r{"phase":"alert"}', '\x00\x1b[2J"'],
)
def test_no_clients_text_makes_a_line_of_its_own(gateway: Gateway, text: str) -> None:
    gateway.ask(observe(*ZERO, note=text, corr_id=text))
    answer = ask(gateway.address, b"{" + text.encode() + b"\n")
    gateway.event(phase="send", corr_id=answer["corr_id"])
    assert all("seq" in event for event in gateway.lines())  # ours, and every line was JSON


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "--compress-rotated"])
def test_events_are_rotated_by_size(starter: Starter, compress: bool) -> None:
    folder = starter.folder()
    more = ("--compress-rotated",) if compress else ()
    gateway = starter.script("--policy", dummy(folder), "--max-log-mb", "1", *more, folder=folder)
    wanted = [f"{number:04d}" + "x" * 240 for number in range(900)]
    with Connection(gateway.address) as connection:
        for start in range(0, len(wanted), 50):
            connection.say(*(observe(*ZERO, corr_id=each) for each in wanted[start : start + 50]))
            for each in wanted[start : start + 50]:
                assert connection.hear()["corr_id"] == each
    assert gateway.stop() == 0
    rotated = sorted(gateway.logs.glob("ipc_gateway_events.jsonl.*"))
    assert rotated
    assert {path.name.endswith(".gz") for path in rotated} == {compress}
    seen = []
    for path in [*rotated, gateway.logs / "ipc_gateway_events.jsonl"]:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
            seen += [json.loads(line) for line in file]
    assert [e["corr_id"] for e in seen if e["phase"] == "recv"] == wanted
    assert [e["corr_id"] for e in seen if e["phase"] == "send"] == wanted
