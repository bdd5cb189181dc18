"""Whatever a policy answers and a sensor says, what is sent obeys the limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.contract import ActionField, Contract, Field, Limits
from isthmus.contract.fields import SEMANTICS
from isthmus.safety import Guard, Level, Outcome, limiter

T = 40_000_000
WHOLE = ("int8", "uint8", "int32", "int64", "uint64", "bool")


@st.composite
def a_contract(draw: st.DrawFn) -> Contract:
    semantics = draw(st.sampled_from(sorted(SEMANTICS)))
    fallback = draw(st.sampled_from(SEMANTICS[semantics]))
    whole = semantics == "opaque" and draw(st.booleans())
    dtype = draw(st.sampled_from(WHOLE if whole else ("float32", "float64", "float16")))
    shape = draw(st.sampled_from([(), (1,), (3,), (2, 3)]))
    size = shape[-1] if shape else 1
    middle = draw(st.integers(-300, 300)) / 100 if semantics == "position" else 0.0
    half = draw(st.sampled_from([0.0, 1e-6, 0.3, 2.0, 30.0]))
    half = max(half, 1.0) if whole else half
    rate = st.sampled_from([1e-6, 0.1, 3.0, 1e4])
    limits: dict[str, tuple[float, ...]] = {}
    for name, value in (("low", middle - half), ("high", middle + half)):
        if draw(st.booleans()):
            value = max(value, 0.0) if dtype[0] in "ub" else value
            limits[name] = (min(value, 1.0) if dtype == "bool" else value,) * size
    rated = ("max_rate",) if semantics in ("torque", "opaque") else ("max_rate", "max_acceleration")
    for name in rated:
        if draw(st.booleans()):
            limits[name] = (draw(rate),) * size
    return Contract(
        name="any",
        observation=(Field("q", shape, draw(st.sampled_from(["float32", "float64"]))),),
        action=(
            ActionField(
                "a",
                shape,
                dtype,
                semantics=semantics,
                reference=draw(st.sampled_from(["target", "measured"])),
                measured_position="q" if semantics in ("position", "delta") else "",
                fallback=fallback,
                fallback_value=(0.0,) if fallback == "value" else (),
            ),
        ),
        control_dt_ns=T,
        limits={"a": Limits(**limits)} if limits else {},
    )


SPECIAL = (
    np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, 5e-324, 6e-8, 3.4e38, -3.4e38, 65504.0, 1e300,
)  # fmt: skip


def numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: str, wild: float) -> Any:
    if dtype in WHOLE:
        if dtype == "bool":
            return rng.integers(0, 2, shape).astype(bool)
        info = np.iinfo(dtype)
        values = rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
        return values if rng.random() < wild else (values % 2).astype(dtype)
    values = rng.normal(0, rng.choice([0.01, 0.3, 1, 4]), shape)
    strange = rng.choice(SPECIAL, shape)
    values = np.where(rng.random(shape) < wild, strange, values)
    with np.errstate(over="ignore"):
        return np.asarray(values).astype(dtype)


class Robot:
    """Receives what is sent and knows what it may be."""

    def __init__(self, contract: Contract, num_envs: int) -> None:
        self.field = contract.action[0]
        self.limits = contract.limits.get("a", Limits())
        self.shape = (num_envs, *self.field.shape)
        self.previous: Any = None
        self.was = ""

    def receive(self, outcome: Outcome, origin: Any, dt: float) -> None:
        """Check one outcome; `origin` is the guard's own starting point where it was seeded."""
        command = outcome.arrays["a"]
        assert command.shape == self.shape
        assert command.dtype == self.field.numpy_dtype
        assert np.isfinite(command).all()
        wide = command.astype(np.float64)
        if self.field.is_float:
            getattr(self, f"_{self.field.semantics}")(wide, origin, dt, outcome)
        elif self.limits.low is not None or self.limits.high is not None:
            self._inside(wide)
        self.previous = wide
        self.was = outcome.status

    def _bound(self, name: str, missing: float) -> Any:
        value = getattr(self.limits, name)
        return missing if value is None else np.array(value)

    def _moved(self, change: Any, name: str, dt: float) -> None:
        """The change per dt is inside a limit; a change that is not known is NaN."""
        bound = getattr(self.limits, name)
        if bound is not None:
            assert not np.any(np.abs(change) > np.array(bound) * dt)

    def _inside(self, value: Any, before: Any = None) -> None:
        low, high = self._bound("low", -np.inf), self._bound("high", np.inf)
        # A range that no number of the dtype fits into (a locked joint) is met to the nearest.
        near = float(np.finfo(self.field.dtype).eps) if self.field.is_float else 0.0
        if np.all(np.isfinite(low) & np.isfinite(high)):
            narrow = np.where(high - low <= 4 * near * np.maximum(abs(low), abs(high)), near, 0)
            low, high = low - narrow * abs(low), high + narrow * abs(high)
        if before is not None:
            low, high = np.fmin(low, before), np.fmax(high, before)
        assert np.all(value >= low) and np.all(value <= high)

    def _position(self, wide: Any, origin: Any, dt: float, outcome: Outcome) -> None:
        if outcome.robot_hold and self.field.fallback == "hold":
            return  # the pose is unknown: the array is not what holds the robot
        before = origin if origin is not None else self.previous
        self._inside(wide, before)
        if before is not None:
            self._moved(wide - before, "max_rate", dt)

    def _delta(self, wide: Any, origin: Any, dt: float, outcome: Outcome) -> None:
        self._moved(wide, "max_rate", dt)
        if self.limits.low is None and self.limits.high is None:
            return
        known = ~np.isnan(origin)
        target = np.where(known, origin + wide, 0.0)
        before = np.where(known, origin, 0.0)
        self._inside(target, before)

    def _velocity(self, wide: Any, origin: Any, dt: float, outcome: Outcome) -> None:
        self._inside(wide)
        assert np.all(np.abs(wide) <= self._bound("max_rate", np.inf))
        if self.previous is not None and (outcome.status == "policy" or self._decays()):
            self._moved(wide - self.previous, "max_acceleration", dt)

    def _decays(self) -> bool:
        return self.field.fallback == "decay"

    def _torque(self, wide: Any, origin: Any, dt: float, outcome: Outcome) -> None:
        self._opaque(wide, origin, dt, outcome)
        assert outcome.robot_hold is (outcome.status != "policy")

    def _opaque(self, wide: Any, origin: Any, dt: float, outcome: Outcome) -> None:
        self._inside(wide)
        if outcome.status == self.was == "policy":
            self._moved(wide - self.previous, "max_rate", dt)


def origin_of(guard: Guard, shape: tuple[int, ...], measured: dict[str, Any]) -> Any:
    """Where the guard rates from, read before the step."""
    gate = guard.gate.limiters["a"]
    field = gate.field
    if not gate.posed:
        return None
    if field.semantics == "delta" and field.reference == "measured":
        return np.array(gate._good).reshape(shape)  # type: ignore[attr-defined]
    return gate.sent().reshape(shape)


def drive(contract: Contract, num_envs: int, seed: int, steps: int, wild: float) -> None:
    rng = np.random.default_rng(seed)
    guard = Guard(contract, num_envs, rearm=str(rng.choice(["manual", "on_reset", "auto"])))
    robot = Robot(contract, num_envs)
    field, shape = contract.action[0], robot.shape
    follows = field.semantics == "delta" and field.reference == "measured"
    now = 0
    for _ in range(steps):
        now += int(rng.choice([0, 1000, T, T, T, 20 * T]))
        measured = {"q": numbers(rng, shape, contract.observation[0].dtype, wild)}
        draw = rng.random()
        if draw < 0.05:
            mask = rng.random(num_envs) < 0.5 if rng.random() < 0.5 else None
            guard.reset(now, measured if rng.random() < 0.5 else None, mask=mask)
            robot.previous, robot.was = None, ""
        elif draw < 0.10:
            guard.rearm(now)
        elif draw < 0.15:
            guard.reconnected(now)
        action = None if rng.random() < 0.3 else {"a": numbers(rng, shape, field.dtype, wild)}
        dt_ns = rng.choice([None, T, T, T, 0, -T, 10**15, 1])
        if guard.gate.pending:
            guard.gate.seed(measured)
        origin = origin_of(guard, shape, measured)
        outcome = guard.apply(now, action, measured, dt_ns, "deadline")
        if outcome.status == "disarmed" or (follows and guard.gate.limiters["a"].posed):
            origin = origin_of(guard, shape, measured)
        if guard.ladder.transitions and guard.ladder.transitions[-1].now_ns == now:
            last = guard.ladder.transitions[-1]
            if last.before is Level.STOPPED:
                origin, robot.previous = origin_of(guard, shape, measured), None
        assert (outcome.status == "policy") is (outcome.cause == "")
        assert (outcome.status == "policy") is (outcome.level is Level.NORMAL)
        robot.receive(outcome, origin, guard.gate.step_ns(dt_ns) / 1e9)


@settings(max_examples=300, deadline=None)
@given(
    a_contract(), st.sampled_from([1, 2, 7]), st.integers(0, 2**32), st.sampled_from([0, 0.02, 0.4])
)
def test_limits_hold(contract: Contract, num_envs: int, seed: int, wild: float) -> None:
    drive(contract, num_envs, seed, 25, wild)


@settings(max_examples=300, deadline=None)
@given(a_contract(), st.integers(0, 2**32), st.sampled_from([0, 0.02, 0.4]))
def test_limits_hold_by_arrays(contract: Contract, seed: int, wild: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limiter, "LOOP_MAX", 0)
        drive(contract, 2, seed, 25, wild)


@pytest.mark.parametrize("semantics", sorted(SEMANTICS))
def test_limits_hold_for_thousands(semantics: str) -> None:
    contract = Contract(
        name="many",
        observation=(Field("q", (12,), "float32"),),
        action=(
            ActionField(
                "a",
                (12,),
                "float32",
                semantics=semantics,
                measured_position="q" if semantics in ("position", "delta") else "",
                fallback="zero" if semantics == "opaque" else "",
            ),
        ),
        control_dt_ns=T,
        limits={"a": Limits((-1.5,) * 12, (1.5,) * 12, (3.0,) * 12)},
    )
    drive(contract, 4096, 1, 30, 0.0)


@settings(max_examples=200, deadline=None)
@given(a_contract(), st.integers(0, 2**32), st.sampled_from([0, 0.02]))
def test_loop_and_arrays_agree(contract: Contract, seed: int, wild: float) -> None:
    rng = np.random.default_rng(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limiter, "LOOP_MAX", 10**9)
        loop = Guard(contract, 2, rearm="auto")
        patch.setattr(limiter, "LOOP_MAX", 0)
        array = Guard(contract, 2, rearm="auto")
    field = contract.action[0]
    for step in range(25):
        measured = {"q": numbers(rng, (2, *field.shape), contract.observation[0].dtype, wild)}
        action = {"a": numbers(rng, (2, *field.shape), field.dtype, wild)}
        chosen = action if rng.random() < 0.8 else None
        one = loop.apply(step * T, chosen, measured, T)
        two = array.apply(step * T, chosen, measured, T)
        assert one[1:] == two[1:]
        np.testing.assert_array_equal(one.arrays["a"], two.arrays["a"])
