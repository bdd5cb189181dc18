from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import ContractError
from isthmus.safety import Event, Ladder, Level
from isthmus.safety.ladder import APPLIES, LATCHED, MAX_TRANSITIONS, REARM_EVENTS, STATUS, TABLE

T = 40_000_000
STALL = 500_000_000
D, N, B, S = Level.DISARMED, Level.NORMAL, Level.BRIDGE, Level.STOPPED

# Written again by hand: level -> where each event leads, per rearm rule where they differ.
EVENTS = (
    Event.VALID, Event.MISS, Event.STALLED, Event.RESET, Event.REARM, Event.RECONNECTED
)  # fmt: skip
EXPECTED = {
    (D, None): (N, D, D, D, D, D),
    (N, None): (N, B, S, D, N, N),
    (B, None): (N, B, S, D, B, B),
    (S, "manual"): (S, S, S, S, D, S),
    (S, "on_reset"): (S, S, S, D, D, S),
    (S, "auto"): (D, S, S, D, D, D),
}
CASES = [
    (level, rule, event, after)
    for (level, only), row in EXPECTED.items()
    for rule in (REARM_EVENTS if only is None else (only,))
    for event, after in zip(EVENTS, row, strict=True)
]


def ladder_at(level: Level, rule: str) -> tuple[Ladder, int]:
    """A ladder brought to a level by events, and the instant after."""
    ladder, now = Ladder(T, rule), 1_000_000_000
    if level is not D:
        ladder.valid(now)
    if level in (B, S):
        now += T
        ladder.miss(now, "deadline")
    if level is S:
        now += STALL
        ladder.miss(now, "deadline")
    assert ladder.level is level
    return ladder, now


def fire(ladder: Ladder, event: Event, now: int) -> None:
    if event is Event.STALLED:
        ladder.miss(now + 10 * STALL, "deadline")
        return
    methods = {
        Event.VALID: ladder.valid,
        Event.MISS: ladder.miss,
        Event.RESET: ladder.reset,
        Event.REARM: ladder.rearm,
        Event.RECONNECTED: ladder.reconnected,
    }
    methods[event](now)


@pytest.mark.parametrize(("level", "rule", "event", "after"), CASES)
def test_every_level_and_event(level: Level, rule: str, event: Event, after: Level) -> None:
    ladder, now = ladder_at(level, rule)
    before = len(ladder.transitions)
    fire(ladder, event, now + 1)
    assert ladder.level is after
    assert ladder.status == STATUS[after]
    if after is level:
        assert len(ladder.transitions) == before
    else:
        last = ladder.transitions[-1]
        assert (last.before, last.after, last.event) == (level, after, event)


def test_the_table_is_complete() -> None:
    assert set(TABLE) == set(itertools.product(Level, Event))
    assert len(CASES) == len(Level) * len(Event) * len(REARM_EVENTS)
    assert set(STATUS) == set(Level)
    assert {D, N, B}.isdisjoint(LATCHED)
    assert {N} == APPLIES


@pytest.mark.parametrize(
    ("rule", "applies"),
    [("manual", (D, N, B)), ("on_reset", (D, N, B)), ("auto", (D, N, B))],
)
def test_a_valid_action_is_never_applied_in_a_stop(rule: str, applies: tuple[Level, ...]) -> None:
    for level in Level:
        ladder, now = ladder_at(level, rule)
        assert ladder.would_apply is (level in applies)
        assert ladder.valid(now + 1) is (level in applies)


def test_auto_needs_a_second_valid_action_to_move() -> None:
    ladder, now = ladder_at(S, "auto")
    assert not ladder.valid(now + 1)
    assert ladder.level is D
    assert ladder.valid(now + 2)


@pytest.mark.parametrize("rule", ["manual", "on_reset"])
def test_traffic_alone_never_leaves_a_stop(rule: str) -> None:
    ladder, now = ladder_at(S, rule)
    for step in range(1000):
        now += T
        ladder.valid(now)
        if step % 7 == 0:
            ladder.reconnected(now)
    assert ladder.level is S
    assert ladder.cause == "deadline"


def test_a_stop_keeps_the_cause_that_latched_it() -> None:
    ladder, now = ladder_at(B, "manual")
    ladder.miss(now + STALL, "not_finite")
    ladder.miss(now + STALL + T, "deadline")
    assert ladder.cause == "not_finite"
    ladder.rearm(now + 2 * STALL)
    assert (ladder.level, ladder.cause) == (D, "")


@pytest.mark.parametrize(("actuator", "rule"), [("simulated", "on_reset"), ("real", "manual")])
def test_default_rule(actuator: str, rule: str) -> None:
    assert Ladder(T, None, actuator).rearm_rule == rule


def test_refusals() -> None:
    with pytest.raises(ContractError, match="moves? again by itself|move again"):
        Ladder(T, "auto", "real")
    with pytest.raises(ContractError, match="use one of auto, on_reset, manual"):
        Ladder(T, "never")


def test_nothing_is_a_miss_while_disarmed() -> None:
    ladder = Ladder(T)
    for step in range(100):
        ladder.miss(step * T, "connecting")
    assert (ladder.level, ladder.misses, ladder.cause) == (D, 0, "connecting")
    ladder.valid(100 * T)
    assert ladder.cause == ""


@pytest.mark.parametrize("period", [1_000, T // 10, T // 3])
def test_an_unpaced_loop_counts_one_miss_per_period(period: int) -> None:
    ladder, now = ladder_at(N, "manual")
    start = now
    while now < start + 10 * T:
        now += period
        ladder.miss(now, "deadline")
        if period == 1_000 and now > start + T // 2:
            break
    elapsed = (now - start) / T
    assert ladder.misses <= elapsed + 1.25
    assert ladder.misses >= elapsed - 1


def test_a_loop_that_jitters_counts_every_miss() -> None:
    ladder, now = ladder_at(N, "manual")
    for step in range(12):
        now += T + (T // 50 if step % 2 else -T // 50)
        ladder.miss(now, "deadline")
    assert ladder.misses == ladder.consecutive_misses == 12


def test_valid_clears_the_row_but_not_the_total() -> None:
    ladder, now = ladder_at(B, "manual")
    ladder.valid(now + T)
    assert (ladder.misses, ladder.consecutive_misses) == (1, 0)


@pytest.mark.parametrize(("dt", "stall"), [(T, STALL), (200_000_000, 2_000_000_000)])
def test_stall_is_the_longer_of_half_a_second_and_ten_periods(dt: int, stall: int) -> None:
    ladder = Ladder(dt, "manual")
    ladder.valid(0)
    ladder.miss(stall - 1, "deadline")
    assert ladder.level is B
    ladder.miss(stall, "deadline")
    assert ladder.level is S
    assert ladder.transitions[-1].event is Event.STALLED


def test_reconnecting_for_ever_still_stalls() -> None:
    ladder, now = ladder_at(N, "manual")
    for _ in range(20):
        now += T
        ladder.reconnected(now)
        ladder.miss(now, "reconnecting")
    assert ladder.level is S


def test_a_reset_clears_the_row() -> None:
    ladder, now = ladder_at(B, "manual")
    ladder.reset(now)
    assert (ladder.level, ladder.consecutive_misses) == (D, 0)


def test_the_history_is_bounded() -> None:
    ladder, now = ladder_at(N, "manual")
    for _ in range(MAX_TRANSITIONS):
        now += T
        ladder.miss(now)
        ladder.valid(now)
    assert len(ladder.transitions) == MAX_TRANSITIONS


@given(
    st.sampled_from(sorted(REARM_EVENTS)),
    st.lists(st.tuples(st.sampled_from(list(Event)), st.integers(0, 3 * T)), max_size=60),
)
def test_any_history(rule: str, history: list[tuple[Event, int]]) -> None:
    ladder, now = Ladder(T, rule), 0
    for event, wait in history:
        now += wait
        before = ladder.level
        fire(ladder, event, now)
        if before is S and ladder.level is not S:
            assert event in REARM_EVENTS[rule]
        if ladder.level is N and before is not N:
            assert event is Event.VALID
        assert (ladder.cause == "") or ladder.level is not N
    assert ladder.misses <= 1 + len(history)


def test_a_quarter_of_a_period_early_is_on_time() -> None:
    ladder, now = ladder_at(B, "manual")
    ladder.miss(now + T - T // 4 - 1)
    assert ladder.misses == 1
    ladder.miss(now + T - T // 4)
    assert ladder.misses == 2
    ladder.miss(now + 2 * T - T // 4 - 1)  # the next is due two periods on, not sooner
    assert ladder.misses == 2
