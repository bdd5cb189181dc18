"""What is asked, and with what it is answered."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from .first_clients import ZERO, observe
from .first_files import dummy
from .first_words import COUNTERS
from .processes import Gateway


def test_ping(gateway: Gateway) -> None:
    before = time.time()
    answer = gateway.ask({"type": "ping", "corr_id": "p-1"})
    assert (answer["type"], answer["corr_id"]) == ("ack", "p-1")
    assert before - 0.001 <= answer["ts"] <= time.time() + 0.001


@pytest.mark.parametrize("place", ["path", "policy", "data.path"])
def test_load_policy_reads_the_path_in_each_place(empty: Gateway, place: str) -> None:
    path = dummy(empty.folder, 3, f"of_{place}.json")
    key, _, inner = place.partition(".")
    answer = empty.ask({"type": "load_policy", key: {inner: path} if inner else path})
    assert (answer["type"], answer["path"]) == ("load_policy_ack", path)
    assert answer["policy_kind"] == "dummy_zero"
    assert answer["corr_id"]
    action = empty.ask(observe(0.0, 0.0, 0.0))
    assert action["data"]["delta"] == [0.0, 0.0, 0.0]
    assert action["data"]["policy_kind"] == "dummy_zero"


@pytest.mark.parametrize("inner", [False, True], ids=["data", "data.observation"])
def test_obs_with_its_fields_in_either_place(gateway: Gateway, inner: bool) -> None:
    fields = {
        "q": [0.1] * 6, "dq": [0.0] * 6, "sim_time": 1.5, "rand_hash": "ab",
        "expected_rand_hash": "ab",
    }  # fmt: skip
    data = {"observation": fields} if inner else fields
    answer = gateway.ask({"type": "obs", "data": data, "corr_id": "o-1"})
    assert (answer["type"], answer["corr_id"]) == ("action", "o-1")
    assert answer["data"]["rand_hash"] == "ab"


def test_obs_with_nothing_but_positions(gateway: Gateway) -> None:
    answer = gateway.ask({"type": "obs", "data": {"q": [0.0] * 6}})
    assert answer["data"]["delta"] == [0.0] * 6


def test_admin_flush_metrics(gateway: Gateway) -> None:
    before = time.time()
    answer = gateway.ask({"type": "admin", "op": "flush_metrics", "corr_id": "a-1"})
    assert (answer["type"], answer["op"]) == ("admin_ack", "flush_metrics")
    assert answer["corr_id"] == "a-1"
    assert before - 0.001 <= answer["updated_ts"] <= time.time() + 0.001
    assert gateway.metrics()["updated_ts"] >= before - 0.001


def test_admin_get_counters(gateway: Gateway) -> None:
    answer = gateway.ask({"type": "admin", "op": "get_counters"})
    assert answer["type"] == "counters"
    assert set(COUNTERS) <= set(answer["data"])


Check = Callable[[Any], bool]


ANSWERED: dict[str, Check] = {
    "action_version": lambda value: value == 2,
    "delta": lambda value: value == [0.0] * 6,
    "ts_policy": lambda value: (
        abs(time.time() - value) < 3600
    ),  # wall-clock seconds, not another clock's
    "policy_latency_ms": lambda value: value > 0.0,
    "profiling": lambda value: set(value) >= {"preprocess_ms", "infer_ms"},
    "policy_kind": lambda value: value == "dummy_zero",
    "action_dim": lambda value: value == 6,
    "deadline_miss": lambda value: value is False,
    "action_scale_hint": lambda value: value == 0.25,
}


@pytest.mark.parametrize("field", ANSWERED)
def test_an_action_has(gateway: Gateway, field: str) -> None:
    data = gateway.ask(observe(*ZERO))["data"]
    assert ANSWERED[field](data[field]), data[field]


def test_an_action_says_nothing_of_what_did_not_happen(empty: Gateway) -> None:
    empty.ask({"type": "load_policy", "path": dummy(empty.folder, 2)})
    data = empty.ask(observe(0.0, 0.0))["data"]
    sometimes = {
        "rand_hash", "rand_hash_mismatch", "expected_rand_hash", "joint_limit_clipped",
        "clipped_joint_indices", "action_scale_hint",
    }  # fmt: skip
    assert not sometimes & set(data)


def test_profiling_is_part_of_the_latency(gateway: Gateway) -> None:
    data = gateway.ask(observe(*ZERO))["data"]
    parts = data["profiling"]
    assert 0.0 <= parts["preprocess_ms"] + parts["infer_ms"] <= data["policy_latency_ms"] + 0.001


def test_hash_rand_is_another_name_of_rand_hash(gateway: Gateway) -> None:
    data = gateway.ask(observe(*ZERO, hash_rand="cd", expected_rand_hash="ce"))["data"]
    assert (data["rand_hash"], data["rand_hash_mismatch"]) == ("cd", True)
    assert data["expected_rand_hash"] == "ce"


@pytest.mark.parametrize("version", [{}, {"obs_version": 1}], ids=["missing", "1"])
def test_a_missing_obs_version_means_1(gateway: Gateway, version: dict[str, int]) -> None:
    assert gateway.ask(observe(*ZERO, **version))["type"] == "action"


def test_no_other_obs_version_is_taken(gateway: Gateway) -> None:
    answer = gateway.ask(observe(*ZERO, obs_version=99))
    assert (answer["error"], "99" in answer["detail"]) == ("schema_violation", True)


@pytest.mark.parametrize(
    "message",
    [{"type": "ping"}, observe(*ZERO), {"type": "admin", "op": "get_counters"}, {"type": "dance"}],
    ids=lambda message: message["type"],
)
def test_an_answer_has_its_clients_corr_id_or_else_one_of_ours(
    gateway: Gateway, message: dict[str, Any]
) -> None:
    assert gateway.ask({**message, "corr_id": "mine"})["corr_id"] == "mine"
    ours = [gateway.ask(message)["corr_id"] for _ in range(3)]
    assert all(ours) and len(set(ours)) == 3
