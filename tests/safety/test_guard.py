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
