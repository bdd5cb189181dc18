from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from isthmus.errors import ContractError
from isthmus.safety import Guard, Level

T = 40_000_000
F32 = np.float32


def f32(*values: float) -> Any:
    return np.array([values], F32)


POSE = {"q": f32(0.1, 0.2, 0.3)}


def running(contracts: Any, **options: Any) -> tuple[Guard, int]:
    """A guard in NORMAL, holding 0.1, 0.2, 0.3, and the instant."""
    rearm = options.pop("rearm", None)
    guard = Guard(contracts.one(limits=contracts.box(low=-2, high=2), **options), rearm=rearm)
    guard.reset(0, POSE)
    assert guard.apply(T, {"a": POSE["q"]}, POSE, T).status == "policy"
    return guard, T


def stopped(contracts: Any, **options: Any) -> tuple[Guard, int]:
    guard, now = running(contracts, **options)
    for _ in range(14):
        now += T
        guard.apply(now, None, POSE, T, "deadline")
    assert guard.ladder.level is Level.STOPPED
    return guard, now


def test_disarmed_holds_the_measured_pose_and_counts_nothing(contracts: Any) -> None:
    guard = Guard(contracts.one())
    for step in range(30):
        outcome = guard.apply(step * T, None, POSE, T, "connecting")
        assert (outcome.status, outcome.cause) == ("disarmed", "connecting")
        assert outcome.arrays["a"].tolist() == POSE["q"].tolist()
        assert not outcome.robot_hold
    assert guard.ladder.misses == 0


def test_the_pose_of_the_first_step_is_kept(contracts: Any) -> None:
    """A hold that follows the measurement would follow a sagging arm down."""
    guard = Guard(contracts.one())
    guard.apply(0, None, POSE)
    sagged = {"q": f32(0, 0, 0)}
    assert guard.apply(T, None, sagged).arrays["a"].tolist() == POSE["q"].tolist()


@pytest.mark.parametrize("reason", ["deadline", "out_of_range"])
def test_a_robot_that_was_moved_is_held_where_it_stands(
    contracts: Any, path: str, reason: str
) -> None:
    """Swept through the limits and past them, before the first valid action."""
    limits = contracts.box(low=-1.0, high=1.0, max_rate=1.0)
    guard = Guard(contracts.one(limits=limits))
    action = None if reason == "deadline" else {"a": f32(50, 50, 50)}
    places = [1.3, 0.5, -0.5, 0.0, 0.99, 1.005, 1.02, 1.9, -1.9, -1.0, -1.001, 0.3]
    places += np.linspace(-1.95, 1.95, 79).tolist() + np.linspace(1.95, -1.95, 1951).tolist()
    for step, place in enumerate(places):
        q = f32(place, 0, -place)
        outcome = guard.apply(step * T, action, {"q": q}, T, reason)
        assert (outcome.status, outcome.cause) == ("disarmed", reason)
        held = outcome.arrays["a"]
        assert np.all(np.abs(held) <= np.maximum(1.0, np.abs(q)))
        assert held == pytest.approx(q, abs=0.0401)  # a hundredth of the range either way: a sag
        if abs(place) > 1.041:
            assert held.tolist() == q.tolist()
    guard.apply(9**12, None, {"q": f32(-0.6, 0, 0)}, T)
    armed = guard.apply(9**12 + T, {"a": f32(0.8, 0, 0)}, {"q": f32(-0.55, 0, 0)}, T)
    assert armed.arrays["a"][0] == pytest.approx([-0.56, 0, 0], abs=1e-5)  # from what was sent


def test_what_is_no_pose_does_not_move_what_is_held(contracts: Any, path: str) -> None:
    guard = Guard(contracts.one(limits=contracts.box(low=-1.0, high=1.0)))
    assert guard.apply(0, None, POSE).arrays["a"].tolist() == POSE["q"].tolist()
    for broken in ({}, {"q": f32(np.nan, 9, -np.inf)}, {"q": f32(0, 0)}):
        assert guard.apply(T, None, broken).arrays["a"].tolist() == POSE["q"].tolist()
    one = guard.apply(2 * T, None, {"q": f32(np.nan, -0.9, 9)}).arrays["a"]
    assert one[0].tolist() == [F32(0.1), F32(-0.9), F32(0.3)]


@pytest.mark.parametrize(
    ("reference", "sent"), [("measured", [0.0, 0.0, 0.0]), ("target", [0.0, 0.0, 0.0])]
)
def test_increments_do_not_lead_a_robot_back_that_was_moved(
    contracts: Any, path: str, reference: str, sent: list[float]
) -> None:
    limits = contracts.box(low=-1.0, high=1.0)
    guard = Guard(contracts.one("delta", limits=limits, reference=reference, fallback="hold"))
    for q in (f32(0, 0, 0), f32(0.5, -0.5, 0.9), f32(-0.9, 0, 0.1)):
        assert guard.apply(0, None, {"q": q}).arrays["a"][0].tolist() == sent


def test_the_first_valid_action_is_applied(contracts: Any) -> None:
    guard = Guard(contracts.one(limits=contracts.box(max_rate=1.0)))
    outcome = guard.apply(0, {"a": f32(5, 5, 5)}, POSE, T)
    assert (outcome.status, outcome.cause, outcome.level) == ("policy", "", Level.NORMAL)
    assert outcome.arrays["a"][0] == pytest.approx([0.14, 0.24, 0.34], rel=1e-5)
    assert (outcome.clipped, outcome.rate_limited) == (0, 3)


def test_a_miss_is_bridged_and_recovered(contracts: Any) -> None:
    guard, now = running(contracts)
    bridged = guard.apply(now + T, None, POSE, T, "deadline")
    assert (bridged.status, bridged.cause) == ("bridged", "deadline")
    assert bridged.arrays["a"].tolist() == POSE["q"].tolist()
    assert guard.apply(now + 2 * T, {"a": POSE["q"]}, POSE, T)[1:3] == ("policy", "")
    assert (guard.ladder.misses, guard.ladder.consecutive_misses) == (1, 0)


@pytest.mark.parametrize(
    ("action", "cause"),
    [
        ({"a": f32(np.nan, 0, 0)}, "not_finite"),
        ({"a": f32(99, 0, 0)}, "out_of_range"),
        ({"a": f32(0, 0)}, "shape"),
        ({}, "missing_field"),
    ],
)
def test_a_rejected_action_is_a_miss(contracts: Any, action: Any, cause: str) -> None:
    guard, now = running(contracts)
    outcome = guard.apply(now + T, action, POSE, T)
    assert (outcome.status, outcome.cause) == ("bridged", cause)
    assert outcome.arrays["a"].tolist() == POSE["q"].tolist()
    assert guard.ladder.misses == 1


def test_a_rejected_action_does_not_arm(contracts: Any) -> None:
    guard = Guard(contracts.one())
    outcome = guard.apply(0, {"a": f32(np.nan, 0, 0)}, POSE, T)
    assert (outcome.status, outcome.cause) == ("disarmed", "not_finite")


@pytest.mark.parametrize("rearm", ["manual", "on_reset", "auto"])
def test_misses_end_in_a_stop(contracts: Any, rearm: str) -> None:
    guard, now = stopped(contracts, rearm=rearm)
    outcome = guard.apply(now + T, None, POSE, T, "later")
    assert (outcome.status, outcome.cause) == ("stopped", "deadline")
    assert outcome.arrays["a"].tolist() == POSE["q"].tolist()


@pytest.mark.parametrize("rearm", ["manual", "on_reset"])
def test_valid_actions_do_not_leave_a_stop(contracts: Any, rearm: str) -> None:
    guard, now = stopped(contracts, rearm=rearm)
    for _ in range(20):
        now += T
        outcome = guard.apply(now, {"a": f32(1, 1, 1)}, POSE, T)
        assert (outcome.status, outcome.cause) == ("stopped", "latched")
        assert outcome.arrays["a"].tolist() == POSE["q"].tolist()


def test_auto_rearms_on_a_valid_answer_and_moves_on_the_next(contracts: Any) -> None:
    guard, now = stopped(contracts, rearm="auto")
    moved = {"q": f32(-1, -1, -1)}
    first = guard.apply(now + T, {"a": f32(1, 1, 1)}, moved, T)
    assert (first.status, first.cause) == ("disarmed", "rearmed")
    assert first.arrays["a"].tolist() == moved["q"].tolist()
    assert guard.apply(now + 2 * T, {"a": f32(1, 1, 1)}, moved, T).status == "policy"


@pytest.mark.parametrize(
    ("rearm", "leave", "level"),
    [
        ("auto", "reconnected", Level.DISARMED),
        ("auto", "rearm", Level.DISARMED),
        ("auto", "reset", Level.DISARMED),
        ("on_reset", "reconnected", Level.STOPPED),
        ("on_reset", "rearm", Level.DISARMED),
        ("on_reset", "reset", Level.DISARMED),
        ("manual", "reconnected", Level.STOPPED),
        ("manual", "rearm", Level.DISARMED),
        ("manual", "reset", Level.STOPPED),
    ],
)
def test_leaving_a_stop_starts_from_where_the_robot_is(
    contracts: Any, rearm: str, leave: str, level: Level
) -> None:
    guard, now = stopped(contracts, rearm=rearm)
    getattr(guard, leave)(now)
    assert guard.ladder.level is level
    moved = {"q": f32(-1, -1, -1)}
    held = guard.apply(now + T, None, moved, T, "deadline").arrays["a"]
    there = level is Level.DISARMED or leave == "reset"  # a reset is a teleport at any level
    assert held.tolist() == (moved if there else POSE)["q"].tolist()


def test_a_rearm_with_a_blind_sensor_keeps_the_last_command(contracts: Any) -> None:
    guard, now = stopped(contracts, rearm="manual")
    guard.rearm(now)
    blind = {"q": f32(np.nan, -1, np.inf)}
    held = guard.apply(now + T, None, blind, T).arrays["a"]
    assert held[0].tolist() == [F32(0.1), -1, F32(0.3)]


def test_a_reconnect_while_running_does_not_jump(contracts: Any) -> None:
    guard, now = running(contracts)
    assert guard.reconnected(now) is Level.NORMAL
    held = guard.apply(now + T, None, {"q": f32(0, 0, 0)}, T, "reconnecting")
    assert held.arrays["a"].tolist() == POSE["q"].tolist()


@pytest.mark.parametrize(("reference", "kept"), [("target", True), ("measured", False)])
def test_targets_across_a_rearm(contracts: Any, reference: str, kept: bool) -> None:
    """The receiver of target increments goes on from its own target; only a reset clears it."""
    contract = contracts.one("delta", limits=contracts.box(low=-1, high=1), reference=reference)
    guard = Guard(contract, rearm="auto")
    guard.apply(0, {"a": f32(0.1, 0.1, 0.1)}, {"q": f32(0, 0, 0)}, T)
    guard.apply(10**9, None, {"q": f32(0, 0, 0)}, T, "deadline")
    assert guard.reconnected(10**9) is Level.DISARMED
    guard.apply(10**9 + T, None, {"q": f32(0.5, 0.5, 0.5)}, T)
    target = guard.gate.limiters["a"].sent()
    assert target == pytest.approx(0.1 if kept else 0.5)
    guard.reset(2 * 10**9, {"q": f32(0.3, 0.3, 0.3)})
    assert guard.gate.limiters["a"].sent() == pytest.approx(0.3)


def test_a_pose_that_was_never_seen(contracts: Any) -> None:
    guard = Guard(contracts.one(limits=contracts.box(low=-2, high=2)))
    for broken in ({}, {"q": f32(np.nan, np.nan, np.nan)}):
        outcome = guard.apply(0, {"a": f32(0, 0, 0)}, broken, T)
        assert (outcome.status, outcome.cause) == ("disarmed", "no_pose")
        assert outcome.robot_hold
    assert guard.apply(T, {"a": f32(0, 0, 0)}, POSE, T).status == "policy"


def test_a_partial_reset_keeps_the_level(contracts: Any) -> None:
    guard = Guard(contracts.one(limits=contracts.box(max_rate=1.0)), 2)
    zeros, ones = np.zeros((2, 3), F32), np.ones((2, 3), F32)
    guard.apply(0, {"a": zeros}, {"q": zeros}, T)
    guard.reset(T, {"q": ones}, mask=np.array([False, True]))
    assert guard.ladder.level is Level.NORMAL
    out = guard.apply(T, {"a": 9 * ones}, {"q": ones}, T).arrays["a"]
    assert out[:, 0] == pytest.approx([0.04, 1.04], rel=1e-5)


def test_a_reset_of_all_is_a_reset(contracts: Any) -> None:
    guard = Guard(contracts.one(), 2)
    zeros = {"q": np.zeros((2, 3), F32)}
    guard.apply(0, {"a": zeros["q"]}, zeros, T)
    guard.reset(T, mask=np.array([True, True]))
    assert guard.ladder.level is Level.DISARMED


@pytest.mark.parametrize("mask", [np.array([True]), np.array([1, 0]), np.ones((2, 1), bool)])
def test_refuses_another_mask(contracts: Any, mask: Any) -> None:
    with pytest.raises(ContractError, match="reset mask"):
        Guard(contracts.one(), 2).reset(0, mask=mask)


def test_the_rearm_rule_follows_the_actuator(contracts: Any) -> None:
    assert Guard(contracts.one()).ladder.rearm_rule == "on_reset"
    assert Guard(contracts.one(actuator="real")).ladder.rearm_rule == "manual"
    assert Guard(contracts.one(), actuator="real").ladder.rearm_rule == "manual"
    with pytest.raises(ContractError, match="refused for a real actuator"):
        Guard(contracts.one(actuator="real"), rearm="auto")


@pytest.mark.parametrize(
    ("former", "actuator", "rule"),
    [
        ("manual", "real", "manual"),
        ("manual", "simulated", "manual"),
        ("on_reset", "simulated", "on_reset"),
        ("auto", "simulated", "auto"),
        ("auto", "real", "manual"),
    ],
)
def test_a_latch_is_handed_on(contracts: Any, former: str, actuator: str, rule: str) -> None:
    latched, now = stopped(contracts, rearm=former)
    limits = contracts.box(low=-1, high=1)
    own = "auto" if actuator == "simulated" else "manual"
    guard = Guard(contracts.one(limits=limits, actuator=actuator), rearm=own)
    guard.succeed(latched, now)
    ladder = guard.ladder
    assert (ladder.level, ladder.cause, ladder.rearm_rule) == (Level.STOPPED, "deadline", rule)
    held = guard.apply(now + T, None, POSE, T, "later")
    assert (held.status, held.cause) == ("stopped", "deadline")
    assert held.arrays["a"].tolist() == POSE["q"].tolist()
    valid = guard.apply(now + 2 * T, {"a": f32(1, 1, 1)}, POSE, T)
    assert valid.cause == ("rearmed" if rule == "auto" else "latched")
    assert ladder.times.spent_ns(now + 2 * T)["stopped"] == 2 * T
    guard.rearm(now + 3 * T)
    assert guard.apply(now + 4 * T, {"a": POSE["q"]}, POSE, T).status == "policy"


def test_without_a_latch_nothing_is_handed_on(contracts: Any) -> None:
    former, now = running(contracts)
    guard = Guard(contracts.one())
    guard.succeed(former, now)
    assert (guard.ladder.level, guard.ladder.rearm_rule) == (Level.DISARMED, "on_reset")
