from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from isthmus.contract import ActionField, Contract, Field, Limits
from isthmus.errors import PolicyLoadError
from isthmus.policy import Policy, allocate_action, load
from isthmus.policy.constant import ConstantPolicy, parse_values


def answer(policy: Policy, n: int = 2) -> dict[str, np.ndarray]:
    action = allocate_action(policy.contract, n)
    policy.infer({}, action, {}, {})
    return action


def with_action(contract: Contract, field: ActionField, limits: Limits | None = None) -> Contract:
    return replace(contract, action=(field,), limits={} if limits is None else {field.name: limits})


def test_zeros_are_the_default_for_deltas(contract):
    policy = load("constant", contract=contract)
    action = allocate_action(contract, 4)
    action["delta"][...] = 7
    policy.infer({}, action, {}, {})
    assert (action["delta"] == 0).all()
    assert isinstance(policy, Policy)
    assert (policy.kind, policy.name, policy.initial_state(3)) == ("constant", "constant", {})


def test_one_number_fills_every_entry_and_a_list_names_each(contract):
    assert (answer(load("constant:0.1", contract=contract))["delta"] == np.float32(0.1)).all()
    row = answer(load("constant:0.1,-0.05,0", contract=contract), 3)["delta"]
    assert row.tolist() == [[np.float32(0.1), np.float32(-0.05), 0.0]] * 3


def test_fields_by_name(contract):
    both = replace(
        contract,
        action=(
            *contract.action,
            ActionField("gripper", (), "int32", fallback="hold"),
            ActionField("grid", (2, 3), "float64", fallback="zero"),
        ),
    )
    action = answer(load("constant:gripper=1; grid=1,2,3", contract=both))
    assert action["gripper"].tolist() == [1, 1]
    assert action["grid"].shape == (2, 2, 3)
    assert action["grid"][1, 1].tolist() == [1, 2, 3]
    assert (action["delta"] == 0).all()


def test_it_needs_a_contract():
    with pytest.raises(PolicyLoadError, match="--contract FILE"):
        load("constant")


@pytest.mark.parametrize("text", ["a", "1,,2", "x=1;x=2", "=1", "x=1;2", "x="])
def test_unreadable_values(contract, text):
    with pytest.raises(PolicyLoadError, match="is not understood"):
        parse_values(text)


@pytest.mark.parametrize("semantics", ["position", "torque"])
def test_position_and_torque_need_a_value(contract, semantics):
    field = ActionField("cmd", (3,), "float32", semantics=semantics, fallback="robot")
    held = with_action(contract, field)
    with pytest.raises(PolicyLoadError, match=f"{semantics} and needs a value"):
        load("constant", contract=held)
    assert (answer(load("constant:0", contract=held))["cmd"] == 0).all()


LIMITED = [
    ("position", Limits(low=(-1, -1, -1), high=(1, 1, 0.5)), (1, 1, 0.6), "entry 2.*high"),
    ("position", Limits(low=(-1, -1, -1)), (-1, -2, 0), "entry 1.*low"),
    ("torque", Limits(high=(2, 2, 2)), 3.0, "entry 0.*high"),
    ("velocity", Limits(max_rate=(1, 1, 1)), -1.5, "max_rate by 0.5"),
    ("delta", Limits(max_rate=(1, 1, 1)), 0.05, "max_rate x control_dt by 0.01"),
]


@pytest.mark.parametrize(("semantics", "limits", "value", "message"), LIMITED)
def test_values_beyond_the_limits_are_refused(contract, semantics, limits, value, message):
    fallback = {"position": "robot", "torque": "robot", "velocity": "zero", "delta": "zero"}
    field = ActionField(
        "cmd", (3,), "float32", semantics=semantics, fallback=fallback[semantics],
        measured_position="q",
    )  # fmt: skip
    with pytest.raises(PolicyLoadError, match=message):
        ConstantPolicy(with_action(contract, field, limits), value)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [("int8", 0.5), ("uint8", -1), ("int8", 128), ("bool", 2), ("float16", 1e6),
     ("float32", float("nan")), ("float64", float("inf"))],
)  # fmt: skip
def test_values_the_dtype_cannot_hold(contract, dtype, value):
    field = ActionField("cmd", (2,), dtype, fallback="zero")
    with pytest.raises(PolicyLoadError, match=f"{dtype}, which cannot hold"):
        ConstantPolicy(with_action(contract, field), value)


def test_wrong_length_and_unknown_field(contract):
    with pytest.raises(PolicyLoadError, match="takes 1 or 3 numbers, got 2"):
        ConstantPolicy(contract, (1.0, 2.0))
    with pytest.raises(PolicyLoadError, match="'q' is no action field; the contract has delta"):
        ConstantPolicy(contract, {"q": 0.0})


def test_the_digest_tells_values_and_interfaces_apart(contract):
    other = replace(contract, observation=(Field("q", (3,), "float32"),))
    digests = {
        ConstantPolicy(contract).digest,
        ConstantPolicy(contract, 0.1).digest,
        ConstantPolicy(other).digest,
    }
    assert len(digests) == 3
    assert ConstantPolicy(contract, 0.1).digest in digests
