from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from isthmus.contract import ActionField, Contract, Field, Limits
from isthmus.contract.contract import PACINGS
from isthmus.errors import ContractError

Make = Callable[..., Contract]
Q = Field("q", (3,), "float32", "rad")


def command(**parts: Any) -> tuple[ActionField, ...]:
    values = {"name": "a", "shape": (3,), "dtype": "float32", "semantics": "delta", **parts}
    return (ActionField(**values),)


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({"observation": ()}, "1 to 256 fields, got 0"),
        ({"action": ()}, "1 to 256 fields, got 0"),
        ({"observation": tuple(replace(Q, name=f"q{i}") for i in range(257))}, "got 257"),
        ({"observation": (Q, Q)}, "duplicate field name 'q'"),
        ({"action": command() * 2}, "duplicate field name 'a'"),
        ({"observation": None}, "list of fields"),
        ({"observation": 7}, "list of fields"),
        ({"observation": "q"}, "list of fields"),
        ({"observation": ("q",)}, "expected Field, got 'q'"),
        ({"observation": command()}, "expected Field, got ActionField"),
        ({"action": (Q,)}, "expected ActionField, got Field"),
        ({"control_dt_ns": 0}, "control_dt_ns must be a whole number from 1"),
        ({"control_dt_ns": 10**13}, "control_dt_ns"),
        ({"control_dt_ns": 10**5000}, "control_dt_ns"),
        ({"control_dt_ns": 4e7}, "control_dt_ns"),
        ({"control_dt_ns": True}, "control_dt_ns"),
        ({"control_dt_ns": "40"}, "control_dt_ns"),
        ({"obs_version": 0}, "obs_version"),
        ({"action_version": None}, "action_version"),
        ({"horizon": 2}, "horizon"),
        ({"horizon": True}, "horizon"),
        ({"horizon": 1.0}, "horizon"),
        ({"actuator": "virtual"}, "actuator 'virtual': use one of simulated, real"),
        ({"actuator": []}, "actuator"),
        ({"actuator": {}}, "actuator"),
        ({"autoreset_mode": "never"}, "disabled, next_step, same_step"),
        ({"name": 3}, "name must be text"),
        ({"name": "x" * 200}, "at most 128"),
        ({"robot_id": None}, "robot_id must be text"),
        ({"limits": None}, "limits: expected a mapping"),
        ({"limits": []}, "limits: expected a mapping"),
        ({"limits": {"b": Limits()}}, "limits name 'b', which is no action field; there are 'del"),
        ({"limits": {7: Limits()}}, "limits name 7"),
        ({"limits": {"delta": {"low": [1]}}}, "expected Limits"),
        ({"limits": {"delta": Limits(low=(0.0,))}}, "have 1 entries; the field's last axis has 3"),
        ({"limits": {"delta": Limits(high=(1e39,) * 3)}}, "outside float32; leave it out"),
    ],
)
def test_what_contradicts_itself_is_refused(arm: Make, parts: dict[str, Any], why: str) -> None:
    with pytest.raises(ContractError, match=why):
        arm(**parts)


@pytest.mark.parametrize(
    ("action", "limits", "why"),
    [
        (command(measured_position="p"), {}, "'p', which is no observation field; there are 'q'"),
        (command(measured_velocity="p"), {}, "measured_velocity names 'p'"),
        (command(measured_position="n"), {}, "must be float and of the same shape"),
        (command(measured_position="wide"), {}, "must be float and of the same shape"),
        (
            command(measured_position="named", labels=("c", "b", "a")),
            {},
            "different joints, or in another order",
        ),
        (command(), {"a": Limits(low=(0.0,) * 3)}, "need measured_position"),
        (
            command(semantics="torque"),
            {"a": Limits(max_acceleration=(1.0,) * 3)},
            "max_acceleration means nothing for torque",
        ),
        (
            command(semantics="opaque", fallback="zero"),
            {"a": Limits(low=(0.0, 0.0, 1.0))},
            "exclude its own fallback 'zero': 0.0 at entry 2",
        ),
        (
            command(semantics="opaque", fallback="value", fallback_value=(3.0,)),
            {"a": Limits(high=(3.0, 2.0, 3.0))},
            "exclude its own fallback 'value': 3.0 at entry 1",
        ),
    ],
)
def test_an_action_that_its_observation_does_not_carry_is_refused(
    action: tuple[ActionField, ...], limits: dict[str, Limits], why: str
) -> None:
    observation = (
        Q,
        Field("n", (3,), "int32"),
        Field("wide", (4,), "float32"),
        Field("named", (3,), "float32", "", ("a", "b", "c")),
    )
    with pytest.raises(ContractError, match=why):
        Contract("c", observation, action, 1_000_000, limits=limits)


def test_a_real_actuator_refuses_lockstep(arm: Make) -> None:
    with pytest.raises(ContractError, match="real actuator cannot run in lockstep.*'realtime'"):
        arm(actuator="real").check_pacing("lockstep")
    arm(actuator="real").check_pacing("realtime")
    for pacing in PACINGS:
        arm().check_pacing(pacing)
    with pytest.raises(ContractError, match="use one of realtime, lockstep"):
        arm().check_pacing("fast")


def test_control_dt_is_seconds(arm: Make) -> None:
    assert arm().control_dt == 0.04


def test_a_field_is_found_by_name(arm: Make) -> None:
    assert arm().field("goal").unit == "m"
    assert isinstance(arm().field("delta"), ActionField)
    with pytest.raises(ContractError, match="no field 'velocity'; there are 'q', 'dq'"):
        arm().field("velocity")


def test_joint_names_are_those_that_are_commanded(arm: Make) -> None:
    names = ("base", "shoulder", "elbow")
    assert arm().joint_names == names
    unlabelled = replace(arm().action[0], labels=())
    assert arm(action=(unlabelled,)).joint_names == names
    nothing = ActionField("a", (), "float32", semantics="delta")
    assert arm(action=(nothing,), limits={}).joint_names == (*names, "x", "y", "z")


def test_the_tighter_limits_win(arm: Make) -> None:
    both = arm().with_limits({"delta": Limits(high=(2.0, 0.5, 2.0), max_acceleration=(9.0,) * 3)})
    assert both.limits["delta"].high == (1.0, 0.5, 2.0)
    assert both.limits["delta"].max_acceleration == (9.0, 9.0, 9.0)
    assert both.limits["delta"].low == (-1.0, -1.0, -1.0)
    assert both.interface_hash == arm().interface_hash
    with pytest.raises(ContractError, match="low > high"):
        arm().with_limits({"delta": Limits(low=(1.5,) * 3)})
    with pytest.raises(ContractError, match="no action field"):
        arm().with_limits({"q": Limits()})


def test_a_contract_cannot_be_changed(arm: Make) -> None:
    contract = arm()
    with pytest.raises(AttributeError):
        contract.name = "other"
    with pytest.raises(TypeError):
        contract.limits["delta"] = Limits()
    given = {"delta": Limits(low=(-1.0,) * 3)}
    contract = arm(limits=given)
    given.clear()
    assert "delta" in contract.limits


def test_a_contract_can_be_copied_compared_and_hashed(arm: Make) -> None:
    assert copy.deepcopy(arm()) == arm()
    assert hash(arm()) == hash(copy.copy(arm()))
    assert len({arm(), arm(), arm(name="other")}) == 2
    assert arm(limits={}) != arm()


def test_the_json_form_reads_back(arm: Make) -> None:
    assert Contract.from_dict(arm().to_dict()) == arm()
    few = {key: arm().to_dict()[key] for key in ("observation", "action", "control_dt_ns")}
    assert Contract.from_dict(few) == arm(limits={}, name="", robot_id="")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"contract_version": 2}, "contract_version 2: this isthmus reads 1"),
        ({"contract_version": True}, "contract_version True"),
        ({"contract_version": "1"}, "contract_version '1'"),
        ({"contract_version": []}, "contract_version"),
        ({"extra": 1}, "unknown keys 'extra'; known keys: contract_version, name"),
        ({7: 1}, "unknown keys 7"),
        ({"observation": {}}, "expected a list of fields, got dict"),
        ({"observation": [7]}, "observation field: expected an object, got int"),
        ({"observation": [{}] * 300}, "got 300"),
        ({"limits": []}, "limits: expected an object, got list"),
        ({"limits": {"delta": []}}, "limits: expected an object, got list"),
        ({"limits": {"delta": None}}, "limits: expected an object"),
    ],
)
def test_what_is_no_json_form_is_refused(arm: Make, change: dict[Any, Any], why: str) -> None:
    with pytest.raises(ContractError, match=why):
        Contract.from_dict({**arm().to_dict(), **change})


@pytest.mark.parametrize("key", ["observation", "action", "control_dt_ns"])
def test_a_missing_key_is_named(arm: Make, key: str) -> None:
    data = arm().to_dict()
    del data[key]
    with pytest.raises(ContractError, match=f"keys missing: {key}"):
        Contract.from_dict(data)


@pytest.mark.parametrize("data", [None, [], "x", 7])
def test_only_an_object_is_a_contract(data: Any) -> None:
    with pytest.raises(ContractError, match="expected an object"):
        Contract.from_dict(data)
