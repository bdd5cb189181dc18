from __future__ import annotations

import pytest

from isthmus.telemetry import (
    ADVICE,
    GATEWAY_STAGES,
    Advisor,
    LogHistogram,
    PolicyState,
    SessionState,
    Snapshot,
)

MS = 1_000_000
QUICK = dict.fromkeys(GATEWAY_STAGES, 0.1)


class Gateway:
    """Makes snapshots of a gateway that answers ten steps between two flushes."""

    def __init__(self, *transports: str, executor: str = "thread") -> None:
        self.policies = (PolicyState("p", "onnx", "", executor),)
        self.total, self.round_trip, self.wire = LogHistogram(), LogHistogram(), LogHistogram()
        self.sessions = tuple(
            SessionState(f"s{n}", "peer", transport, "binary", "p", 1)
            for n, transport in enumerate(transports)
        )

    def flush(self, *, wire_ms: float | None = None, steps: int = 10, **stages: float) -> Snapshot:
        spans = {**QUICK, "total": sum({**QUICK, **stages, "total": 0.0}.values()), **stages}
        self.total.record_many([round(spans["total"] * MS)] * steps)
        if wire_ms is not None:
            self.wire.record_many([round(wire_ms * MS)] * steps)
            self.round_trip.record_many([round((wire_ms + spans["total"]) * MS)] * steps)
        recent = {
            stage: {"count": float(steps), "p95": value * MS} for stage, value in spans.items()
        }
        return Snapshot(
            0, 0, 0, policies=self.policies, sessions=self.sessions,
            stages={"total": self.total.copy()}, recent=recent,
            round_trip=self.round_trip.copy(), wire=self.wire.copy(),
        )  # fmt: skip


@pytest.mark.parametrize("flushes", [1, 2, 3, 7])
def test_it_speaks_after_so_many_flushes_in_a_row_and_once(flushes: int) -> None:
    gateway, advisor = Gateway(), Advisor(60, flushes)
    said = [advisor.observe(gateway.flush(infer=100.0)) is not None for _ in range(flushes + 5)]
    assert said == [False] * (flushes - 1) + [True] + [False] * 5


def test_a_quick_flush_begins_the_row_anew() -> None:
    gateway, advisor = Gateway(), Advisor(60)
    slow = [100.0, 100.0, 1.0, 100.0, 100.0, 100.0, 1.0, 100.0, 100.0, 100.0]
    said = [advisor.observe(gateway.flush(infer=ms)) is not None for ms in slow]
    assert [n for n, spoke in enumerate(said) if spoke] == [5, 9]


def test_at_the_threshold_and_just_over_it() -> None:
    for total, spoke in ((60.0, False), (60.001, True)):
        gateway, advisor = Gateway(), Advisor(60, 1)
        assert (advisor.observe(gateway.flush(infer=59.0, total=total)) is not None) == spoke


def test_an_idle_flush_neither_counts_nor_ends_the_row() -> None:
    gateway, advisor = Gateway(), Advisor(60)
    assert advisor.observe(gateway.flush(infer=100.0)) is None
    assert advisor.observe(gateway.flush(infer=100.0)) is None
    for _ in range(5):
        assert advisor.observe(gateway.flush(infer=100.0, steps=0)) is None
    assert advisor.over == 2
    assert advisor.observe(gateway.flush(infer=100.0)) is not None


def test_it_looks_at_what_the_policy_took_and_not_at_when_its_misses_left() -> None:
    gateway, advisor = Gateway(), Advisor(60, 1)
    advice = advisor.observe(gateway.flush(infer=80.0, total=28.7, policy=82.0))
    assert advice is not None
    assert (advice.stage, advice.total_ms) == ("infer", 82.0)
    assert advice.evidence == "p95 of a whole step is 82 ms, of its infer 80 ms"


@pytest.mark.parametrize("stage", [stage for stage in ADVICE if stage != "wire"])
def test_it_names_the_slowest_stage_with_its_evidence(stage: str) -> None:
    gateway, advisor = Gateway("shm"), Advisor(60, 1)
    advice = advisor.observe(gateway.flush(wire_ms=3.0, **{stage: 80.0}))
    assert advice is not None
    assert (advice.stage, advice.action) == (stage, ADVICE[stage])
    assert advice.stages_ms[stage] == 80.0
    assert f"of its {stage} 80 ms" in advice.evidence
    event = advice.to_event()
    assert (event["phase"], event["type"], event["stage"]) == (
        "advisory", "transport_escalate", stage,
    )  # fmt: skip
    assert event["p95_ms"] > event["threshold_ms"] == 60


def test_it_speaks_again_where_another_stage_becomes_the_slowest() -> None:
    gateway, advisor = Gateway(), Advisor(60, 1)
    said = [
        advisor.observe(gateway.flush(**{stage: 100.0}))
        for stage in ("infer", "infer", "queue", "queue", "infer")
    ]
    assert [advice.stage if advice else None for advice in said] == [
        "infer", None, "queue", None, "infer",
    ]  # fmt: skip


def test_it_stays_with_a_stage_while_no_other_is_clearly_slower() -> None:
    gateway, advisor = Gateway(), Advisor(60, 1)
    said = [
        advisor.observe(gateway.flush(infer=100.0, queue=queue))
        for queue in (90.0, 110.0, 90.0, 119.0, 121.0, 110.0, 84.0, 83.0)
    ]
    assert [advice.stage if advice else None for advice in said] == [
        "infer", None, None, None, "queue", None, None, "infer",
    ]  # fmt: skip


def test_it_names_the_same_of_two_close_stages_after_a_quick_flush() -> None:
    gateway, advisor = Gateway(), Advisor(60, 1)
    said = [
        advisor.observe(gateway.flush(infer=infer, queue=100.0)) for infer in (105.0, 95.0, 105.0)
    ]
    assert advisor.observe(gateway.flush()) is None
    said.append(advisor.observe(gateway.flush(infer=95.0, queue=100.0)))
    assert [advice.stage if advice else None for advice in said] == ["infer", None, None, "infer"]


@pytest.mark.parametrize("whole", [{"total": 30.7}, {"total": 30.7, "policy": 40.0}])
def test_no_stage_takes_more_than_the_whole(whole: dict[str, float]) -> None:
    gateway, advisor = Gateway(), Advisor(20, 1)
    advice = advisor.observe(gateway.flush(infer=60.6, **whole))
    assert advice is not None
    assert max(advice.stages_ms.values()) == advice.total_ms == 60.6


@pytest.mark.parametrize(
    ("executor", "sessions", "among"),
    [("inline", 2, True), ("inline", 1, False), ("thread", 2, False)],
)
def test_waiting_for_the_engine_may_be_a_part_of_the_wire(
    executor: str, sessions: int, among: bool
) -> None:
    gateway, advisor = Gateway(*["tcp"] * sessions, executor=executor), Advisor(60, 1)
    advice = advisor.observe(gateway.flush(wire_ms=90.0, infer=30.0))
    assert advice is not None and advice.stage == "wire"
    assert ("inference of other sessions is among it, 30 ms" in advice.evidence) is among
    assert ("--executor thread" in advice.action) is among
    assert "shm:PATH" in advice.action


def test_what_the_links_feel_counts_although_the_gateway_is_quick() -> None:
    gateway, advisor = Gateway("tcp", "tcp", "unix"), Advisor(60, 1, {"shm": 210.0, "tcp": 400.0})
    advice = advisor.observe(gateway.flush(wire_ms=90.0))
    assert advice is not None
    assert advice.stage == "wire"
    assert advice.total_ms == pytest.approx(90.6, rel=0.01)
    assert "sessions travel by unix (1), tcp (2)" in advice.evidence
    assert "measured on this host (p95 of a round trip): shm 0.21 ms, tcp 0.4 ms" in advice.evidence
    assert "times what the transport needs here" in advice.evidence
    assert "shm:PATH" in advice.action


def test_the_wire_is_judged_by_what_is_new() -> None:
    gateway, advisor = Gateway("tcp"), Advisor(60, 1)
    assert advisor.observe(gateway.flush(wire_ms=90.0, steps=1000)) is not None
    assert advisor.observe(gateway.flush(wire_ms=1.0)) is None
    assert advisor.over == 0


def test_without_a_measurement_it_says_so() -> None:
    gateway, advisor = Gateway("tcp"), Advisor(60, 1)
    advice = advisor.observe(gateway.flush(wire_ms=90.0))
    assert advice is not None
    assert "has measured nothing on this host yet" in advice.evidence


@pytest.mark.parametrize(
    ("transports", "measured", "way"),
    [
        (("tcp",), {}, "shm:PATH"),
        (("unix",), {"shm": 9.0, "unix": 5.0}, "shm:PATH"),
        (("tcp",), {"unix": 5.0, "shm": 9.0}, "unix:PATH"),
        (("shm",), {"shm": 9.0}, "cores of their own"),
        ((), {}, "shm:PATH"),
    ],
)
def test_the_way_out_depends_on_what_is_in_use(
    transports: tuple[str, ...], measured: dict[str, float], way: str
) -> None:
    gateway, advisor = Gateway(*transports), Advisor(60, 1, measured)
    advice = advisor.observe(gateway.flush(wire_ms=90.0))
    assert advice is not None
    assert way in advice.action


def test_a_threshold_of_zero_says_nothing_ever() -> None:
    gateway, advisor = Gateway(), Advisor(0, 1)
    assert advisor.observe(gateway.flush(infer=1e6)) is None


def test_an_empty_snapshot_is_nothing() -> None:
    assert Advisor(60, 1).observe(Snapshot(0, 0, 0)) is None
