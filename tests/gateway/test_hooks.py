"""What a running gateway says of itself, and that clients notice nothing of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from isthmus.events.kinds import complaints
from isthmus.gateway import Settings
from isthmus.gateway.housekeeping import Housekeeper
from isthmus.gateway.ledger import Ledger
from isthmus.gateway.payloads import Payloads
from isthmus.protocol.messages import Action, Observation, Outcome, Telemetry
from isthmus.telemetry import GATEWAY_STAGES, LogHistogram
from isthmus.telemetry.linkreport import LinkReport

from ..support.contracts import DELTA, pair
from ..support.gateways import Served, serving
from ..support.peers import BinaryPeer, RawPeer
from ..support.policies import Scripted, half, policy
from ..support.waiting import until
from .ledgers import Broken, Events, Lines

PATIENCE_NS = 20_000_000_000
"""For those that are not about deadlines, however busy the machine."""
PATIENT = Settings(deadline_ns=PATIENCE_NS)
THREAD = Settings(executor="thread", deadline_ns=PATIENCE_NS)
BUDGET_NS = 20_000_000
HANGS = 107.0


def obs(*q: float, **more: Any) -> dict[str, Any]:
    """A question of a json client."""
    data = {"q": list(q), **{name: more.pop(name) for name in list(more) if "hash" in name}}
    return {"type": "obs", "data": data, **more}


class Watched:
    """A gateway and what it says."""

    def __init__(self, served: Served, events: Events, ledger: Ledger) -> None:
        self.served = served
        self.events = events
        self.ledger = ledger

    def wait_for(self, type_: str, count: int = 1) -> list[dict[str, Any]]:
        """Events of a type, once there are so many; they are emitted after the answer has left."""

        def found() -> bool:
            self.ledger.fold()
            return len([e for e in self.events.all if e["type"] == type_]) >= count

        until(found, f"{count} events {type_}")
        return self.events.of(type_)


def watching(*policies: Any, settings: Settings | None = None, **options: Any) -> Any:
    """Serve with a ledger that these options make."""
    events = Events()
    ledger = Ledger(events, **options)
    return serving(*policies, settings=settings or PATIENT, ledger=ledger), events, ledger


@pytest.fixture
def watched() -> Iterator[Watched]:
    serve, events, ledger = watching(policy(half, pair()))
    with serve as served:
        yield Watched(served, events, ledger)


def test_what_is_served_is_known_before_anybody_asks(watched: Watched) -> None:
    (state,) = watched.ledger.snapshot().policies
    assert (state.name, state.kind, state.executor) == ("policy", "callable", "inline")


@pytest.mark.parametrize("way", ["unix", "tcp"])
def test_every_stage_is_measured_and_they_add_up(watched: Watched, way: str) -> None:
    steps = 20
    with watched.served.connect(url=getattr(watched.served, way)) as link:
        for _ in range(steps):
            link.act(q=np.ones(2, np.float32))
        until(lambda: watched.ledger.snapshot().stages["total"].count == steps)
        found = watched.ledger.snapshot()
        (session,) = found.sessions
        assert (session.transport, session.codec) == ("shm", "binary")
    assert {found.stages[stage].count for stage in GATEWAY_STAGES} == {steps}
    parts = sum(found.stages[stage].total for stage in GATEWAY_STAGES[:-2])
    assert parts == found.stages["total"].total
    assert found.outcomes == {"policy": steps, "miss": 0, "fallback": 0, "error": 0}
    until(lambda: watched.served.engine.busy_since_ns == 0)
    until(lambda: not watched.served.engine.sessions)
    (opened,), (closed,) = watched.wait_for("session_opened"), watched.wait_for("session_closed")
    assert opened["policy"] == "policy"
    assert (closed["steps"], closed["misses"]) == (steps, 0)


def test_a_late_inference_tells_its_true_time_whenever_it_ends() -> None:
    scripted = Scripted()
    serve, events, ledger = watching(policy(scripted, pair()), settings=THREAD)
    with serve as served, BinaryPeer(served.unix) as peer:
        found = Watched(served, events, ledger)
        peer.greet(pair())
        missed = peer.step(1, HANGS, HANGS, budget_ns=BUDGET_NS, corr_id="slow")
        assert isinstance(missed, Action) and missed.outcome == Outcome.MISS
        (event,) = found.wait_for("deadline_miss")
        assert (event["corr_id"], event["budget_ms"], event["consecutive"]) == ("slow", 20.0, 1)
        assert event["elapsed_ms"] >= 20.0 and "infer_ms" not in event
        scripted.release.set()
        (late,) = found.wait_for("late_inference")
        assert late["corr_id"] == "slow"
        assert late["infer_ms"] >= late["late_ms"] > 0
        snapshot = until(lambda: (s := ledger.snapshot()).counters["late"] and s)
        assert snapshot.stages["infer"].max == round(late["infer_ms"] * 1e6)


def test_an_answer_in_time_is_never_said_to_have_missed(watched: Watched) -> None:
    with RawPeer(watched.served.tcp) as peer:
        for _ in range(10):
            assert peer.ask(obs(1.0, 2.0))["data"]["deadline_miss"] is False
    until(lambda: watched.ledger.snapshot().counters["answered"] == 10)
    assert watched.events.of("deadline_miss") == []


def test_errors_and_refusals_are_told_with_what_joins_them() -> None:
    settings = Settings(max_sessions=1, deadline_ns=PATIENCE_NS)
    serve, events, ledger = watching(policy(Scripted(), pair()), settings=settings)
    with serve as served, RawPeer(served.tcp) as peer:
        found = Watched(served, events, ledger)
        assert peer.ask(obs(101.0, 0.0, corr_id="cursed"))["error"] == "inference_failed"
        peer.send(b"{broken\n")
        assert peer.hear()["error"] == "bad_json"
        failed, broken = found.wait_for("error_answer", 2)
        assert (failed["corr_id"], failed["code"]) == ("cursed", "inference_failed")
        assert "cursed" in failed["detail"] and broken["code"] == "bad_json"
        with RawPeer(served.tcp) as second:
            assert second.ask(obs(1.0, 1.0))["error"] == "too_many_sessions"
        (refused,) = found.wait_for("refused")
        assert refused["code"] == "too_many_sessions"
        snapshot = until(lambda: (s := ledger.snapshot()).counters["refused"] and s)
        assert snapshot.outcomes["error"] == 1  # of steps; the other two were none
        assert snapshot.error_codes == {
            "inference_failed": 1, "bad_json": 1, "too_many_sessions": 1,
        }  # fmt: skip


def test_a_mismatch_of_a_client_is_flagged_counted_and_written_down() -> None:
    lines = Lines()
    serve, events, ledger = watching(policy(half, pair()), hash_log=lines)
    with serve as served, RawPeer(served.tcp) as peer:
        found = Watched(served, events, ledger)
        for expected in ("same", "other"):
            hashes = {"rand_hash": "same", "expected_rand_hash": expected}
            answer = peer.ask(obs(1.0, 1.0, corr_id=f"is {expected}", **hashes))
            assert bool(answer["data"].get("rand_hash_mismatch")) == (expected == "other")
        found.wait_for("rand_hash_mismatch")
        assert [(e["corr_id"], e["expected"], e["actual"]) for e in lines.all] == [
            ("is other", "other", "same")
        ]


def test_values_that_travelled_with_a_reset_say_what_differs() -> None:
    lines = Lines()
    serve, events, ledger = watching(policy(half, pair()), hash_log=lines)
    with serve as served, served.connect() as link:
        link.reset(randomization={"mass": 1.5}, expected_randomization={"mass": 2.0})
        link.act(q=np.ones(2, np.float32))
        (event,) = Watched(served, events, ledger).wait_for("rand_hash_mismatch")
        assert (event["first_difference"], event["expected_value"]) == ("mass", 2.0)
        assert lines.all[0]["key"] == "mass"


def test_what_a_link_feels_is_added_up(watched: Watched) -> None:
    felt = LogHistogram()
    felt.record_many([1_000_000] * 10)
    with BinaryPeer(watched.served.unix) as peer:
        peer.greet(pair())
        peer.tell(Telemetry(LinkReport(round_trip=felt, levels_s={"normal": 1.0}).to_dict()))
        until(lambda: watched.ledger.snapshot().round_trip.count == 10)
    assert watched.ledger.snapshot().levels_s == {"normal": 1.0}


# payloads -----------------------------------------------------------------------------------


def exchanges(level: str, **options: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Events of ten questions that a json client asked: received and sent."""
    serve, events, ledger = watching(policy(half, pair()), payloads=level, **options)
    with serve as served, RawPeer(served.tcp) as peer:
        answers = [peer.ask(obs(float(n), 0.0, corr_id=f"q{n}")) for n in range(10)]
        until(lambda: ledger.snapshot().counters["answered"] == 10)
        came, left = events.of("received"), events.of("sent")
    for event in left:
        assert json.loads(event["resp"]) == next(
            answer for answer in answers if answer["corr_id"] == event["corr_id"]
        )
    return came, left


def test_nothing_of_a_message_is_recorded_unless_asked_for() -> None:
    assert exchanges("off") == ([], [])


def test_all_messages_are_recorded_as_they_were() -> None:
    came, left = exchanges("all")
    assert [event["corr_id"] for event in came] == [f"q{n}" for n in range(10)]
    assert [event["corr_id"] for event in left] == [f"q{n}" for n in range(10)]
    assert [json.loads(event["raw"])["data"]["q"][0] for event in came] == list(range(10))
    assert {event["msg_type"] for event in came} == {"obs"}
    assert {(event["msg_type"], event["outcome"]) for event in left} == {("action", "policy")}
    assert came[0]["mono_ns"] <= came[1]["mono_ns"]


def test_one_message_in_so_many_is_recorded() -> None:
    came, left = exchanges("sampled", sample_every=4)
    assert [event["corr_id"] for event in came] == ["q0", "q4", "q8"]
    assert [event["corr_id"] for event in left] == ["q0", "q4", "q8"]


def test_what_is_no_message_is_recorded_too_and_a_handshake_never() -> None:
    serve, events, ledger = watching(policy(half, pair()), payloads="all")
    with serve as served, RawPeer(served.tcp) as peer:
        assert peer.ask({"type": "ping", "corr_id": "here"})["type"] == "ack"
        peer.send(b"{broken\n")
        broken = peer.hear()
        with served.connect() as link:
            link.act(q=np.array([1.0, 2.0], np.float32))
        Watched(served, events, ledger).wait_for("sent", 3)
        came, left = events.of("received"), events.of("sent")
    assert came[0]["corr_id"] == left[0]["corr_id"] == "here"
    assert came[1]["raw"] == b"{broken"
    assert came[1]["corr_id"] == left[1]["corr_id"] == broken["corr_id"]
    assert came[2]["raw"]["data"]["q"].tolist() == [[1.0, 2.0]]
    assert left[2]["resp"]["data"]["speed"].tolist() == [[0.5, 1.0]]
    assert left[2]["msg_type"] == "action"
    assert [event.get("outcome") for event in left] == [None, "error", "policy"]
    assert "token" not in str(came) + str(left)


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        (Outcome.POLICY, "policy"),
        (Outcome.MISS, "miss"),
        (Outcome.FALLBACK, "fallback"),
        (Outcome.MISS_FALLBACK, "miss"),
    ],
)
def test_what_became_of_a_question_stands_with_its_answer(outcome: Outcome, word: str) -> None:
    codec = SimpleNamespace(memory=SimpleNamespace(seq=1), codec=None)
    session = SimpleNamespace(
        asked=(b"", Observation({}), 0), name="s", peer="here", protocol=codec
    )
    _, left = Payloads("all").events(session, Action({}, outcome=outcome), 0)  # type: ignore[arg-type]
    assert left["outcome"] == word and complaints(left) == []


def test_a_record_is_a_copy_that_later_questions_do_not_change() -> None:
    serve, events, ledger = watching(policy(half, pair()), payloads="all")
    with serve as served, served.connect() as link:
        for n in range(5):
            link.act(q=np.full(2, n, np.float32))
        Watched(served, events, ledger).wait_for("sent", 5)
    assert [event["raw"]["data"]["q"][0, 0] for event in events.of("received")] == list(range(5))


# the degraded mode --------------------------------------------------------------------------


def test_a_client_that_misses_too_often_is_given_the_fallback_until_it_does_not() -> None:
    scripted = Scripted()
    contract = pair(DELTA, field={"fallback": "zero"})
    serve, events, ledger = watching(policy(scripted, contract), settings=THREAD, degrade_ratio=0.5)
    with serve as served, RawPeer(served.tcp) as peer, served.connect() as link:
        found = Watched(served, events, ledger)

        def ask(q: float, budget_ns: int = PATIENCE_NS) -> dict[str, Any]:
            return dict(peer.ask(obs(q, 0.0, budget_ns=budget_ns))["data"])

        for _ in range(20):  # the policy hangs: twenty misses are enough to judge
            assert ask(HANGS, 1_000_000)["deadline_miss"] is True
        found.wait_for("degrade_entered")
        scripted.release.set()
        replaced = 0
        while not events.of("degrade_left"):
            data = ask(0.01)  # it is inferred all the same, or the rate could never fall
            assert data["deadline_miss"] is False
            if data["speed"] == [0.0, 0.0]:
                replaced += 1
            assert np.all(link.act(q=np.full(2, 0.01, np.float32))["speed"])  # links are not
        until(lambda: ask(0.01)["speed"] != [0.0, 0.0])
        snapshot = ledger.snapshot()
        assert snapshot.counters["degrade_zeroed"] == replaced > 0
        assert snapshot.counters["deadline_miss"] == 20


# what breaks --------------------------------------------------------------------------------


def test_clients_do_not_notice_that_everything_around_the_engine_is_broken() -> None:
    def report(snapshot: object) -> None:
        raise OSError("no space left on device")

    ledger = Ledger(Broken(), hash_log=Broken(), payloads="all", escalate_after=1)
    keeper = Housekeeper(ledger, 0.01, sinks=[report], events=Events())
    with serving(
        policy(half, pair()), settings=PATIENT, ledger=ledger, housekeeper=keeper
    ) as served:
        keeper.start()
        with served.connect() as link, RawPeer(served.tcp) as peer:
            for n in range(50):
                assert link.act(q=np.full(2, n, np.float32)).status == "policy"
                assert peer.ask(obs(float(n), 0.0))["type"] == "action"
            until(lambda: keeper.failures > 1)
        keeper.close()
    assert ledger.snapshot().counters["answered"] == 100


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_gateway_whose_housekeeper_died_answers_on() -> None:
    class Dying(Ledger):
        def fold(self) -> None:
            raise SystemExit

    ledger = Dying()
    keeper = Housekeeper(ledger, 0.01)
    with serving(
        policy(half, pair()), settings=PATIENT, ledger=ledger, housekeeper=keeper
    ) as served:
        keeper.start()
        assert keeper._thread is not None
        keeper._thread.join(30)
        with served.connect() as link:
            for n in range(20):
                assert link.act(q=np.full(2, n, np.float32)).status == "policy"
    assert ledger.snapshot().counters["answered"] == 20


def test_a_reader_of_snapshots_disturbs_nobody(watched: Watched) -> None:
    over = threading.Event()
    torn: list[str] = []

    def look() -> None:
        while not over.is_set():
            found = watched.ledger.snapshot()
            steps = sum(state.counters["steps"] for state in found.sessions)
            if not steps == found.stages["total"].count == found.counters["answered"]:
                torn.append(f"{steps} {found.counters}")

    thread = threading.Thread(target=look)
    with watched.served.connect() as link:
        thread.start()
        for n in range(500):
            link.act(q=np.full(2, n, np.float32))
        over.set()
        thread.join()
    assert torn == []
