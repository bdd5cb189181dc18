"""docs/OBSERVABILITY.md against a gateway that runs: its fields, its events and its example."""

from __future__ import annotations

import importlib
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from isthmus.events.kinds import complaints
from isthmus.gateway.metrics_file import FIELDS

from .acceptance.first_clients import Connection, observe
from .acceptance.processes import Gateway, Starter, run_isthmus, starter

__all__ = ["starter"]  # fixture

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "OBSERVABILITY.md"
ARM: dict[str, Any] = {
    "control_dt_ns": 40_000_000,
    "observation": [{"name": "q", "shape": [2], "dtype": "float32", "unit": "rad"}],
    "action": [
        {
            "name": "delta", "shape": [2], "dtype": "float32", "unit": "rad", "semantics": "delta",
            "measured_position": "q", "fallback": "zero",
        }
    ],
}  # fmt: skip
SLOW = """\
import time


def once():
    def policy(observation):
        if observation["q"][0, 0] == 8.0:
            time.sleep(0.05)
        return {"delta": 0.0 * observation["q"]}

    return policy
"""


@pytest.fixture(scope="module")
def served(starter: Starter) -> Gateway:
    """A gateway whose policy was slow for one step, and which was asked for most things."""
    told = _example()
    folder = starter.folder()
    (folder / "slow.py").write_text(SLOW, encoding="utf-8")
    (folder / "arm.json").write_text(json.dumps(ARM), encoding="utf-8")
    gateway = starter.serve(
        "slow:once", "--contract", "arm.json", "--executor", "thread", "--deadline-ms", "20",
        "--record-payloads", "all", "--metrics-interval", "3600", "--policy-dir", ".",
        folder=folder,
    )  # fmt: skip
    patient = {"budget_ns": 60 * 10**9}  # where a miss is not what is shown
    with Connection(gateway.address) as connection:
        for number in range(3):
            connection.ask(observe(0.0, 0.1, corr_id=f"cell3-{number}", **patient))
        connection.ask(observe(8.0, 0.1, corr_id=told.CORR_ID))
        gateway.event(type="late_inference", corr_id=told.CORR_ID)
        connection.ask(observe(0.0, 0.1, rand_hash="r1-a", expected_rand_hash="r1-b", **patient))
        connection.ask(observe())
        connection.ask({"type": "load_policy", "path": "none.onnx"})
        connection.ask({"type": "dance"})
        gateway.flush()
    for each in ("rand_hash_mismatch", "error_answer", "policy_load_failed", "session_closed"):
        gateway.event(type=each)
    return gateway


def _example() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "scripts"))
        return importlib.import_module("observability_example")


def test_every_event_is_one_of_the_page(served: Gateway) -> None:
    found = served.lines()
    assert [(event, complaints(event)) for event in found if complaints(event)] == []
    kinds = {event["type"] for event in found}
    assert kinds >= {"received", "sent", "deadline_miss", "late_inference", "error_answer"}


def test_every_field_of_the_metrics_file_is_one_of_the_page(served: Gateway) -> None:
    patterns = {
        name: re.compile(re.sub(r"[A-Z]{2,}", r"[\\w.]+", re.sub(r"([.\[\]])", r"\\\1", name)))
        for name in FIELDS
    }
    used = set()
    for field in _fields(served.metrics()):
        fitting = [name for name, pattern in patterns.items() if pattern.fullmatch(field)]
        assert fitting, f"{field} is not in metrics_file.FIELDS"
        used.add(fitting[0])
    without_links = {"isthmus.levels_s.LEVEL"}
    assert set(FIELDS) - used <= without_links


def _fields(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _fields(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for inner in value:
            yield from _fields(inner, f"{path}[]")
    else:
        yield path


def test_the_example_is_what_its_commands_print(served: Gateway) -> None:
    told = _example()
    assert told.example() in PAGE.read_text(encoding="utf-8")
    for _, command, said in told.EXAMPLE:
        done = run_isthmus(*shlex.split(command)[1:], cwd=served.folder)
        assert done.returncode == 0, done.stderr
        assert _without_times(done.stdout) == _without_times(said)


def _without_times(text: str) -> list[str]:
    """The lines, without what is new in each run: times, ports, names of sessions."""
    text = re.sub(r"json-[0-9a-f]{8}", "json-NAME", text)
    text = re.sub(r"(raw|resp)=\S.*", r"\1=...", text)
    return [re.sub(r"\d+", "0", line) for line in text.splitlines()]
