"""The conversation anyone can type: no Hello, one object a line."""

from __future__ import annotations

from typing import Any

import pytest

from isthmus import Limits
from isthmus.gateway import Settings

from ..support.contracts import POSITION, pair
from ..support.gateways import Served, serving
from ..support.peers import RawPeer
from ..support.policies import Scripted, half, policy
from .good import Good


def obs(*q: float, **more: Any) -> dict[str, Any]:
    return {"type": "obs", "data": {"q": list(q)}, **more}


def test_an_observation_is_answered(served: Served, good: Good) -> None:
    with RawPeer(served.tcp) as peer:
        answer = peer.ask(obs(1.0, 3.0, corr_id="mine"))
        assert (answer["type"], answer["corr_id"]) == ("action", "mine")
        data = answer["data"]
        assert data["speed"] == [0.5, 1.5]
        assert data["deadline_miss"] is False
        assert data["action_version"] == 2
        assert data["policy_latency_ms"] >= data["profiling"]["infer_ms"] >= 0
        assert data["action_dim"] == 2
        ours = peer.ask(obs(1.0, 3.0))["corr_id"]
        assert ours
        assert peer.ask(obs(1.0, 3.0))["corr_id"] != ours
    good.asks()


def test_an_error_does_not_take_the_name_of_an_earlier_question(served: Served) -> None:
    with RawPeer(served.tcp) as peer:
        names = [peer.ask(obs(1, 1))["corr_id"]]
        for line in (b"{nonsense}", b'{"type":"dance"}', b"{nonsense}"):
            peer.send(line + b"\n")
            names.append(peer.hear()["corr_id"])
        names.append(peer.ask(obs(1, 1))["corr_id"])
        assert len(set(names)) == 5


def test_a_line_that_is_too_long_for_the_contract(served: Served, good: Good) -> None:
    long = {"type": "ping", "padding": "x" * 100_000}
    with RawPeer(served.tcp) as peer:
        assert peer.ask(obs(1, 1))["type"] == "action"
        assert peer.ask(long)["error"] == "too_large"
        assert peer.closed()
    with RawPeer(served.tcp) as peer:  # the memory that a long first line has made is no way out
        assert peer.ask(long)["type"] == "ack"
        assert peer.ask(long)["error"] == "too_large"
    good.asks()


def test_an_old_shape_of_observation(served: Served) -> None:
    with RawPeer(served.tcp) as peer:
        nested = {"type": "obs", "data": {"observation": {"q": [1, 2]}}, "obs_version": 1}
        assert peer.ask(nested)["data"]["speed"] == [0.5, 1.0]
        hashed = {"type": "obs", "data": {"q": [1, 2], "hash_rand": "a", "expected_rand_hash": "b"}}
        data = peer.ask(hashed)["data"]
        assert (data["rand_hash"], data["rand_hash_mismatch"]) == ("a", True)


BAD_LINES: dict[str, tuple[bytes, str]] = {
    "no json": (b"{nonsense}", "bad_json"),
    "a list in front": (b"{} []", "bad_json"),
    "NaN": (b'{"type":"obs","data":{"q":[NaN,1]}}', "bad_json"),
    "too large a number": (b'{"type":"obs","data":{"q":[1e999,1]}}', "bad_json"),
    "too large for the dtype": (b'{"type":"obs","data":{"q":[1e39,1]}}', "schema_violation"),
    "a key twice": (b'{"type":"ping","type":"ping"}', "bad_json"),
    "no UTF-8": (b'{"type":"\xff"}', "bad_json"),
    "20 000 deep": (b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}", "bad_json"),
    "no type": (b'{"data":{"q":[1,2]}}', "schema_violation"),
    "a type that is no word": (b'{"type":7}', "schema_violation"),
    "an unknown type": (b'{"type":"dance"}', "unknown_type"),
    "q is empty": (b'{"type":"obs","data":{"q":[]}}', "schema_violation"),
    "q is missing": (b'{"type":"obs","data":{}}', "schema_violation"),
    "q is text": (b'{"type":"obs","data":{"q":"12"}}', "schema_violation"),
    "q holds null": (b'{"type":"obs","data":{"q":[null,1]}}', "schema_violation"),
    "q holds booleans": (b'{"type":"obs","data":{"q":[true,false]}}', "schema_violation"),
    "q is ragged": (b'{"type":"obs","data":{"q":[[1],2]}}', "schema_violation"),
    "data is a list": (b'{"type":"obs","data":[1,2]}', "schema_violation"),
    "another version": (b'{"type":"obs","obs_version":9,"data":{"q":[1,2]}}', "schema_violation"),
    "a reset that is none": (b'{"type":"obs","reset":7,"data":{"q":[1,2]}}', "schema_violation"),
    "a mask that does not fit": (
        b'{"type":"obs","reset":{"mask":[true,false]},"data":{"q":[1,2]}}',
        "schema_violation",
    ),
    "an unknown operation": (b'{"type":"admin","op":"explode"}', "bad_admin_op"),
    "the policy raises": (b'{"type":"obs","data":{"q":[101,2]}}', "inference_failed"),
    "the policy answers NaN": (b'{"type":"obs","data":{"q":[102,2]}}', "not_finite"),
    "the policy answers a wrong shape": (
        b'{"type":"obs","data":{"q":[104,2]}}',
        "inference_failed",
    ),
}  # fmt: skip


@pytest.mark.parametrize("first", [True, False], ids=["first line", "later"])
@pytest.mark.parametrize("name", BAD_LINES)
def test_a_bad_line_is_answered_and_the_next_one_works(
    served: Served, good: Good, name: str, first: bool
) -> None:
    line, code = BAD_LINES[name]
    with RawPeer(served.tcp) as peer:
        if not first:
            assert peer.ask(obs(1.0, 1.0))["type"] == "action"
        peer.send(line + b"\n")
        answer = peer.hear()
        assert (answer["type"], answer["error"]) == ("error", code)
        assert answer["detail"]
        assert answer["corr_id"]
        assert peer.ask(obs(2.0, 2.0))["data"]["speed"] == [1.0, 1.0]
    good.asks()
    assert served.engine.counters.by_code == {code: 1}


@pytest.mark.parametrize("code,line", [
    ("unknown_type", {"type": "dance"}),
    ("schema_violation", {"type": "obs", "data": {}}),
    ("inference_failed", {"type": "obs", "data": {"q": [101, 1]}}),
    ("bad_admin_op", {"type": "admin", "op": "x"}),
])  # fmt: skip
def test_an_error_carries_the_clients_corr_id(
    served: Served, code: str, line: dict[str, Any]
) -> None:
    with RawPeer(served.tcp) as peer:
        answer = peer.ask({**line, "corr_id": "mine"})
        assert (answer["error"], answer["corr_id"]) == (code, "mine")


def test_which_policy_is_not_guessed() -> None:
    two = [policy(half, pair(), name) for name in ("a", "b")]
    with serving(*two) as served, RawPeer(served.tcp) as peer:
        answer = peer.ask(obs(1.0, 1.0, corr_id="mine"))
        assert (answer["error"], answer["corr_id"]) == ("policy_unavailable", "mine")
        assert "a, b" in answer["detail"]
        assert peer.ask({"type": "ping"})["type"] == "ack"
        assert peer.ask({"type": "admin", "op": "get_counters"})["data"]["sessions"] == 1


def test_ping_and_counters(served: Served) -> None:
    with RawPeer(served.tcp) as peer:
        pong = peer.ask({"type": "ping", "corr_id": "p"})
        assert (pong["type"], pong["corr_id"]) == ("ack", "p")
        assert pong["ts"] > 1.6e9
        peer.ask(obs(1.0, 1.0))
        counters = peer.ask({"type": "admin", "op": "get_counters"})
        assert counters["data"]["answered"] == 1


def test_pipelined_lines_are_answered_in_order(served: Served, good: Good) -> None:
    with RawPeer(served.tcp) as peer:
        lines = [obs(float(n), 0.0, corr_id=str(n)) for n in range(50)]
        lines[20] = {"type": "dance", "corr_id": "20"}
        peer.say(*lines)
        answers = [peer.hear() for _ in lines]
        assert [answer["corr_id"] for answer in answers] == [str(n) for n in range(50)]
        assert answers[20]["error"] == "unknown_type"
        assert answers[49]["data"]["speed"] == [24.5, 0.0]
    good.asks()


@pytest.mark.parametrize("executor", ["inline", "thread"])
def test_one_connection_per_message(executor: str) -> None:
    settings = Settings(executor=executor)
    with serving(policy(half, pair()), settings=settings) as served, served.connect() as link:
        for number in range(1100):  # more than the gateway remembers sessions
            if number > 20:
                with RawPeer(served.unix) as peer:
                    assert peer.ask({"type": "ping"})["type"] == "ack"
                continue
            with RawPeer(served.tcp) as peer:
                peer.say(obs(1.0, 1.0))
                peer.socket.shutdown(1)  # as `nc -N` does: it waits for its answer all the same
                assert peer.hear()["type"] == "action"
                assert peer.closed()
        assert link.act(q=[1, 1]).status == "policy"


def test_limits_are_applied_by_the_gateway() -> None:
    contract = pair(limit=Limits(low=(-0.25, -0.25), high=(0.25, 9.0)))
    with serving(policy(half, contract)) as served, RawPeer(served.tcp) as peer:
        data = peer.ask(obs(0.75, 4.0))["data"]
        assert data["speed"] == [0.25, 2.0]
        assert (data["joint_limit_clipped"], data["clipped_joint_indices"]) == (True, [0])
        free = peer.ask(obs(0.25, 0.25))["data"]
        assert free["speed"] == [0.125, 0.125]
        assert "joint_limit_clipped" not in free


def test_a_miss_is_answered_with_the_fallback() -> None:
    scripted = Scripted()
    contract = pair(POSITION)
    settings = Settings(executor="thread", deadline_ns=20_000_000)
    with serving(policy(scripted, contract), settings=settings) as served:
        with RawPeer(served.tcp) as peer:
            first = peer.ask(obs(1.0, 2.0, budget_ns=20_000_000_000))
            assert first["data"]["speed"] == [0.5, 1.0]
            missed = peer.ask(obs(107.0, 2.0, corr_id="m"))
            assert missed["corr_id"] == "m"
            assert missed["data"]["deadline_miss"] is True
            assert missed["data"]["speed"] == [0.5, 1.0]
            scripted.release.set()
            again = peer.ask(obs(1.0, 2.0, budget_ns=20_000_000_000))
            assert again["data"]["deadline_miss"] is False


def test_a_budget_of_584_years_is_no_harm() -> None:
    settings = Settings(executor="thread")
    with serving(policy(half, pair()), settings=settings) as served, RawPeer(served.tcp) as peer:
        for _ in range(3):
            assert peer.ask(obs(1.0, 1.0, budget_ns=2**64 - 1))["type"] == "action"
