"""The conversation anyone can type: no Hello, one object a line."""

from __future__ import annotations

from dataclasses import replace
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from isthmus import Limits
from isthmus.gateway import Settings
from isthmus.gateway.answers import Answers
from isthmus.gateway.counters import Counters
from isthmus.gateway.housekeeping import Housekeeper
from isthmus.gateway.ledger import Ledger
from isthmus.policy.constant import ConstantPolicy
from isthmus.protocol.messages import Observation
from isthmus.telemetry import Snapshot

from ..support.contracts import DELTA, POSITION, pair
from ..support.gateways import Served, serving
from ..support.peers import RawPeer
from ..support.policies import Arrays, Scripted, half, policy
from ..support.waiting import until
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


@pytest.mark.parametrize(
    ("deadline_ms", "answered_by_ms"), [(40.0, 38.0), (20.0, 18.0), (5.0, 4.5), (0.5, 0.45)]
)
def test_a_fallback_is_sent_before_the_deadline_and_not_at_it(
    deadline_ms: float, answered_by_ms: float
) -> None:
    answers = Answers(int(deadline_ms * 1e6), Counters())
    plain: Any = SimpleNamespace(hello=None, policy=policy(half, pair()))
    question = Observation({})
    assert answers.expiry(plain, question, 1000) == 1000 + round(answered_by_ms * 1e6)
    asked = question._replace(budget_ns=20_000_000)  # its own budget goes first
    assert answers.expiry(plain, asked, 0) == 18_000_000


def test_a_slow_policy_misses_every_deadline_and_says_how_slow_it_is() -> None:
    def infer(observation: Arrays) -> Arrays:
        Event().wait(0.03)
        return half(observation)

    events: list[dict[str, Any]] = []
    ledger = Ledger(SimpleNamespace(emit=lambda event: events.append(dict(event))))
    settings = Settings(executor="thread", deadline_ns=10_000_000)
    with serving(policy(infer, pair()), settings=settings, ledger=ledger) as served:
        with RawPeer(served.tcp) as peer:
            answers = [peer.ask(obs(1.0, 2.0, corr_id=f"n{number}")) for number in range(8)]
        until(lambda: any(event.get("type") == "late_inference" for event in events))
    assert all(answer["data"]["deadline_miss"] for answer in answers)
    assert [answer["data"]["speed"] for answer in answers] == [[0, 0]] * 8
    missed = [event["corr_id"] for event in events if event.get("type") == "deadline_miss"]
    assert missed == [f"n{number}" for number in range(8)]
    assert {answer["data"]["cause"] for answer in answers} <= {"deadline", "stopped"}
    found = ledger.snapshot()
    assert found.outcomes["miss"] == 8 and found.outcomes["fallback"] == 0
    assert found.stages["policy"].min >= 30_000_000  # far above the deadline
    late = next(event for event in events if event.get("type") == "late_inference")
    assert late["corr_id"] == "n0" and late["infer_ms"] >= 30


def test_a_fast_policy_misses_none(served: Served) -> None:
    with RawPeer(served.tcp) as peer:
        for number in range(200):
            answer = peer.ask(obs(float(number % 50), 1.0, budget_ns=20_000_000_000))
            assert answer["data"]["deadline_miss"] is False
    assert served.engine.counters.deadline_miss == served.engine.counters.late == 0


def test_what_was_in_time_and_not_let_through_is_no_miss() -> None:
    contract = pair(limit=Limits(low=(-1, -1), high=(1, 1)))
    with serving(policy(half, contract)) as served, RawPeer(served.tcp) as peer:
        data = peer.ask(obs(100.0, 0.0))["data"]
        assert data["speed"] == [0, 0]
        assert data["deadline_miss"] is False
        assert data["joint_limit_clipped"] is True
        assert data["cause"] == "out_of_range"
    assert served.engine.counters.deadline_miss == 0


def test_an_action_replaced_for_want_of_a_pose_says_so_everywhere() -> None:
    delta = replace(DELTA, reference="measured", fallback="zero")
    contract = pair(delta, limit=Limits(low=(-1, -1), high=(1, 1)))
    events: list[dict[str, Any]] = []
    ledger = Ledger(SimpleNamespace(emit=lambda event: events.append(dict(event))))
    settings = Settings(joints=2)
    still = ConstantPolicy(contract, 0.01)
    with serving(still, settings=settings, ledger=ledger) as served, RawPeer(served.tcp) as peer:
        for _ in range(5):
            data = peer.ask(obs(9.0, 9.0))["data"]
            assert (data["cause"], data["deadline_miss"]) == ("no_pose", False)
        until(lambda: ledger.snapshot().counters["actions_replaced"] == 5)
        assert "cause" not in peer.ask(obs(0.0, 0.0))["data"]
    told = [event for event in events if event.get("type") == "action_replaced"]
    assert [(each["cause"], each["consecutive"]) for each in told] == [
        ("no_pose", 1), ("no_pose", 2), ("no_pose", 4),
    ]  # fmt: skip
    assert all(each["corr_id"] and each["severity"] == 1 for each in told)


def test_only_the_policys_own_actions_are_counted_as_answered() -> None:
    contract = pair(limit=Limits(low=(-1, -1), high=(1, 1)))
    with serving(policy(half, contract)) as served, RawPeer(served.tcp) as peer:
        for q in (0.5, 100.0, 100.0, 0.5):  # half of 100 is far outside: the fallback is sent
            peer.ask(obs(q, 0.0))
        until(lambda: sum(served.engine.ledger.snapshot().outcomes.values()) == 4)
        found = served.engine.ledger.snapshot()
    assert found.outcomes["fallback"] == 2
    assert found.counters["answered"] == found.outcomes["policy"] == 2


def test_the_times_and_facts_of_an_answer(served: Served) -> None:
    with RawPeer(served.tcp) as peer:
        data = peer.ask(obs(1.0, 2.0))["data"]
    assert data["policy_kind"] == "callable"
    assert data["ts_policy"] > 1.6e9
    assert set(data["profiling"]) == {"preprocess_ms", "infer_ms"}
    assert data["policy_latency_ms"] >= sum(data["profiling"].values()) - 1e-3
    absent = (
        "rand_hash", "rand_hash_mismatch", "expected_rand_hash", "joint_limit_clipped",
        "clipped_joint_indices", "action_scale_hint", "cause",
    )  # fmt: skip
    assert not set(absent) & set(data)


@pytest.mark.parametrize(
    ("hashes", "mismatch"),
    [
        ({"rand_hash": "a"}, False),
        ({"rand_hash": "a", "expected_rand_hash": "a"}, False),
        ({"hash_rand": "a", "expected_rand_hash": "b"}, True),
        ({"expected_rand_hash": "b"}, True),
    ],
)
@pytest.mark.parametrize("place", ["data", "observation", "between"])
def test_hashes_in_every_place(
    served: Served, hashes: dict[str, str], mismatch: bool, place: str
) -> None:
    data: dict[str, Any] = {
        "data": {"q": [1, 2], **hashes},
        "observation": {"observation": {"q": [1, 2], **hashes}},
        "between": {"observation": {"q": [1, 2]}, **hashes},
    }[place]
    with RawPeer(served.tcp) as peer:
        answer = peer.ask({"type": "obs", "data": data})["data"]
    assert answer.get("rand_hash_mismatch", False) is mismatch
    given = hashes.get("rand_hash", hashes.get("hash_rand"))
    assert answer.get("rand_hash") == given


def test_every_line_has_a_name_of_its_own(served: Served) -> None:
    lines = (
        b'{"type":"ping"}', b'{"type":"obs","data":{"q":[1,2]}}', b"{nonsense}",
        b'{"type":"dance"}', b'{"type":"load_policy","path":"x"}', b'{"type":"obs","data":{}}',
        b'{"type":"admin","op":"x"}', b'{"type":"admin","op":"get_counters"}',
        b'{"type":"ping","corr_id":7}', b'{"type":"load_policy"}',
    )  # fmt: skip
    with RawPeer(served.tcp) as peer:
        peer.send(b"\n".join(lines) + b"\n")
        names = [peer.hear()["corr_id"] for _ in lines]
    assert names == [f"{names[0].rpartition('-')[0]}-{number + 1}" for number in range(len(lines))]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"type": "obs", "data": {"q": []}}, "'q': expected a list of 2 numbers (a, b), got an em"),
        ({"type": "obs", "data": {"q": [1, 2, 3]}}, "got 3; nothing is padded or cut"),
        ({"type": "obs", "data": {"q": [[1], 2]}}, "'q': expected float32 numbers, got '[1]'"),
        ({"type": "obs", "data": {}}, "'q' is missing"),
        ({"type": "obs", "data": {"observation": 3}}, "'data.observation' must be an object"),
        ({"type": "obs", "obs_version": 9, "data": {"q": [1, 2]}}, "expected obs_version 1, got 9"),
        ({"type": "obs", "data": {"q": [1, 2], "sim_time": "now"}}, "'sim_time' must be a number"),
        ({"type": "load_policy", "file": "x"}, "needs 'path'"),
        ({"type": "load_policy", "path": 7}, "'path' must be text"),
        ({"q": [1, 2]}, "got keys 'q'"),
    ],
)
def test_a_detail_says_what_was_expected_and_what_came(
    served: Served, line: dict[str, Any], words: str
) -> None:
    with RawPeer(served.tcp) as peer:
        answer = peer.ask(line)
        assert answer["error"] == "schema_violation"
        assert words in answer["detail"]


def test_flush_metrics_without_reports_says_so(served: Served) -> None:
    with RawPeer(served.tcp) as peer:
        answer = peer.ask({"type": "admin", "op": "flush_metrics", "corr_id": "f"})
    assert (answer["type"], answer["op"], answer["corr_id"]) == ("admin_ack", "flush_metrics", "f")
    assert answer["data"]["flushed"] is False
    assert "--log-dir" in answer["data"]["detail"]


def test_flush_metrics_answers_once_the_reports_are_there() -> None:
    reported: list[Snapshot] = []
    ledger = Ledger()
    keeper = Housekeeper(ledger, 3600.0, sinks=[reported.append])
    with serving(policy(half, pair()), ledger=ledger, housekeeper=keeper) as served:
        with RawPeer(served.tcp) as peer:
            peer.ask(obs(1.0, 2.0))
            answer = peer.ask({"type": "admin", "op": "flush_metrics"})
    [snapshot] = reported
    assert snapshot.outcomes["policy"] == 1
    assert answer["updated_ts"] == pytest.approx(snapshot.wall_ns / 1e9)
    assert "data" not in answer
