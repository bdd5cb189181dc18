"""What the engine writes down, and what it adds up to."""

from __future__ import annotations

import logging
import threading
from dataclasses import fields

import pytest

from isthmus.gateway import ledger as module
from isthmus.gateway.counters import Counters
from isthmus.gateway.ledger import Ledger
from isthmus.gateway.metrics_file import to_dict
from isthmus.gateway.session import Job
from isthmus.gateway.telling import LOST
from isthmus.protocol.messages import Observation, Outcome
from isthmus.telemetry import COUNTERS, GATEWAY_STAGES, Alerts, LogHistogram, PolicyState
from isthmus.telemetry.linkreport import LinkReport

from ..support.waiting import LAST_RESORT
from .ledgers import SECOND, Broken, Clock, Events, Lines, session, step


def test_the_counters_are_those_of_the_table() -> None:
    names = {field.name for field in fields(Counters)} - {"by_code"}
    assert names == set(COUNTERS) - {"events_dropped"}  # which the log itself counts
    assert set(Ledger().snapshot().counters) == set(COUNTERS)


def test_an_unused_ledger_says_nothing() -> None:
    clock = Clock()
    found = Ledger(now_ns=clock, wall_ns=lambda: 7).snapshot()
    assert (found.now_ns, found.wall_ns, found.started_wall_ns) == (clock.now_ns, 7, 7)
    assert set(found.stages) == set(found.recent) == set(found.lately) == set(GATEWAY_STAGES)
    assert all(histogram.count == 0 for histogram in found.stages.values())
    assert found.readings == {
        "latency_p95_ms": None,
        "deadline_miss_rate": None,
        "consec_deadline_miss": 0,
        "rand_hash_mismatch_burst": 0,
        "empty_joint_states": 0,
    }


def test_every_stage_of_a_step() -> None:
    clock = Clock()
    ledger = Ledger(now_ns=clock)
    robot = session()
    ledger.opened(robot)
    step(ledger, robot, at_ns=clock.now_ns)
    found = ledger.snapshot()
    expected = dict(zip(GATEWAY_STAGES, (1, 2, 3, 4, 5, 6, 21, 21), strict=True))
    for stage, micros in expected.items():
        histogram = found.stages[stage]
        assert (histogram.count, histogram.min, histogram.max) == (1, micros * 1000, micros * 1000)
        assert found.recent[stage]["p99"] == found.ema_ns[stage] == micros * 1000
        assert found.lately[stage]["count"] == 1
    assert found.outcomes == {"policy": 1, "miss": 0, "fallback": 0, "error": 0}
    assert found.readings["latency_p95_ms"] == 0.021
    assert found.readings["deadline_miss_rate"] is None  # one step says nothing of a rate


def test_an_inference_that_nobody_waited_for_has_no_span_until_it_ends() -> None:
    ledger = Ledger(events := Events())
    robot = session()
    ledger.opened(robot)
    step(ledger, robot, missed=True, inferred=False)
    counts = {stage: h.count for stage, h in ledger.snapshot().stages.items()}
    assert counts == {
        "receive": 1, "validate": 1, "queue": 0, "infer": 0, "gate": 0, "send": 1, "total": 1,
        "policy": 0,
    }  # fmt: skip
    job = Job(robot, Observation({}, 1), 0, 1_000, 3_000, 20_000, 1, missed=True)
    ledger.late(job, 6_000, 5_006_000)
    ledger.end_pass(())
    found = ledger.snapshot()
    assert found.stages["infer"].max == 5_000_000
    assert found.stages["total"].count == 1
    assert found.counters["late"] == 1
    (late,) = events.of("late_inference")
    assert (late["infer_ms"], late["late_ms"], late["budget_ms"]) == (5.0, 4.986, 0.02)
    (missed,) = events.of("deadline_miss")
    assert missed["corr_id"] == late["corr_id"] == "robot-1"
    assert "infer_ms" not in missed  # it was not known then


def test_a_miss_after_its_inference_tells_how_long_that_took() -> None:
    ledger = Ledger(events := Events())
    robot = session()
    ledger.opened(robot)
    step(ledger, robot, missed=True, corr_id="mine")
    (missed,) = events.of("deadline_miss")
    assert (missed["infer_ms"], missed["elapsed_ms"], missed["budget_ms"]) == (0.004, 0.021, 0.02)
    assert (missed["corr_id"], missed["consecutive"], missed["session"]) == ("mine", 1, "robot")
    assert ledger.snapshot().stages["infer"].count == 1


def test_latency_is_what_the_policy_took_in_truth_and_not_what_its_misses_took() -> None:
    clock = Clock()
    ledger = Ledger(now_ns=clock)
    robot = session()
    ledger.opened(robot)
    for seq in range(1, 11):
        step(ledger, robot, seq=seq, missed=True, inferred=False, at_ns=clock.now_ns)
        assert ledger.snapshot().readings["latency_p95_ms"] in (0.021, 50.0)
        job = Job(robot, Observation({}, seq), clock.now_ns, 0, 0, 20_000, seq, missed=True)
        ledger.late(job, clock.now_ns, clock.now_ns + 50_000_000)
        ledger.end_pass(())
    found = ledger.snapshot()
    assert found.readings["latency_p95_ms"] == 50.0
    assert found.recent["total"]["p95"] == 21_000
    assert to_dict(found)["recent_latency_ms"]["p95"] == 50.0
    assert to_dict(found)["policy_latency_ms"]["min"] == 50.0
    clock.now_ns += 120 * SECOND
    step(ledger, robot, missed=True, inferred=False, at_ns=clock.now_ns)  # and now it hangs
    assert ledger.snapshot().readings["latency_p95_ms"] == 0.021


def test_a_miss_is_a_miss_also_where_its_fallback_was_sent() -> None:
    ledger = Ledger(events := Events())
    client = session(plain=True)
    ledger.opened(client)
    step(ledger, client, missed=True, outcome=Outcome.MISS_FALLBACK, cause="deadline")
    found = ledger.snapshot()
    assert found.outcomes == {"policy": 0, "miss": 1, "fallback": 0, "error": 0}
    assert found.counters["actions_replaced"] == 0
    assert events.of("action_replaced") == []


def test_actions_that_are_replaced_are_all_counted_and_told_of_now_and_then() -> None:
    ledger = Ledger(events := Events())
    client = session(plain=True)
    ledger.opened(client)
    for seq in range(1, 10):
        step(ledger, client, seq=seq, outcome=Outcome.FALLBACK, cause="no_pose")
    step(ledger, client, seq=10)
    step(ledger, client, seq=11, outcome=Outcome.FALLBACK, cause="out_of_range")
    found = ledger.snapshot()
    assert found.counters["actions_replaced"] == found.outcomes["fallback"] == 10
    told = [(each["consecutive"], each["cause"]) for each in events.of("action_replaced")]
    assert told == [(n, "no_pose") for n in (1, 2, 4, 8)] + [(1, "out_of_range")]
    assert events.of("action_replaced")[0]["corr_id"] == "robot-1"


def test_errors_are_all_counted_and_told_of_now_and_then() -> None:
    ledger = Ledger(events := Events())
    client = session(plain=True)
    ledger.opened(client)
    for _ in range(9):
        ledger.erred(client, "schema_violation", "no q")
    ledger.erred(client, "bad_json", "no JSON")
    step(ledger, client)
    ledger.erred(client, "schema_violation", "no q")
    ledger.end_pass(())
    told = [(each["code"], each["consecutive"]) for each in events.of("error_answer")]
    assert told[:4] == [("schema_violation", n) for n in (1, 2, 4, 8)]
    assert told[4:] == [("bad_json", 1), ("schema_violation", 1)]
    assert ledger.snapshot().error_codes == {"schema_violation": 10, "bad_json": 1}


def test_an_error_is_an_outcome_and_no_deadline() -> None:
    ledger = Ledger(events := Events())
    robot = session()
    ledger.opened(robot)
    step(ledger, robot, error="inference_failed")
    ledger.erred(robot, "inference_failed", "it raised", "mine")
    ledger.end_pass(())
    found = ledger.snapshot()
    assert found.outcomes["error"] == found.counters["errors"] == 1
    assert found.error_codes == {"inference_failed": 1}
    assert found.stages["total"].count == found.sessions[0].counters["steps"] == 0
    assert events.of("error_answer")[0]["detail"] == "it raised"


def test_what_was_long_ago_is_nothing_to_judge() -> None:
    clock = Clock()
    ledger = Ledger(now_ns=clock, lately_s=60.0)
    robot = session()
    ledger.opened(robot)
    for _ in range(20):
        step(ledger, robot, missed=True, at_ns=clock.now_ns)
    assert ledger.snapshot().readings["deadline_miss_rate"] == 1.0
    clock.now_ns += 120 * SECOND
    found = ledger.snapshot()
    assert found.lately["total"]["count"] == 0
    assert found.recent["total"]["count"] == 20
    assert found.readings["latency_p95_ms"] is found.readings["deadline_miss_rate"] is None


# sessions -----------------------------------------------------------------------------------


def test_a_slow_session_does_not_mark_another() -> None:
    ledger = Ledger(events := Events(), escalate_after=3, now_ns=Clock(0))
    slow, quick = session("slow"), session("quick")
    ledger.opened(slow)
    ledger.opened(quick)
    for seq in range(1, 11):
        step(ledger, slow, missed=True, seq=seq)
        step(ledger, quick, seq=seq)
    states = {state.name: state for state in ledger.snapshot().sessions}
    assert states["slow"].counters == {
        "steps": 10, "misses": 10, "consecutive": 10, "escalations": 1,
    }  # fmt: skip
    assert states["quick"].counters == {
        "steps": 10, "misses": 0, "consecutive": 0, "escalations": 0,
    }  # fmt: skip
    assert (states["slow"].miss_rate, states["quick"].miss_rate) == (1.0, 0.0)
    assert ledger.snapshot().readings["deadline_miss_rate"] == 0.5
    assert {event["session"] for event in events.of("deadline_miss")} == {"slow"}


def test_an_escalation_is_told_once_for_each_run_of_misses() -> None:
    ledger = Ledger(events := Events(), escalate_after=3)
    robot = session()
    ledger.opened(robot)
    for missed in (True, True, False, True, True, True, True, False, True, True, True):
        step(ledger, robot, missed=missed)
    assert [event["consecutive"] for event in events.of("deadline_escalation")] == [3, 3]
    assert {event["severity"] for event in events.of("deadline_escalation")} == {2}
    assert ledger.snapshot().counters["deadline_escalation_events"] == 2


def test_without_a_threshold_nothing_escalates() -> None:
    ledger = Ledger(events := Events())
    robot = session()
    ledger.opened(robot)
    for _ in range(50):
        step(ledger, robot, missed=True)
    assert events.of("deadline_escalation") == []


def test_only_a_client_without_a_link_is_ever_degraded() -> None:
    ledger = Ledger(events := Events(), degrade_ratio=0.5)
    link, client = session("link"), session("client", plain=True)
    ledger.opened(link)
    ledger.opened(client)
    for _ in range(40):
        step(ledger, link, missed=True)
        step(ledger, client, missed=True)
    assert link.watchdog is not None and client.watchdog is not None
    assert (link.watchdog.degraded, client.watchdog.degraded) == (False, True)
    for _ in range(200):
        step(ledger, client)
    assert client.watchdog.degraded is False
    (entered,), (left,) = events.of("degrade_entered"), events.of("degrade_left")
    assert (entered["session"], entered["threshold"]) == ("client", 0.5)
    assert (left["threshold"], left["miss_rate"]) == (0.25, 0.25)


def test_a_session_comes_moves_and_goes() -> None:
    ledger = Ledger(events := Events())
    robot = session()
    ledger.opened(robot)
    step(ledger, robot)
    step(ledger, robot, missed=True)
    robot.transport.name = "shm"
    ledger.changed(robot)
    ledger.end_pass(())
    (state,) = ledger.snapshot().sessions
    assert (state.transport, state.counters["steps"]) == ("shm", 2)
    ledger.closed(robot, "it said goodbye")
    ledger.end_pass(())
    assert ledger.snapshot().sessions == ()
    assert events.of("session_opened")[0]["transport"] == "unix"
    (moved,) = events.of("session_moved")
    assert (moved["before"], moved["transport"]) == ("unix", "shm")
    (closed,) = events.of("session_closed")
    assert (closed["steps"], closed["misses"]) == (2, 1)
    assert closed["reason"] == "it said goodbye"


def test_a_connection_that_was_never_welcomed_is_no_session() -> None:
    ledger = Ledger(events := Events())
    stranger = session()
    ledger.changed(stranger)
    ledger.closed(stranger)
    ledger.refused(stranger, "too_many_sessions", "the gateway is full")
    ledger.end_pass(())
    found = ledger.snapshot()
    assert (found.sessions, found.counters["sessions"], found.counters["refused"]) == ((), 0, 1)
    assert found.error_codes == {"too_many_sessions": 1}
    assert [event["type"] for event in events.all] == ["refused"]


def test_what_is_served() -> None:
    ledger = Ledger(events := Events())
    ledger.serving([PolicyState("a", "onnx", "0" * 64, "thread")])
    ledger.policy_loaded("b.onnx", "onnx", "b", "mine")
    ledger.policy_load_failed("c.onnx", "it is no model", "mine")
    ledger.accept_paused("too many open files")
    ledger.end_pass(())
    found = ledger.snapshot()
    assert [policy.name for policy in found.policies] == ["a"]
    names = ("policy_loads", "policy_load_failures", "accept_pauses")
    assert [found.counters[name] for name in names] == [1, 1, 1]
    assert events.of("policy_load_failed")[0]["detail"] == "it is no model"


def test_empty_joint_states_are_counted_until_a_good_step() -> None:
    ledger = Ledger(events := Events())
    robot, other = session(), session("other")
    ledger.opened(robot)
    ledger.opened(other)
    for run in range(1, 6):
        ledger.empty_joint_state(robot, run)
        step(ledger, other)
    assert ledger.snapshot().readings["empty_joint_states"] == 5
    assert [event["consecutive"] for event in events.of("empty_joint_state")] == [2, 4]
    step(ledger, robot)
    found = ledger.snapshot()
    assert found.readings["empty_joint_states"] == 0
    assert found.counters["empty_joint_state"] == 5


def test_a_client_that_is_well_does_not_hide_one_that_is_empty() -> None:
    ledger = Ledger(events := Events())
    robot, other = session(plain=True), session("other", plain=True)
    ledger.opened(robot)
    ledger.opened(other)
    for _ in range(4):
        ledger.empty_joint_state(robot, 1)  # its run among all clients never gets further
        ledger.empty_joint_state(other, 0)
        step(ledger, other)
    assert ledger.snapshot().readings["empty_joint_states"] == 4
    assert [event["consecutive"] for event in events.of("empty_joint_state")] == [2, 4]
    assert {event["session"] for event in events.of("empty_joint_state")} == {"robot"}


def test_a_joint_specification_that_does_not_fit_is_told_when_it_is_due() -> None:
    ledger = Ledger(events := Events())
    robot = session()
    ledger.opened(robot)
    ledger.joint_spec_mismatch(robot, 6, 5, due=True)
    ledger.joint_spec_mismatch(robot, 6, 5, due=False)
    ledger.end_pass(())
    assert ledger.snapshot().counters["joint_spec_mismatch"] == 2
    (event,) = events.of("joint_spec_mismatch")
    assert (event["expected"], event["actual"]) == (6, 5)


def test_what_links_say_is_added_up_and_what_cannot_be_true_is_left_out() -> None:
    ledger = Ledger()
    robot = session()
    ledger.opened(robot)
    felt = LogHistogram()
    felt.record_many([1_000, 2_000])
    report = LinkReport(levels_s={"normal": 0.9, "made up": 0.1}, round_trip=felt).to_dict()
    ledger.told(robot, report)
    ledger.told(robot, report)
    for nonsense in (
        {"round_trip": {**felt.to_dict(), "squares": 0}},  # their variance would be negative
        {"round_trip": "fast"},
        {"levels_s": {"normal": float("inf")}},
        {"steps": -1},
    ):
        ledger.told(robot, nonsense)
    ledger.end_pass(())
    found = ledger.snapshot()
    assert (found.round_trip.count, found.round_trip.total) == (4, 6_000)
    assert found.levels_s == pytest.approx({"normal": 1.8, "other": 0.2})
    assert found.sessions[0].link["levels_s"] == {"normal": 0.9, "made up": 0.1}


def test_a_link_that_is_lost_and_comes_back_is_told_of_as_what_it_is() -> None:
    ledger = Ledger(events := Events())
    link, client = session(), session("client", plain=True)
    for each in (link, client):
        ledger.opened(each)
        ledger.closed(each, LOST)
        ledger.end_pass(())
    ledger.opened(link, resumed=True)
    ledger.closed(link, "it said goodbye")
    ledger.end_pass(())
    closed = {
        (each["session"], each["reason"]): each["severity"] for each in events.of("session_closed")
    }
    assert closed == {("robot", LOST): 1, ("client", LOST): 0, ("robot", "it said goodbye"): 0}
    opened = [(each["session"], each["severity"]) for each in events.of("session_opened")]
    assert opened == [("robot", 0), ("client", 0), ("robot", 1)]


def test_a_link_that_did_without_its_policy_is_told_of_now_and_then() -> None:
    ledger = Ledger(events := Events())
    robot = session()
    ledger.opened(robot)
    well = LinkReport(interval_s=1.0, levels_s={"normal": 0.8, "disarmed": 0.2}).to_dict()
    levels = {"normal": 0.5, "bridge": 0.1, "stopped": 0.4}
    ill = LinkReport(interval_s=1.0, misses=3, causes={"deadline": 3}, levels_s=levels).to_dict()
    for report in (well, ill, ill, ill, ill, ill, well, ill):
        ledger.told(robot, report)
    ledger.end_pass(())
    ledger.fold()
    told = events.of("link_without_policy")
    assert [each["consecutive"] for each in told] == [1, 2, 4, 1]
    assert (told[0]["misses"], told[0]["causes"]) == (3, {"deadline": 3})
    assert told[0]["levels_s"] == {"bridge": 0.1, "stopped": 0.4}
    assert (told[0]["severity"], told[0]["session"]) == (1, "robot")


# randomization ------------------------------------------------------------------------------


def test_a_mismatch_is_written_down_with_the_first_value_that_differs() -> None:
    clock = Clock()
    ledger = Ledger(
        events := Events(), hash_log=(lines := Lines()), now_ns=clock, wall_ns=lambda: 5 * SECOND
    )
    robot = session()
    ledger.opened(robot)
    ledger.began_episode(
        robot,
        {
            "randomization": {"friction": 0.5, "mass": [1.0, 2.5]},
            "expected_randomization": {"friction": 0.5, "mass": [1.0, 2.0]},
        },
    )
    step(ledger, robot, expected_rand_hash="r1-a", rand_hash="r1-a")
    step(ledger, robot, expected_rand_hash="r1-a", rand_hash="r1-b", sim_time=0.5, seq=7)
    step(ledger, robot, rand_hash="r1-b")  # nobody expected anything
    found = ledger.snapshot()
    assert found.counters["rand_hash_mismatch"] == 1
    assert found.readings["rand_hash_mismatch_burst"] == 1
    (line,) = lines.all
    assert line == {
        "ts": 5.0, "corr_id": "robot-7", "expected": "r1-a", "actual": "r1-b",
        "session": "robot", "remote": "process of robot", "obs_seq": 7, "sim_time": 0.5,
        "mono_ns": clock.now_ns, "key": "mass[1]", "expected_value": 2.0, "actual_value": 2.5,
    }  # fmt: skip
    (event,) = events.of("rand_hash_mismatch")
    assert (event["first_difference"], event["actual_value"]) == ("mass[1]", 2.5)


@pytest.mark.parametrize(
    "reset",
    [
        {},
        {"randomization": {"mass": 1.0}},
        {"randomization": {"mass": float("nan")}, "expected_randomization": {"mass": 1.0}},
        {"randomization": ["no", "mapping"], "expected_randomization": {"mass": 1.0}},
        {"randomization": {"mass": 1.0}, "expected_randomization": {"mass": 1.0}},
    ],
)
def test_where_the_values_are_not_known_only_the_hashes_are_written(reset: dict) -> None:  # type: ignore[type-arg]
    ledger = Ledger(hash_log=(lines := Lines()))
    robot = session()
    ledger.opened(robot)
    ledger.began_episode(robot, reset)
    step(ledger, robot, expected_rand_hash="r1-a", rand_hash="")
    assert ledger.snapshot().counters["rand_hash_mismatch"] == 1
    (line,) = lines.all
    assert (line["expected"], line["actual"], "key" in line) == ("r1-a", "", False)


def test_a_reset_without_values_forgets_them_unless_it_is_of_some_environments() -> None:
    ledger = Ledger(hash_log=(lines := Lines()))
    robot = session()
    ledger.opened(robot)
    values = {"randomization": {"mass": 1.0}, "expected_randomization": {"mass": 2.0}}
    hashes = {"expected_rand_hash": "r1-a", "rand_hash": "r1-b"}
    for reset in (values, {"mask": [True, False]}, {"mask": None}):
        ledger.began_episode(robot, reset)
        step(ledger, robot, **hashes)
    ledger.fold()
    assert [line.get("key") for line in lines.all] == ["mass", "mass", None]


def test_a_burst_is_over_after_a_minute() -> None:
    clock = Clock()
    ledger = Ledger(now_ns=clock)
    robot = session()
    ledger.opened(robot)
    for _ in range(120):
        step(ledger, robot, expected_rand_hash="r1-a", rand_hash="r1-b")
        clock.now_ns += SECOND
    assert ledger.snapshot().readings["rand_hash_mismatch_burst"] == 60
    clock.now_ns += 61 * SECOND
    found = ledger.snapshot()
    assert found.readings["rand_hash_mismatch_burst"] == 0
    assert found.counters["rand_hash_mismatch"] == 120


# threads ------------------------------------------------------------------------------------


def test_no_snapshot_is_ever_torn_and_nothing_is_lost() -> None:
    ledger = Ledger(escalate_after=5)
    robots = [session("a"), session("b", plain=True)]
    for robot in robots:
        ledger.opened(robot)
    steps, over = 6_000, threading.Event()
    torn: list[str] = []

    def engine() -> None:
        for seq in range(1, steps + 1):
            robot = robots[seq % 2]
            step(ledger, robot, missed=seq % 7 == 0, error="internal" if seq % 11 == 0 else "")
            if seq % 5 == 0:
                ledger.end_pass(())
        over.set()

    def look() -> None:
        while not over.is_set():
            found = ledger.snapshot()
            total = found.stages["total"].count
            counters, outcomes = found.counters, found.outcomes
            watched = [dict(state.counters) for state in found.sessions]
            same = {
                "steps": (sum(each["steps"] for each in watched), total),
                "misses": (sum(each["misses"] for each in watched), counters["deadline_miss"]),
                "policy": (outcomes["policy"], counters["answered"]),
                "all": (sum(outcomes.values()), counters["observations"]),
                "stages": ({h.count for h in found.stages.values()}, {total}),
            }
            torn.extend(f"{name}: {a} != {b}" for name, (a, b) in same.items() if a != b)

    threads = [threading.Thread(target=look) for _ in range(3)]
    threads.append(threading.Thread(target=engine))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LAST_RESORT)
    assert torn == []
    assert ledger.snapshot().counters["observations"] == steps


def test_memory_is_bounded_when_nobody_adds_up() -> None:
    ledger = Ledger()
    robot = session()
    ledger.opened(robot)
    steps = module.MOST_WAITING + 1_000
    for seq in range(steps):
        step(ledger, robot, seq=seq)
        assert len(ledger._passes) <= module.MOST_WAITING
    assert ledger.snapshot().stages["total"].count == steps


def test_the_engine_waits_for_nobody_who_adds_up() -> None:
    ledger = Ledger()
    robot = session()
    ledger.opened(robot)
    with ledger._folding:  # as if somebody were adding up, for as long as he likes
        for _ in range(module.MOST_WAITING + 10):
            step(ledger, robot)
    assert ledger.snapshot().counters["observations"] == module.MOST_WAITING + 10


def test_passes_in_which_nothing_happens_take_nothing_of_their_neighbours() -> None:
    ledger = Ledger(events := Events())
    robot = session()
    ledger.opened(robot)
    for seq in range(1, 6):
        ledger.end_pass(())
        step(ledger, robot, seq=seq, expected_rand_hash="r1-a", rand_hash="r1-b")
        ledger.end_pass(())
    found = ledger.snapshot()
    assert found.stages["total"].count == found.outcomes["policy"] == 5
    assert [event["consecutive"] for event in events.of("rand_hash_mismatch")] == [1, 2, 4]


def test_a_note_that_cannot_be_entered_takes_nothing_else_with_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger()
    robot = session()
    ledger.opened(robot)

    def broken(*_: object) -> None:
        raise TypeError("nobody expected this")

    monkeypatch.setattr(ledger._accounts, "told", broken)
    with caplog.at_level(logging.ERROR, "isthmus.gateway"):
        for _ in range(3):
            ledger.told(robot, {})
            step(ledger, robot)
            ledger.fold()
    found = ledger.snapshot()
    assert (found.stages["total"].count, found.counters["answered"]) == (3, 3)
    assert len(caplog.records) == 1


def test_a_sink_that_raises_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    ledger = Ledger(Broken(), hash_log=Broken(), escalate_after=1)
    robot = session()
    with caplog.at_level(logging.ERROR, "isthmus.gateway"):
        ledger.opened(robot)
        for _ in range(3):
            step(ledger, robot, missed=True, expected_rand_hash="r1-a", rand_hash="r1-b")
        found = ledger.snapshot()
    assert (found.counters["deadline_miss"], found.counters["rand_hash_mismatch"]) == (3, 3)
    assert len(caplog.records) == 1  # once, not at every step that it lasts


@pytest.mark.parametrize(
    "wrong",
    [
        {"payloads": "some"},
        {"sample_every": 0, "payloads": "sampled"},
        {"escalate_after": -1},
        {"degrade_ratio": 1.5},
    ],
)
def test_arguments_out_of_range_are_refused(wrong: dict) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError, match="needs|expected"):
        Ledger(**wrong)


# clients that open one connection per message -------------------------------------------------


def once(ledger: Ledger, name: str, host: str, *, missed: bool) -> None:
    """A connection of a plain client that asks once and leaves."""
    client = session(name, plain=True)
    client.peer = f"{host}:{name}"
    ledger.opened(client)
    step(ledger, client, missed=missed)
    ledger.closed(client)
    ledger.end_pass(())


def test_misses_are_counted_across_the_connections_of_one_client() -> None:
    clock = Clock()
    ledger = Ledger(events := Events(), escalate_after=3, degrade_ratio=0.5, now_ns=clock)
    for number in range(30):
        once(ledger, str(number), "127.0.0.1", missed=True)
    assert len(events.of("deadline_escalation")) == len(events.of("degrade_entered")) == 1
    assert ledger.totals()["consec_deadline_miss"] == 30
    found = ledger.snapshot()
    assert (found.sessions, found.readings["consec_deadline_miss"]) == ((), 30)
    assert {(event["steps"], event["misses"]) for event in events.of("session_closed")} == {(1, 1)}
    once(ledger, "in time", "127.0.0.1", missed=False)
    assert ledger.totals()["consec_deadline_miss"] == 0
    assert ledger.snapshot().readings["consec_deadline_miss"] == 0


def test_clients_of_another_host_or_that_are_there_at_once_are_counted_apart() -> None:
    ledger = Ledger(events := Events(), escalate_after=3, now_ns=Clock())
    stays = session("stays", plain=True)
    stays.peer = "10.0.0.1:1"
    ledger.opened(stays)
    for number in range(2):
        once(ledger, str(number), "10.0.0.1", missed=True)
        once(ledger, str(number), "10.0.0.2", missed=True)
        step(ledger, stays)
    assert events.of("deadline_escalation") == []
    assert ledger.snapshot().sessions[0].counters["misses"] == 0


def test_a_client_that_comes_a_minute_later_is_another() -> None:
    clock = Clock()
    ledger = Ledger(events := Events(), escalate_after=2, now_ns=clock)
    once(ledger, "1", "127.0.0.1", missed=True)
    clock.now_ns += 61 * SECOND
    assert ledger.totals()["consec_deadline_miss"] == 0
    assert ledger.snapshot().readings["consec_deadline_miss"] == 0
    once(ledger, "2", "127.0.0.1", missed=True)
    assert events.of("deadline_escalation") == []


def test_a_link_never_takes_up_what_another_left() -> None:
    ledger = Ledger(events := Events(), escalate_after=2)
    for name in ("first", "second"):
        link = session(name)
        link.peer = "process 1"
        ledger.opened(link)
        step(ledger, link, missed=True)
        ledger.closed(link)
        ledger.end_pass(())
    assert events.of("deadline_escalation") == []


def test_empty_states_are_counted_across_the_connections_of_one_client() -> None:
    clock = Clock()
    ledger = Ledger(events := Events(), now_ns=clock)

    def come(number: int, *, empty: bool) -> None:
        client = session(str(number), plain=True)
        client.peer = f"127.0.0.1:{number}"
        ledger.opened(client)
        if empty:
            ledger.empty_joint_state(client, 1)
            ledger.erred(client, "schema_violation", "q is empty")
        else:
            step(ledger, client)
        ledger.closed(client)
        ledger.end_pass(())

    for number in range(5):
        come(number, empty=True)
    found = ledger.snapshot()
    assert (found.sessions, found.readings["empty_joint_states"]) == ((), 5)
    assert [event["consecutive"] for event in events.of("empty_joint_state")] == [2, 4]
    (change,) = Alerts().evaluate(found.readings, found.now_ns)
    assert (change.name, change.severity) == ("empty_joint_states", 1)
    come(5, empty=False)
    assert ledger.snapshot().readings["empty_joint_states"] == 0
    come(6, empty=True)
    clock.now_ns += 61 * SECOND
    assert ledger.snapshot().readings["empty_joint_states"] == 0


def test_what_one_client_does_at_every_message_is_no_flood_whatever_connections_it_opens() -> None:
    ledger = Ledger(events := Events(), hash_log=(lines := Lines()))
    for number in range(9):
        client = session(str(number), plain=True)
        client.peer = f"127.0.0.1:{number}"
        ledger.opened(client)
        ledger.erred(client, "bad_json", "no JSON")
        ledger.closed(client)
        ledger.end_pass(())
    assert [event["consecutive"] for event in events.of("error_answer")] == [1, 2, 4, 8]
    for number in range(9):
        client = session(str(number), plain=True)
        client.peer = f"127.0.0.1:{number}"
        ledger.opened(client)
        step(ledger, client, expected_rand_hash="r1-a", rand_hash="r1-b")
        ledger.closed(client)
        ledger.end_pass(())
    ledger.fold()
    assert len(lines.all) == 9
    assert [event["consecutive"] for event in events.of("rand_hash_mismatch")] == [1, 2, 4, 8]


def test_what_is_remembered_of_clients_is_bounded() -> None:
    ledger = Ledger(now_ns=Clock())
    for number in range(1_100):
        once(ledger, "1", f"10.0.{number // 256}.{number % 256}", missed=True)
    ledger.fold()
    assert len(ledger._clients._left) <= 1_024
    assert len(ledger._accounts._parted) <= 1_024
