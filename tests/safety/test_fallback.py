from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from isthmus.contract.fields import SEMANTICS
from isthmus.safety import Gate
from isthmus.safety.fallback import RULES, fall_back

T = 40_000_000
F32 = np.float32


def f32(*values: float) -> Any:
    return np.array([values], F32)


def fallen(gate: Gate, measured: Any = None, dt_ns: int = T) -> tuple[list[float], bool]:
    arrays, robot_hold = fall_back(gate.limiters, measured or {}, dt_ns)
    assert arrays["a"].shape == (1, 3)
    assert arrays["a"].dtype == gate.limiters["a"].dtype
    return arrays["a"][0].tolist(), robot_hold


def test_every_fallback_a_contract_allows_has_its_rule() -> None:
    assert set(RULES) == {(s, f) for s, allowed in SEMANTICS.items() for f in allowed}


@pytest.mark.parametrize(("fallback", "holds"), [("hold", False), ("robot", True)])
def test_position_repeats_the_last_target(
    contracts: Any, path: str, fallback: str, holds: bool
) -> None:
    gate = Gate(contracts.one(fallback=fallback, limits=contracts.box(max_rate=1.0)))
    assert fallen(gate) == ([0, 0, 0], True)  # no pose yet: the robot must hold itself
    gate.seed({"q": f32(0.5, 0, -0.5)})
    assert fallen(gate) == ([0.5, 0, -0.5], holds)
    sent = gate.admit({"a": f32(1, 1, 1)}, {}, T).arrays["a"][0].tolist()
    for _ in range(3):
        assert fallen(gate, {"q": f32(9, 9, 9)}) == (sent, holds)


def test_an_unknown_pose_falls_to_the_nearest_allowed(contracts: Any, path: str) -> None:
    gate = Gate(contracts.one(limits=contracts.box(low=0.5, high=2.0)))
    gate.seed({"q": f32(1, np.nan, 99)})
    assert fallen(gate) == ([1, 0.5, 0.5], True)


def test_a_position_without_a_measured_field(contracts: Any, path: str) -> None:
    gate = Gate(contracts.one(posed=False, fallback="robot"))
    assert fallen(gate) == ([0, 0, 0], True)
    gate.admit({"a": f32(1, 2, 3)}, {}, T)
    assert fallen(gate) == ([1, 2, 3], True)


@pytest.mark.parametrize("reference", ["target", "measured"])
@pytest.mark.parametrize(("fallback", "holds"), [("zero", False), ("robot", True)])
def test_no_increment(
    contracts: Any, path: str, reference: str, fallback: str, holds: bool
) -> None:
    limits = contracts.box(low=-1.0, high=1.0, max_acceleration=5.0)
    gate = Gate(contracts.one("delta", limits=limits, reference=reference, fallback=fallback))
    assert fallen(gate) == ([0, 0, 0], holds)
    gate.seed({"q": f32(0, 0, 0)})
    gate.admit({"a": f32(0.1, 0.1, 0.1)}, {"q": f32(0, 0, 0)}, T)
    assert fallen(gate) == ([0, 0, 0], holds)


def test_holding_a_target_by_measured_increments(contracts: Any, path: str) -> None:
    limits = contracts.box(low=-1.0, high=1.0, max_rate=2.5)
    gate = Gate(contracts.one("delta", limits=limits, reference="measured", fallback="hold"))
    assert fallen(gate, {"q": f32(0, 0, 0)}) == ([0, 0, 0], False)  # nothing to hold yet
    gate.seed({"q": f32(0, 0, 0)})
    gate.admit({"a": f32(0.05, 0, 0)}, {"q": f32(0, 0, 0)}, T)
    sagged = fallen(gate, {"q": f32(0.05, -0.02, 0.5)})
    assert sagged[0] == pytest.approx([0, 0.02, -0.1], abs=1e-6)
    assert fallen(gate, {"q": f32(np.nan, np.nan, np.nan)})[0] == pytest.approx(sagged[0], abs=1e-6)
    assert fallen(gate, {"q": f32(0.05, -0.02, 0.5)})[0] == pytest.approx(sagged[0], abs=1e-6)


def test_holding_a_target_by_target_increments(contracts: Any, path: str) -> None:
    gate = Gate(contracts.one("delta", fallback="hold"))
    gate.seed({"q": f32(0, 0, 0)})
    gate.admit({"a": f32(0.1, 0, 0)}, {"q": f32(0, 0, 0)}, T)
    assert fallen(gate, {"q": f32(5, 5, 5)}) == ([0, 0, 0], False)


def test_a_target_out_of_reach_of_the_dtype_is_not_chased(contracts: Any, path: str) -> None:
    contract = contracts.one("delta", reference="measured", fallback="hold", dtype="float16")
    gate = Gate(contract)
    gate.seed({"q": f32(60000, 0, 0)})
    assert fallen(gate, {"q": f32(-60000, 0, 0)}) == ([0, 0, 0], False)


@pytest.mark.parametrize("holder", ["position", "torque"])
def test_only_increments_lead_to_a_target(contracts: Any, holder: str) -> None:
    gate = Gate(contracts.one(holder))
    with pytest.raises(TypeError, match="only increments"):
        RULES["delta", "hold"](gate.limiters["a"], {}, T)


def test_velocity_decays_at_max_acceleration(contracts: Any, path: str) -> None:
    limits = contracts.box(max_rate=2.0, max_acceleration=5.0)
    gate = Gate(contracts.one("velocity", limits=limits))
    for _ in range(6):
        admission = gate.admit({"a": f32(1, -1, 0.3)}, {}, T)
    before = np.abs(admission.arrays["a"][0].astype(float))
    assert before == pytest.approx([1, 1, 0.3])
    for step in range(1, 8):
        now = np.abs(fallen(gate)[0])
        assert now == pytest.approx(
            np.maximum([1 - 0.2 * step, 1 - 0.2 * step, 0.3 - 0.2 * step], 0), abs=1e-5
        )
        assert np.all(before - now <= 0.2)
        before = now
    assert fallen(gate) == ([0, 0, 0], False)


def test_velocity_without_an_acceleration_limit_stops(contracts: Any, path: str) -> None:
    gate = Gate(contracts.one("velocity"))
    gate.admit({"a": f32(1, -1, 0.3)}, {}, T)
    assert fallen(gate) == ([0, 0, 0], False)


@pytest.mark.parametrize(("fallback", "holds"), [("zero", False), ("robot", True)])
def test_velocity_zero(contracts: Any, path: str, fallback: str, holds: bool) -> None:
    limits = contracts.box(max_acceleration=5.0)
    gate = Gate(contracts.one("velocity", limits=limits, fallback=fallback))
    gate.admit({"a": f32(1, -1, 0.3)}, {}, T)
    assert fallen(gate) == ([0, 0, 0], holds)
    again = gate.admit({"a": f32(1, -1, 0.3)}, {}, T).arrays["a"][0]
    assert again == pytest.approx([0.2, -0.2, 0.2], rel=1e-5)


def test_torque_is_never_zeroed_once_known(contracts: Any, path: str) -> None:
    gate = Gate(contracts.one("torque", limits=contracts.box(low=0.5, high=9)))
    assert fallen(gate) == ([0.5, 0.5, 0.5], True)
    gate.admit({"a": f32(3, 4, 5)}, {}, T)
    assert fallen(gate) == ([3, 4, 5], True)


@pytest.mark.parametrize("dtype", ["float32", "int32", "uint64"])
@pytest.mark.parametrize(
    ("fallback", "value", "before", "after", "holds"),
    [
        ("value", (2.0,), [2, 2, 2], [2, 2, 2], False),
        ("value", (1.0, 2.0, 3.0), [1, 2, 3], [1, 2, 3], False),
        ("zero", (), [0, 0, 0], [0, 0, 0], False),
        ("hold", (), [0, 0, 0], [3, 4, 5], False),
        ("robot", (), [0, 0, 0], [3, 4, 5], True),
    ],
)
def test_opaque(
    contracts: Any, path: str, dtype: str, fallback: str, value: Any, before: Any, after: Any,
    holds: bool,
) -> None:  # fmt: skip
    contract = contracts.one("opaque", dtype=dtype, fallback=fallback, fallback_value=value)
    gate = Gate(contract)
    assert fallen(gate) == (before, holds)
    gate.admit({"a": np.array([[3, 4, 5]], dtype)}, {}, T)
    assert fallen(gate) == (after, holds)


def test_fallbacks_are_fresh_arrays(contracts: Any, path: str) -> None:
    for semantics in ("position", "delta", "velocity", "torque", "opaque"):
        gate = Gate(contracts.one(semantics))
        gate.seed({"q": f32(0, 0, 0)})
        fall_back(gate.limiters, {}, T)[0]["a"][...] = 7
        assert fallen(gate)[0] == [0, 0, 0]
