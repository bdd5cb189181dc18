"""The reaching task: limits, delay, randomization, determinism, and what counts as success."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from isthmus.errors import ContractError
from isthmus.provenance import first_difference, randomization_hash
from isthmus.sim.mujoco import (
    ENV_ID,
    EPISODE_STEPS,
    HOLD_STEPS,
    TOLERANCE,
    Randomization,
    RoArmReachEnv,
    Teacher,
    contract,
    evaluate,
    inverse,
    joint_limits,
    max_delta,
    tip_position,
)

READY = np.array([0.0, 0.0, 1.5, 0.3, 0.0, 0.3])
STILL = np.zeros(6, np.float32)


@pytest.fixture
def env() -> Iterator[RoArmReachEnv]:
    made = RoArmReachEnv(randomize=False)
    yield made
    made.close()


def run(env: RoArmReachEnv, actions: Any, seed: int = 3) -> list[Any]:
    observation, info = env.reset(seed=seed)
    seen = [observation, info["randomization"]]
    for action in actions:
        observation, reward, *_ = env.step(action)
        seen += [observation, reward]
    return seen


def random_actions(count: int, scale: float = 1.0) -> np.ndarray:
    return (np.random.default_rng(1).uniform(-1, 1, (count, 6)) * max_delta() * scale).astype("f4")


# --- Gymnasium ---------------------------------------------------------------------------------


def test_the_environment_passes_gymnasiums_check() -> None:
    made = gymnasium.make(ENV_ID)
    check_env(made.unwrapped, skip_render_check=True)
    made.close()


def test_observations_and_actions_are_the_contracts(env: RoArmReachEnv) -> None:
    ours = contract()
    observation, _ = env.reset(seed=0)
    assert list(observation) == [field.name for field in ours.observation]
    for field in ours.observation:
        assert observation[field.name].shape == field.shape
        assert observation[field.name].dtype == field.dtype
        assert env.observation_space[field.name].shape == field.shape
    (delta,) = ours.action
    assert (env.action_space.shape, env.action_space.dtype) == (delta.shape, delta.dtype)
    assert (delta.semantics, delta.reference, delta.fallback) == ("delta", "target", "zero")
    assert ours.control_dt == pytest.approx(env.reach.arm.substeps * 0.002)


def test_the_tip_error_is_goal_minus_tip(env: RoArmReachEnv) -> None:
    observation, _ = env.reset(seed=0, options={"goal": [0.3, 0.1, 0.2]})
    for action in random_actions(5):
        observation, *_ = env.step(action)
    assert observation["goal"] == pytest.approx([0.3, 0.1, 0.2])
    tip = tip_position(observation["q"])
    assert observation["tip_error"] == pytest.approx(observation["goal"] - tip, abs=1e-5)


def test_an_episode_is_truncated_after_sixty_steps_and_never_terminates(env: RoArmReachEnv) -> None:
    env.reset(seed=0)
    ends = [env.step(STILL)[2:4] for _ in range(EPISODE_STEPS)]
    assert ends == [(False, False)] * (EPISODE_STEPS - 1) + [(False, True)]


def test_several_arms_are_the_same_arms() -> None:
    batch = gymnasium.make_vec(ENV_ID, num_envs=3)
    observations, infos = batch.reset(seed=10)
    singles = [RoArmReachEnv() for _ in range(3)]
    starts = [single.reset(seed=10 + i) for i, single in enumerate(singles)]
    for i, (observation, info) in enumerate(starts):
        assert infos["randomization"][i] == info["randomization"]
        for name, value in observation.items():
            assert np.array_equal(observations[name][i], value)
    for step in range(EPISODE_STEPS):
        actions = random_actions(3 * EPISODE_STEPS)[3 * step : 3 * step + 3]
        observations, rewards, terminated, truncated, infos = batch.step(actions)
        last = [single.step(action) for single, action in zip(singles, actions, strict=True)]
        assert rewards == pytest.approx([each[1] for each in last])
        assert not terminated.any()
        assert list(truncated) == [each[3] for each in last]
    for i, (observation, *_, info) in enumerate(last):
        assert infos["final_info"]["is_success"][i] == info["is_success"]
        for name, value in observation.items():
            assert np.array_equal(infos["final_obs"][name][i], value)
            assert not np.array_equal(observations["goal"][i], infos["final_obs"]["goal"][i])


# --- Determinism -------------------------------------------------------------------------------


def test_a_seed_fixes_the_whole_episode() -> None:
    actions = random_actions(20)
    first, again, other = (run(RoArmReachEnv(), actions, seed) for seed in (3, 3, 4))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_equal(a, b)
    assert not np.array_equal(first[0]["goal"], other[0]["goal"])


def test_a_used_environment_starts_a_seed_as_a_new_one_does() -> None:
    used = RoArmReachEnv()
    run(used, random_actions(30), seed=8)
    for a, b in zip(
        run(used, random_actions(10)), run(RoArmReachEnv(), random_actions(10)), strict=True
    ):
        np.testing.assert_equal(a, b)


def test_an_option_changes_one_thing_and_no_other_draw(env: RoArmReachEnv) -> None:
    plain, _ = env.reset(seed=5)
    with_goal, _ = env.reset(seed=5, options={"goal": [0.3, 0.0, 0.2]})
    drawn, _ = env.reset(seed=5, options={"randomize": True})
    assert np.array_equal(plain["q"], with_goal["q"])
    assert np.array_equal(plain["q"], drawn["q"]) and np.array_equal(plain["goal"], drawn["goal"])


# --- Limits ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.3, 1.0, 50.0])
@pytest.mark.parametrize("randomize", [False, True])
def test_joints_stay_inside_their_limits(scale: float, randomize: bool) -> None:
    env = RoArmReachEnv(randomize=randomize)
    low, high = joint_limits()
    give = 0.01  # a joint's stop is a stiff spring
    env.reset(seed=2)
    for action in random_actions(400, scale):
        observation, *_ = env.step(action)
        assert (env.reach.target >= low).all() and (env.reach.target <= high).all()
        assert (observation["q"] >= low - give).all() and (observation["q"] <= high + give).all()
        assert env.observation_space.contains(observation)


@pytest.mark.parametrize("sign", [-1, 1])
def test_pushing_on_stops_at_every_limit(sign: int, env: RoArmReachEnv) -> None:
    low, high = joint_limits()
    env.reset(seed=0)
    for _ in range(120):
        env.step(np.full(6, 10.0 * sign, np.float32))
    assert env.reach.target == pytest.approx(high if sign > 0 else low)


def test_targets_move_no_faster_than_the_joints_may(env: RoArmReachEnv) -> None:
    env.reset(seed=0, options={"q": READY})
    targets = [env.reach.target]
    for action in random_actions(40, scale=50.0):
        env.step(action)
        targets.append(env.reach.target)
    assert np.abs(np.diff(targets, axis=0)).max(axis=0) == pytest.approx(max_delta())


def test_joints_reach_the_speed_they_are_asked_for(env: RoArmReachEnv) -> None:
    env.reset(seed=0, options={"q": [-1.4, 0, 1.5, 0, 0, 0.3]})
    speeds = []
    for _ in range(14):
        observation, *_ = env.step(max_delta() * [1, 0, 0, 0, 0, 0])
        speeds.append(observation["dq"][0])
    assert max(speeds) == pytest.approx(4.0, rel=0.1)


@pytest.mark.parametrize(
    "action", [np.zeros(5), np.zeros((1, 6)), np.full(6, np.nan), [np.inf, 0, 0, 0, 0, 0]]
)
def test_a_bad_action_is_refused(action: Any, env: RoArmReachEnv) -> None:
    env.reset(seed=0)
    with pytest.raises(ContractError, match="delta: expected 6 finite numbers"):
        env.step(np.asarray(action))


# --- Randomization -----------------------------------------------------------------------------


def test_randomization_is_applied_and_reported() -> None:
    env = RoArmReachEnv()
    seen = [env.reset(seed=seed)[1]["randomization"] for seed in range(40)]
    assert {sample["action_delay"] for sample in seen} == {0, 1, 2}
    nominal = env.reach.arm.nominal.to_dict()
    for name in ("link_mass", "joint_friction", "drive_stiffness", "drive_damping"):
        factors = np.array([sample[name] for sample in seen]) / np.array(nominal[name])
        low, high = getattr(env.reach._ranges, name)
        assert factors.min() >= low and factors.max() <= high
        assert factors.std(axis=0).min() > 0.05
    model = env.reach.arm._model
    assert seen[-1]["link_mass"] == pytest.approx(model.body_mass[-6:])
    assert seen[-1]["drive_stiffness"] == pytest.approx(model.actuator_gainprm[:, 0])
    assert seen[-1]["drive_stiffness"] == pytest.approx(-model.actuator_biasprm[:, 1])
    assert seen[-1]["joint_friction"] == pytest.approx(model.dof_frictionloss)


def test_what_runs_is_what_was_drawn_to_the_last_bit() -> None:
    env = RoArmReachEnv()
    hashes = set()
    for seed in range(20):
        _, info = env.reset(seed=seed)
        assert first_difference(info["drawn"], info["randomization"]) is None
        hashes.add(randomization_hash(info["randomization"]))
    assert len(hashes) == 20


def test_the_last_bit_of_any_parameter_changes_the_hash_of_what_runs() -> None:
    env = RoArmReachEnv()
    _, info = env.reset(seed=3)
    drawn = info["drawn"]
    hashes = {randomization_hash(info["randomization"])}
    for name, amounts in drawn.items():
        for index in range(6 if name != "action_delay" else 0):
            changed = list(amounts)
            changed[index] = float(np.nextafter(changed[index], np.inf))
            _, info = env.reset(seed=3, options={"randomization": {**drawn, name: changed}})
            hashes.add(randomization_hash(info["randomization"]))
    assert len(hashes) == 1 + 4 * 6


def test_a_simulator_that_rounds_what_it_is_given_is_found_out(
    env: RoArmReachEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = env.reach.arm.apply

    def round_friction(sample: Randomization) -> Randomization:
        friction = np.array(sample.joint_friction, np.float32).tolist()
        return apply(replace(sample, joint_friction=tuple(friction)))

    monkeypatch.setattr(env.reach.arm, "apply", round_friction)
    values = {"joint_friction": [0.25, 0.1, 0.5, 0.5, 0.5, 0.5]}
    _, info = env.reset(seed=1, options={"randomization": values})
    difference = first_difference(info["drawn"], info["randomization"])
    assert difference is not None
    assert (difference.key, difference.expected) == ("joint_friction[1]", 0.1)
    assert difference.actual == pytest.approx(0.1) and difference.actual != 0.1


def test_without_randomization_the_arm_is_the_nominal_one() -> None:
    env = RoArmReachEnv()
    env.reset(seed=1)
    _, info = env.reset(seed=1, options={"randomize": False})
    assert info["randomization"] == env.reach.arm.nominal.to_dict()


def test_values_given_at_reset_are_used(env: RoArmReachEnv) -> None:
    values = {"action_delay": 2, "drive_stiffness": [60.0] * 6}
    _, info = env.reset(seed=1, options={"randomization": values})
    assert info["randomization"]["action_delay"] == 2
    assert info["randomization"]["drive_stiffness"] == [60.0] * 6
    assert info["randomization"]["link_mass"] == list(env.reach.arm.nominal.link_mass)


@pytest.mark.parametrize("delay", [0, 1, 2])
def test_delay_really_delays(delay: int, env: RoArmReachEnv) -> None:
    still, _ = env.reset(seed=0, options={"q": READY, "randomization": {"action_delay": delay}})
    moves = []
    for _ in range(5):
        observation, *_ = env.step(np.array([0.06, 0, 0, 0, 0, 0], np.float32))
        moves.append(abs(observation["q"][0] - still["q"][0]))
    assert [move > 1e-3 for move in moves] == [step >= delay for step in range(5)]


def test_a_heavier_arm_sags_more(env: RoArmReachEnv) -> None:
    def sag(mass: float) -> float:
        env.reset(seed=0, options={"q": READY, "randomization": {"link_mass": [mass] * 6}})
        for _ in range(20):
            observation, *_ = env.step(STILL)
        return float(observation["q"][2] - READY[2])

    assert 0 < sag(0.05) < sag(0.2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"speed": 2}, "unknown option 'speed'; known: randomize"),
        ({"goal": [0, 0]}, "goal: expected 3 finite numbers"),
        ({"q": [np.nan] * 6}, "q: expected 6 finite numbers"),
        ({"randomization": {"colour": 1}}, "unknown name 'colour'; known: action_delay"),
        ({"randomization": {"action_delay": -1}}, "action_delay: expected whole control steps"),
        ({"randomization": {"link_mass": [1.0]}}, "link_mass: expected 6 finite numbers"),
    ],
)
def test_a_bad_option_is_refused(options: Any, message: str, env: RoArmReachEnv) -> None:
    with pytest.raises(ContractError, match=message):
        env.reset(seed=0, options=options)


# --- Episodes and success ----------------------------------------------------------------------


def test_goals_can_be_reached_and_lie_in_the_workspace(env: RoArmReachEnv) -> None:
    for seed in range(60):
        observation, _ = env.reset(seed=seed)
        goal = observation["goal"].astype(float)
        assert goal[2] >= 0.069 and np.hypot(goal[0], goal[1]) >= 0.129
        assert inverse(goal, observation["q"].astype(float))[1] < 2e-3


def test_the_next_goal_can_start_from_where_the_arm_is(env: RoArmReachEnv) -> None:
    env.reset(seed=0)
    for action in random_actions(10):
        before, *_ = env.step(action)
    after, _ = env.reset(seed=1, options={"keep_pose": True})
    assert np.array_equal(before["q"], after["q"]) and np.array_equal(before["dq"], after["dq"])
    assert not np.array_equal(before["goal"], after["goal"])
    assert env.reach.arm.time == 0.0 and env.reach.steps == 0
    assert env.reach.target == pytest.approx(after["q"], abs=1e-6)


def holding(env: RoArmReachEnv, offset: float, leave_after: int | None = None) -> bool:
    """Hold still beside the goal for an episode, and move off after some steps."""
    env.reset(seed=0, options={"q": READY})
    for _ in range(30):
        observation, *_ = env.step(STILL)
    tip = observation["goal"] - observation["tip_error"]
    env.reset(seed=0, options={"keep_pose": True, "goal": tip + np.array([0, offset, 0])})
    for step in range(EPISODE_STEPS):
        away = leave_after is not None and step >= leave_after
        *_, info = env.step(np.array([-0.2 * away, 0, 0, 0, 0, 0], np.float32))
    return bool(info["is_success"])


def test_success_is_two_centimetres_at_the_last_five_steps(env: RoArmReachEnv) -> None:
    assert (TOLERANCE, HOLD_STEPS, EPISODE_STEPS) == (0.02, 5, 60)
    assert holding(env, 0.019)
    assert not holding(env, 0.021)
    assert not holding(env, 0.0, leave_after=EPISODE_STEPS - 5)


def test_the_floor_stops_the_arm_and_costs_reward(env: RoArmReachEnv) -> None:
    env.reset(seed=0, options={"q": READY, "goal": [0.3, 0.0, 0.2]})
    rewards = [env.step(np.array([0, 0.1, 0, 0, 0, 0], np.float32))[1] for _ in range(25)]
    assert env.reach.arm.touches_floor and env.reach.arm.tip[2] > -0.01
    assert rewards[-1] < -0.1


def test_arriving_too_late_is_no_success(env: RoArmReachEnv) -> None:
    env.reset(seed=0, options={"q": READY})
    for held, expected in ((HOLD_STEPS - 1, False), (HOLD_STEPS, True)):
        env.reach.steps, env.reach.held = EPISODE_STEPS, held
        assert env.reach.is_success is expected
    env.reach.steps -= 1
    assert not env.reach.is_success


@pytest.mark.parametrize("randomize", [False, True])
def test_the_teacher_reaches(randomize: bool) -> None:
    result = evaluate(Teacher(), episodes=60, seed=50, randomize=randomize)
    assert result.success_rate >= 0.95


def test_doing_nothing_does_not_reach() -> None:
    resets: list[int] = []
    result = evaluate(lambda _: STILL, episodes=20, on_reset=lambda seed, info: resets.append(seed))
    assert result.success_rate <= 0.1
    assert resets == list(range(result.seed, result.seed + 20))
    assert result.to_dict()["episodes"] == 20


# --- Pictures ----------------------------------------------------------------------------------


def test_a_picture_shows_the_arm_and_its_goal() -> None:
    from isthmus.errors import MissingDependencyError

    env = RoArmReachEnv(render_mode="rgb_array", width=160, height=120)
    env.reset(seed=0, options={"goal": [0.3, 0.0, 0.2]})
    try:
        picture = env.render()
    except MissingDependencyError as exc:
        pytest.skip(str(exc))
    finally:
        env.close()
    assert picture.shape == (120, 160, 3) and picture.dtype == np.uint8
    red, green, blue = (picture[..., i].astype(int) for i in range(3))
    assert ((green - red > 60) & (green - blue > 20)).any(), "the goal is green"
    assert ((red - blue > 90) & (red - green > 50)).any(), "the joints are orange"


def test_an_unknown_render_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 'rgb_array' or None, got 'human'"):
        RoArmReachEnv(render_mode="human")
