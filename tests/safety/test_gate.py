from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from isthmus.contract import ActionField, Contract, Field, Limits
from isthmus.errors import ContractError
from isthmus.safety import Gate
from isthmus.safety.gate import REASONS

T = 40_000_000
DT = 0.04
F32 = np.float32


def f32(*values: float) -> Any:
    return np.array([values], F32)


def gate_of(contract: Contract, pose: Any = None, num_envs: int = 1) -> Gate:
    gate = Gate(contract, num_envs)
    if pose is not None:
        gate.seed({"q": pose})
    return gate


def test_position_is_swept_through_its_range(contracts: Any, path: str) -> None:
    """Every raw value from beyond one reject bound to beyond the other."""
    contract = contracts.one(limits=contracts.box(low=-1.0, high=2.0))
    for raw in np.linspace(-3, 4, 281):
        gate = gate_of(contract, f32(0, 0, 0))
        admission = gate.admit({"a": f32(raw, 0, 0)}, {}, T)
        if not -2.5 <= F32(raw) <= 3.5:
            assert (admission.accepted, admission.reason) == (False, "out_of_range")
            assert admission.arrays == {}
            continue
        expected = min(max(float(F32(raw)), -1.0), 2.0)
        assert admission.arrays["a"][0].tolist() == [expected, 0, 0]
        assert admission.clipped == (expected != F32(raw))
        assert admission.rate_limited == 0


def test_position_rate_is_swept(contracts: Any, path: str) -> None:
    contract = contracts.one(limits=contracts.box(low=-9, high=9, max_rate=2.5))
    for raw in np.linspace(-0.5, 0.5, 201):
        gate = gate_of(contract, f32(0.25, 0, 0))
        admission = gate.admit({"a": f32(0.25 + raw, 0, 0)}, {}, T)
        moved = float(admission.arrays["a"][0, 0]) - 0.25
        assert abs(moved) <= 2.5 * DT
        assert moved == pytest.approx(np.clip(raw, -0.1, 0.1), abs=1e-6)
        assert admission.rate_limited == (abs(float(F32(0.25 + raw)) - 0.25) > 0.1)


def test_rate_is_measured_from_what_was_sent(contracts: Any, path: str) -> None:
    contract = contracts.one(limits=contracts.box(low=-9, high=9, max_rate=1.0))
    gate = gate_of(contract, f32(0, 0, 0))
    for step in range(1, 20):
        admission = gate.admit({"a": f32(5, 5, 5)}, {"q": f32(0, 0, 0)}, T)
        assert admission.arrays["a"] == pytest.approx(step * DT, rel=1e-5)
        assert admission.rate_limited == 3


@pytest.mark.parametrize(
    ("dt_ns", "periods"),
    [(None, 1), (0, 0), (-T, 0), (T // 2, 0.5), (T, 1), (2 * T, 2), (3 * T, 2), (10**18, 2)],
)
def test_time_since_the_last_command(
    contracts: Any, path: str, dt_ns: int | None, periods: float
) -> None:
    gate = gate_of(contracts.one(limits=contracts.box(max_rate=1.0)), f32(0, 0, 0))
    moved = gate.admit({"a": f32(5, -5, 0)}, {}, dt_ns).arrays["a"][0]
    assert moved == pytest.approx([periods * DT, -periods * DT, 0], rel=1e-5)


@pytest.mark.parametrize("start", [2.5, -1.4])
def test_a_pose_outside_only_comes_back(contracts: Any, path: str, start: float) -> None:
    contract = contracts.one(limits=contracts.box(low=-1.0, high=2.0, max_rate=1.0))
    inward = -1 if start > 0 else 1
    gate = gate_of(contract, f32(start, 0, 0))
    before = float(F32(start))
    for _ in range(20):
        outward = gate.admit({"a": f32(start, 0, 0)}, {}, T)
        now = float(outward.arrays["a"][0, 0])
        assert 0 <= (now - before) * inward <= DT
        before = now
    assert -1.0 <= before <= 2.0


@pytest.mark.parametrize("reference", ["target", "measured"])
def test_increments_are_swept(contracts: Any, path: str, reference: str) -> None:
    limits = contracts.box(low=-1.0, high=1.0, max_rate=2.5)
    contract = contracts.one("delta", limits=limits, reference=reference)
    pose = f32(0.95, 0, -0.95)
    for raw in np.linspace(-0.5, 0.5, 201):
        gate = gate_of(contract, pose)
        admission = gate.admit({"a": f32(raw, raw, raw)}, {"q": pose}, T)
        sent = admission.arrays["a"][0].astype(float)
        target = pose[0].astype(float) + sent
        assert np.all(np.abs(sent) <= 0.1) and np.all(np.abs(target) <= 1.0)
        bounded = np.clip(raw, [-0.1, -0.1, -0.05], [0.05, 0.1, 0.1])
        assert sent == pytest.approx(bounded, abs=1e-6)


def test_increments_far_out_are_rejected(contracts: Any, path: str) -> None:
    contract = contracts.one("delta", limits=contracts.box(low=-1.0, high=1.0))
    gate = gate_of(contract, f32(0.5, 0, 0))
    assert gate.admit({"a": f32(1.6, 0, 0)}, {}, T).reason == "out_of_range"
    assert gate.admit({"a": f32(1.4, 0, 0)}, {}, T).clipped == 1


@pytest.mark.parametrize("reference", ["target", "measured"])
def test_an_arm_pushed_outside_may_only_move_back(
    contracts: Any, path: str, reference: str
) -> None:
    contract = contracts.one("delta", limits=contracts.box(low=-1.0, high=1.0), reference=reference)
    pose = f32(1.3, 1.3, -1.3)
    sent = gate_of(contract, pose).admit({"a": f32(0.1, -0.1, -0.1)}, {"q": pose}, T).arrays["a"]
    assert sent[0].tolist() == [0, F32(-0.1), 0]


def test_the_target_is_what_increments_add_up_to(contracts: Any, path: str) -> None:
    contract = contracts.one("delta", limits=contracts.box(low=-1.0, high=1.0))
    gate, target = gate_of(contract, f32(0, 0, 0)), np.zeros(3)
    for _ in range(30):
        admission = gate.admit({"a": f32(0.07, -0.07, 0.01)}, {"q": f32(9, 9, 9)}, T)
        target += admission.arrays["a"][0]
        assert np.all(np.abs(target) <= 1.0)
    assert target == pytest.approx([1, -1, 0.3], abs=1e-5)


def test_increments_without_position_limits_need_no_pose(contracts: Any, path: str) -> None:
    contract = contracts.one("delta", limits=contracts.box(max_rate=1.0), posed=False)
    gate = Gate(contract)
    assert not gate.pending
    assert gate.admit({"a": f32(1, -1, 0.01)}, {}, T).arrays["a"][0] == pytest.approx(
        [0.04, -0.04, 0.01], rel=1e-5
    )


def test_measured_increments_use_the_last_good_pose(contracts: Any, path: str) -> None:
    contract = contracts.one(
        "delta", limits=contracts.box(low=-1.0, high=1.0), reference="measured"
    )
    gate = gate_of(contract, f32(0, 0, 0))
    action = {"a": f32(0.5, 0.5, 0.5)}
    assert gate.admit(action, {"q": f32(0.8, 0.8, 0.8)}, T).clipped == 3
    for broken in ({}, {"q": f32(np.nan, np.inf, 1e30)}, {"q": np.zeros((1, 4), F32)},
                   {"q": np.zeros((1, 3), int)}):  # fmt: skip
        assert gate.admit(action, broken, T).arrays["a"] == pytest.approx(0.2, rel=1e-5)
    mixed = gate.admit(action, {"q": f32(np.nan, 0.9, 0)}, T).arrays["a"][0]
    assert mixed == pytest.approx([0.2, 0.1, 0.5], rel=1e-5)


def test_velocity(contracts: Any, path: str) -> None:
    limits = contracts.box(low=-1.0, high=3.0, max_rate=2.0, max_acceleration=5.0)
    gate = Gate(contracts.one("velocity", limits=limits))
    before = np.zeros(3)
    for raw in (*np.linspace(0, 3, 31), *np.linspace(3, -2, 51)):
        admission = gate.admit({"a": f32(raw, raw, raw)}, {}, T)
        now = admission.arrays["a"][0].astype(float)
        assert np.all(now >= -1) and np.all(now <= 2)
        assert np.all(np.abs(now - before) <= 5.0 * DT)
        assert admission.clipped == 3 * (not -1 <= F32(raw) <= 2)
        before = now
    assert gate.admit({"a": f32(5.1, 0, 0)}, {}, T).reason == "out_of_range"


def test_torque_rate_starts_with_the_second_command(contracts: Any, path: str) -> None:
    gate = Gate(contracts.one("torque", limits=contracts.box(low=-9, high=9, max_rate=25.0)))
    assert gate.admit({"a": f32(5, 12, -5)}, {}, T).arrays["a"][0].tolist() == [5, 9, -5]
    second = gate.admit({"a": f32(8, 9, -8)}, {}, T)
    assert second.arrays["a"][0] == pytest.approx([6, 9, -6], rel=1e-5)
    assert (second.clipped, second.rate_limited) == (0, 2)
    gate.forget()
    assert gate.admit({"a": f32(-5, 0, 5)}, {}, T).arrays["a"][0].tolist() == [-5, 0, 5]


def test_acceleration_reaches_a_goal_without_passing_it(contracts: Any, path: str) -> None:
    limits = contracts.box(low=-1.0, high=1.0, max_rate=1.5, max_acceleration=4.0)
    gate = gate_of(contracts.one(limits=limits), f32(0, 0, 0))
    sent, speed = np.zeros(3), np.zeros(3)
    for _ in range(100):
        now = gate.admit({"a": f32(0.9, -0.9, 1.2)}, {}, T).arrays["a"][0].astype(float)
        change = (now - sent) / DT - speed
        assert np.all(np.abs((now - sent) / DT) <= 1.5)
        assert np.all(np.abs(change) <= 4.0 * DT * 1.3)
        sent, speed = now, (now - sent) / DT
        assert np.all(np.abs(sent) <= [0.905, 0.905, 1.0])
    assert sent == pytest.approx([0.9, -0.9, 1.0], abs=2e-3)


@pytest.mark.parametrize("reference", ["target", "measured"])
def test_accelerated_increments_stop_at_the_limit(
    contracts: Any, path: str, reference: str
) -> None:
    limits = contracts.box(low=-1.0, high=1.0, max_rate=1.5, max_acceleration=4.0)
    contract = contracts.one("delta", limits=limits, reference=reference)
    pose, speed = f32(0, 0, 0), np.zeros(3)
    gate = gate_of(contract, pose)
    for _ in range(100):
        sent = gate.admit({"a": f32(0.1, -0.1, 0.01)}, {"q": pose}, T).arrays["a"]
        assert np.all(np.abs(sent[0] / DT - speed) <= 4.0 * DT * 1.3)
        speed = sent[0] / DT
        pose = (pose + sent).astype(F32)
        assert np.all(np.abs(pose) <= 1 + 1e-6)
    assert pose[0] == pytest.approx([1, -1, 1], abs=5e-3)


def test_no_time_no_acceleration(contracts: Any, path: str) -> None:
    limits = contracts.box(low=-1.0, high=1.0, max_acceleration=4.0)
    gate = gate_of(contracts.one(limits=limits), f32(0.5, 0, 0))
    assert gate.admit({"a": f32(0.9, 0, 0)}, {}, 0).arrays["a"][0].tolist() == [0.5, 0, 0]
    increments = gate_of(contracts.one("delta", limits=limits), f32(0.5, 0, 0))
    assert increments.admit({"a": f32(0.1, 0, 0)}, {}, 0).arrays["a"][0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("semantics", ["position", "delta", "velocity", "torque", "opaque"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("limited", [True, False])
def test_what_is_not_finite_is_rejected(
    contracts: Any, path: str, semantics: str, dtype: str, bad: float, limited: bool
) -> None:
    limits = contracts.box(low=-1.0, high=1.0, max_rate=9.0) if limited else None
    contract = contracts.one(semantics, limits=limits, dtype=dtype)
    gate = gate_of(contract, f32(0, 0, 0))
    for index in range(3):
        values = np.zeros((1, 3), dtype)
        values[0, index] = bad
        assert gate.admit({"a": values}, {"q": f32(0, 0, 0)}, T).reason == "not_finite"
    assert gate.admit({"a": np.zeros((1, 3), dtype)}, {"q": f32(0, 0, 0)}, T).accepted


def test_huge_numbers_are_not_mistaken_for_infinite(contracts: Any, path: str) -> None:
    gate = gate_of(contracts.one(), f32(0, 0, 0))
    assert gate.admit({"a": f32(3e38, -3e38, 1e-45)}, {}, T).accepted


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ({}, "missing_field"),
        ({"b": f32(0, 0, 0)}, "missing_field"),
        ({"a": f32(0, 0, 0), "b": f32(0, 0, 0)}, "unknown_field"),
        ({"a": None}, "missing_field"),
        ({"a": [[0.0, 0.0, 0.0]]}, "shape"),
        ({"a": f32(0, 0)}, "shape"),
        ({"a": f32(0, 0, 0)[0]}, "shape"),
        ({"a": np.zeros((2, 3), F32)}, "shape"),
        ({"a": np.zeros((1, 3))}, "dtype"),
        ({"a": np.zeros((1, 3), ">f4")}, "dtype"),
        ({"a": np.zeros((1, 3), object)}, "dtype"),
    ],
)
def test_what_does_not_fit_is_rejected(contracts: Any, action: Any, reason: str) -> None:
    gate = gate_of(contracts.one(), f32(0, 0, 0))
    assert gate.admit(action, {}, T).reason == reason
    assert reason in REASONS


def test_no_pose_no_motion(contracts: Any, path: str) -> None:
    for semantics in ("position", "delta"):
        gate = Gate(contracts.one(semantics, limits=contracts.box(low=-1.0, high=1.0)))
        for broken in ({}, {"q": f32(np.nan, 0, 0)}, {"q": f32(1e30, 0, 0)}):
            gate.seed(broken)
            assert gate.pending
            assert gate.admit({"a": f32(0, 0, 0)}, broken, T).reason == "no_pose"
            assert gate.admit({"a": f32(np.nan, 0, 0)}, broken, T).reason == "not_finite"
        gate.seed({"q": f32(0.5, 7, 7)})
        assert gate.admit({"a": f32(0, 0, 0)}, {"q": f32(0, 0, 0)}, T).accepted


def test_a_rejected_action_leaves_no_trace(contracts: Any, path: str) -> None:
    two = Contract(
        name="two",
        observation=(Field("q", (3,), "float32"),),
        action=(
            ActionField("a", (3,), "float32", semantics="position", measured_position="q"),
            ActionField("b", (3,), "float32", semantics="torque"),
        ),
        control_dt_ns=T,
        limits={"a": Limits(max_rate=(1.0,) * 3)},
    )
    gate = gate_of(two, f32(0, 0, 0))
    bad = gate.admit({"a": f32(9, 9, 9), "b": f32(np.nan, 0, 0)}, {}, T)
    assert (bad.accepted, bad.reason) == (False, "not_finite")
    good = gate.admit({"a": f32(9, 9, 9), "b": f32(1, 2, 3)}, {}, T)
    assert good.arrays["a"] == pytest.approx(0.04, rel=1e-5)
    assert gate.examine({"a": f32(9, 9, 9), "b": f32(0, 0, 0)}, {}, T).accepted
    assert gate.limiters["b"].last()[0][0].tolist() == [1, 2, 3]


def test_outputs_are_fresh_and_the_input_is_left_alone(contracts: Any, path: str) -> None:
    gate = gate_of(contracts.one(limits=contracts.box(max_rate=1.0)), f32(0, 0, 0))
    raw = f32(1, 0, 0)
    raw.setflags(write=False)
    first = gate.admit({"a": raw}, {}, T)
    first.arrays["a"][...] = 77
    assert gate.admit({"a": raw}, {}, T).arrays["a"][0, 0] == pytest.approx(0.08, rel=1e-5)
    assert raw[0].tolist() == [1, 0, 0]


def test_arrays_in_any_memory_order(contracts: Any, path: str) -> None:
    gate = gate_of(contracts.one(limits=contracts.box(max_rate=1.0)), np.zeros((4, 3), F32), 4)
    raw = np.asfortranarray(np.arange(12, dtype=F32).reshape(4, 3))
    out = gate.admit({"a": raw}, {}, T).arrays["a"]
    assert out[0].tolist() == pytest.approx([0, 0.04, 0.04], rel=1e-5)
    assert gate.admit({"a": out[:, ::-1]}, {}, T).accepted


def test_which_values_were_altered(contracts: Any, path: str) -> None:
    gate = gate_of(contracts.one(limits=contracts.box(low=-1.0, high=1.0)), f32(0, 0, 0))
    assert gate.admit({"a": f32(0.5, 1.5, -1.5)}, {}, T).altered("a").tolist() == [1, 2]


def test_bounds_are_rounded_inward(contracts: Any, path: str) -> None:
    contract = contracts.one(limits=contracts.box(low=-0.1, high=0.1))
    out = gate_of(contract, f32(0, 0, 0)).admit({"a": f32(0.15, -0.15, 0.1)}, {}, T).arrays["a"]
    assert np.all(out.astype(float) <= 0.1) and np.all(out.astype(float) >= -0.1)
    assert np.abs(out) == pytest.approx(0.1, rel=1e-6)


def test_a_locked_joint_collapses_to_the_nearest(contracts: Any, path: str) -> None:
    contract = contracts.one(limits=contracts.box(low=0.1, high=0.1))
    admission = gate_of(contract, f32(0.1, 0.1, 0.1)).admit({"a": f32(0.5, 0.1, 0)}, {}, T)
    assert admission.arrays["a"][0].tolist() == [F32(0.1)] * 3
    assert admission.clipped == 2


@pytest.mark.parametrize("side", ["low", "high"])
def test_a_range_open_on_one_side_rejects_nothing(contracts: Any, path: str, side: str) -> None:
    gate = gate_of(contracts.one(limits=contracts.box(**{side: 1.0})), f32(1, 1, 1))
    out = gate.admit({"a": f32(-1e30, 1, 1e30)}, {}, T).arrays["a"][0]
    assert out.tolist() == ([1, 1, F32(1e30)] if side == "low" else [F32(-1e30), 1, 1])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("side", ["low", "high"])
def test_increments_towards_an_open_side(contracts: Any, path: str, side: str, dtype: str) -> None:
    bound = -1.0 if side == "low" else 1.0
    contract = contracts.one("delta", limits=contracts.box(**{side: bound}), dtype=dtype)
    gate = gate_of(contract, f32(0, 0, 0))
    first = gate.admit({"a": np.array([[0.5, -0.5, 0.25]], dtype)}, {}, T)
    assert (first.arrays["a"][0].tolist(), first.clipped) == ([0.5, -0.5, 0.25], 0)
    second = gate.admit({"a": np.array([[0.75, -0.75, 0.25]], dtype)}, {}, T)
    expected = [0.75, -0.5, 0.25] if side == "low" else [0.5, -0.75, 0.25]
    assert second.arrays["a"][0] == pytest.approx(expected, rel=1e-2)
    assert second.clipped == 1


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_without_limits_the_largest_numbers_pass(contracts: Any, path: str, dtype: str) -> None:
    top = np.finfo(dtype).max
    for semantics in ("position", "delta", "velocity", "torque", "opaque"):
        gate = gate_of(contracts.one(semantics, dtype=dtype), f32(0, 0, 0))
        admission = gate.admit({"a": np.array([[top, -top, 0]], dtype)}, {}, T)
        assert (admission.accepted, admission.clipped) == (True, 0)
        assert admission.arrays["a"][0].tolist() == [top, -top, 0]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "uint64", "bool"])
def test_whole_numbers_are_inside_or_rejected(contracts: Any, path: str, dtype: str) -> None:
    contract = contracts.one("opaque", limits=contracts.box(low=0.0, high=1.0), dtype=dtype)
    gate = Gate(contract)
    assert gate.admit({"a": np.array([[0, 1, 1]], dtype)}, {}, T).accepted
    assert gate.limiters["a"].last()[0].tolist() == [[0, 1, 1]]
    if dtype != "bool":
        assert gate.admit({"a": np.array([[0, 1, 2]], dtype)}, {}, T).reason == "out_of_range"
        assert gate.limiters["a"].last()[0].tolist() == [[0, 1, 1]]


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_the_ends_of_64_bits(contracts: Any, path: str, dtype: str) -> None:
    info = np.iinfo(dtype)
    ends = np.array([[info.min, info.max, 1]], dtype)
    free = Gate(contracts.one("opaque", dtype=dtype))
    assert free.admit({"a": ends}, {}, T).arrays["a"].tolist() == ends.tolist()
    assert free.limiters["a"].last()[0].tolist() == ends.tolist()
    half = Gate(contracts.one("opaque", limits=contracts.box(low=0.0), dtype=dtype))
    assert half.admit({"a": ends}, {}, T).accepted is (dtype == "uint64")


def test_limits_that_leave_nothing_safe_are_refused(contracts: Any) -> None:
    with pytest.raises(ContractError, match="standing still must always be allowed"):
        Gate(contracts.one("velocity", limits=contracts.box(low=0.5, high=1.0)))
    with pytest.raises(ContractError, match="hold no whole number"):
        narrow = contracts.box(low=0.2, high=0.8)
        Gate(contracts.one("opaque", limits=narrow, dtype="int32", fallback="hold"))


def test_environments_that_reset_alone(contracts: Any, path: str) -> None:
    contract = contracts.one(limits=contracts.box(max_rate=1.0))
    gate = gate_of(contract, np.zeros((3, 3), F32), 3)
    gate.forget(np.array([False, True, False]))
    assert gate.pending
    gate.seed({"q": np.full((3, 3), 5, F32)})
    out = gate.admit({"a": np.full((3, 3), 9, F32)}, {}, T).arrays["a"]
    assert out[:, 0] == pytest.approx([0.04, 5.04, 0.04], rel=1e-5)


def test_whole_numbers_reset_alone(contracts: Any) -> None:
    gate = Gate(contracts.one("opaque", dtype="int32", fallback="hold"), 2)
    gate.admit({"a": np.full((2, 3), 4, np.int32)}, {}, T)
    gate.forget(np.array([True, False]))
    assert gate.limiters["a"].last()[0].tolist() == [[0, 0, 0], [4, 4, 4]]


def test_a_field_without_axes() -> None:
    contract = Contract(
        name="scalar",
        observation=(Field("x", (), "float32"),),
        action=(
            ActionField("a", (), "float32", semantics="position", measured_position="x"),
            ActionField("grip", (), "int64", fallback="zero"),
        ),
        control_dt_ns=T,
        limits={"a": Limits(low=(0.0,), high=(1.0,))},
    )
    gate = Gate(contract, 2)
    gate.seed({"x": np.zeros(2, F32)})
    action = {"a": np.array([0.5, 1.2], F32), "grip": np.array([1, 2])}
    arrays = gate.admit(action, {}, T).arrays
    assert arrays["a"].tolist() == [0.5, 1.0]
    assert arrays["grip"].tolist() == [1, 2]


def test_an_increment_of_exactly_the_way_to_the_bound(contracts: Any, path: str) -> None:
    """Rounded, such an increment can end a last bit outside."""
    rng = np.random.default_rng(3)
    contract = contracts.one(
        "delta", limits=contracts.box(low=-1e-6, high=0.3), reference="measured", dtype="float64"
    )
    gate = Gate(contract)
    gate.seed({"q": np.zeros((1, 3))})
    for _ in range(300):
        pose = rng.uniform(0, 0.3, (1, 3))
        for bound in (-1e-6, 0.3):
            for way in (
                bound - pose,
                np.nextafter(bound - pose, 9),
                np.nextafter(bound - pose, -9),
            ):
                sent = gate.admit({"a": way}, {"q": pose}, T).arrays["a"]
                assert np.all(pose + sent >= -1e-6) and np.all(pose + sent <= 0.3)


@pytest.mark.parametrize("semantics", ["position", "delta"])
def test_a_step_of_exactly_the_rate_passes_as_it_is(
    contracts: Any, path: str, semantics: str
) -> None:
    contract = contracts.one(semantics, limits=contracts.box(low=-1, high=1, max_rate=3.125))
    admission = gate_of(contract, f32(0, 0, 0)).admit({"a": f32(0.125, -0.125, 0)}, {}, T)
    assert 3.125 * DT == 0.125
    assert admission.arrays["a"][0].tolist() == [0.125, -0.125, 0]
    assert admission.rate_limited == 0


@pytest.mark.parametrize("reference", ["target", "measured"])
def test_a_locked_joint_takes_no_increment(contracts: Any, path: str, reference: str) -> None:
    contract = contracts.one(
        "delta", limits=contracts.box(low=0.3, high=0.3), dtype="float64", reference=reference
    )
    gate = Gate(contract)
    pose = np.array([[0.3, 0.25, 0.35]])
    pose = pose.astype(F32) if reference == "target" else pose
    gate.seed({"q": pose})
    sent = gate.admit({"a": np.array([[0.1, 0.1, -0.1]])}, {"q": pose}, T).arrays["a"]
    assert sent[0] == pytest.approx([0, 0.05, -0.05], abs=1e-7)
