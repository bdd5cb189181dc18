from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.contract import Contract
from isthmus.contract.fields import RANGES
from isthmus.contract.urdf import MAX_URDF, contract_from_urdf, urdf_joints
from isthmus.errors import ContractError

ENDLESS = RANGES["float32"][1]

ARM = """<?xml version="1.0" encoding="utf-8"?>
<!-- an arm -->
<robot name="arm">
  <link name="base"/>
  <joint name="mount" type="fixed"><parent link="world"/><child link="base"/></joint>
  <joint name="shoulder" type="revolute">
    <axis xyz="0 0 1"/><limit lower="-1.5" upper="1.5" effort="2.5" velocity="3.14"/>
  </joint>
  <joint name="elbow" type="revolute">
    <limit lower="-1" upper="2.95" effort="2.5" velocity="3"/>
  </joint>
  <transmission name="t"><joint name="shoulder"/></transmission>
</robot>"""


def robot(*joints: str) -> str:
    return f'<robot name="r">{"".join(joints)}</robot>'


def joint(name: str = "j", kind: str = "revolute", inside: str | None = None, **limit: Any) -> str:
    limit = limit or {"lower": -1, "upper": 1, "velocity": 2, "effort": 3}
    bounds = " ".join(f'{key}="{value}"' for key, value in limit.items())
    inside = f"<limit {bounds}/>" if inside is None else inside
    return f'<joint name="{name}" type="{kind}">{inside}</joint>'


def read(text: str, **parts: Any) -> Contract:
    return contract_from_urdf(text, **{"control_dt": 0.04, **parts})


def test_joints_become_fields_in_document_order_with_their_limits() -> None:
    contract = read(ARM)
    q, dq = contract.observation
    (delta,) = contract.action
    assert (q.name, q.unit, q.labels) == ("q", "rad", ("shoulder", "elbow"))
    assert (dq.name, dq.unit, dq.labels) == ("dq", "rad/s", ("shoulder", "elbow"))
    assert (delta.name, delta.semantics, delta.unit) == ("delta", "delta", "rad")
    assert (delta.measured_position, delta.measured_velocity) == ("q", "dq")
    limits = contract.limits["delta"]
    assert limits.low == (-1.5, -1.0)
    assert limits.high == (1.5, 2.95)
    assert limits.max_rate == (3.14, 3.0)
    assert (contract.name, contract.robot_id, contract.control_dt_ns) == ("arm", "arm", 40_000_000)


@pytest.mark.parametrize(
    ("semantics", "unit", "fallback", "low", "max_rate"),
    [
        ("position", "rad", "hold", (-1.5, -1.0), (3.14, 3.0)),
        ("delta", "rad", "zero", (-1.5, -1.0), (3.14, 3.0)),
        ("velocity", "rad/s", "decay", None, (3.14, 3.0)),
        ("torque", "N*m", "robot", (-2.5, -2.5), None),
    ],
)
def test_the_semantics_decides_what_is_limited(
    semantics: str, unit: str, fallback: str, low: Any, max_rate: Any
) -> None:
    contract = read(ARM, semantics=semantics)
    (action,) = contract.action
    assert (action.name, action.unit, action.fallback) == (semantics, unit, fallback)
    limits = contract.limits[semantics]
    assert (limits.low, limits.max_rate) == (low, max_rate)


def test_mimic_joints_follow_and_are_left_out() -> None:
    text = robot(joint("a"), joint("b", inside='<limit lower="0" upper="1"/><mimic joint="a"/>'))
    assert [each.name for each in urdf_joints(text)] == ["a"]


def test_a_continuous_joint_has_no_position_limits() -> None:
    contract = read(robot(joint("a"), joint("wheel", "continuous", velocity=9)))
    limits = contract.limits["delta"]
    assert limits.low == (-1.0, -ENDLESS)
    assert limits.high == (1.0, ENDLESS)
    assert limits.max_rate == (2.0, 9.0)
    free = read(robot(joint("wheel", "continuous", inside="")))
    assert dict(free.limits) == {}


def test_angles_and_lengths_get_fields_of_their_own() -> None:
    contract = read(robot(joint("slide", "prismatic"), joint("turn")))
    assert [(f.name, f.unit, f.labels) for f in contract.observation] == [
        ("q", "rad", ("turn",)),
        ("dq", "rad/s", ("turn",)),
        ("q_linear", "m", ("slide",)),
        ("dq_linear", "m/s", ("slide",)),
    ]
    assert [(f.name, f.unit) for f in contract.action] == [("delta", "rad"), ("delta_linear", "m")]
    alone = read(robot(joint("slide", "prismatic")), semantics="torque")
    assert [f.name for f in alone.observation] == ["q", "dq"]
    assert alone.action[0].unit == "N"


def test_a_limit_that_is_left_out_is_zero_as_urdf_says() -> None:
    assert urdf_joints(robot(joint(upper=1)))[0].low == 0.0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "expected text"),
        (b"<robot/>", "expected text"),
        ("", "not well-formed"),
        ("<robot", "not well-formed"),
        ("<robot name='r'><joint></robot>", "not well-formed"),
        ("\ud800", "not well-formed"),
        ("<sdf/>", "expected the element 'robot', got 'sdf'"),
        (robot(), "no joint that moves"),
        (robot(joint(kind="fixed", inside="")), "no joint that moves"),
        (robot(joint("a", "floating")), "joint 'a': type 'floating': use one of revolute"),
        (robot(joint("a", "hinge")), "joint 'a': type 'hinge'"),
        (robot("<joint name='a'/>"), "joint 'a': type ''"),
        (robot("<joint type='revolute'/>"), "joint's name"),
        (robot(joint("a"), joint("a")), "two joints are named 'a'"),
        (robot(joint("a"), joint("a", "prismatic")), "two joints are named 'a'"),
        (robot(joint("a", inside="")), "joint 'a' is revolute and has no <limit>"),
        (robot(joint("a", velocity=1)), "joint 'a' has lower 0.0 and upper 0.0"),
        (robot(joint("a", lower=1, upper=-1)), "joint 'a' has lower 1.0 and upper -1.0"),
        (robot(joint("a", lower=0, upper=1, velocity=0)), "joint 'a' has velocity 0"),
        (robot(joint("a", lower="low", upper=1)), "joint 'a': lower 'low' is no finite number"),
        (robot(joint("a", lower=0, upper="inf")), "joint 'a': upper 'inf'"),
        (robot(joint("a", lower="nan", upper=1)), "joint 'a': lower 'nan'"),
        (robot("<a>" * 100 + "</a>" * 100), "nested deeper"),
        ("<robot name='r'>" + "<a>" * 500_000, "nested deeper"),
        (robot(*(joint(f"j{i}") for i in range(1025))), "more than 1024 joints"),
        (robot("x" * MAX_URDF), "at most"),
        (
            '<robot name="r" xmlns:xacro="http://www.ros.org/wiki/xacro"><xacro:arm/></robot>',
            "expand it first",
        ),
        ('<!DOCTYPE r [<!ENTITY a "aaaa">]><robot name="r">&a;</robot>', "DOCTYPE is refused"),
        ('<?xml version="1.0"?><!DOCTYPE robot SYSTEM "file:///x"><robot/>', "DOCTYPE is refused"),
        (f"<robot>{joint()}</robot>", "robot's name"),
    ],
)
def test_what_cannot_be_described_is_refused(text: Any, why: str) -> None:
    with pytest.raises(ContractError, match=why) as refusal:
        read(text)
    assert len(str(refusal.value)) < 600


def test_an_effort_of_zero_matters_to_torque_only() -> None:
    text = robot(joint("a", lower=0, upper=1, velocity=1, effort=0))
    assert read(text).limits["delta"].max_rate == (1.0,)
    with pytest.raises(ContractError, match="joint 'a' has effort 0"):
        read(text, semantics="torque")


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({"semantics": "opaque"}, "use one of position, delta, velocity, torque"),
        ({"semantics": "position", "fallback": "zero"}, "drives to the zero pose"),
        ({"semantics": "torque", "fallback": "zero"}, "drops the arm"),
        ({"control_dt": 0}, "control_dt"),
        ({"actuator": "wood"}, "actuator"),
        ({"reference": "goal"}, "reference"),
    ],
)
def test_options_that_contradict_are_refused(parts: dict[str, Any], why: str) -> None:
    with pytest.raises(ContractError, match=why):
        read(ARM, **parts)


@given(cut=st.integers(0, len(ARM)), byte=st.characters())
def test_no_damage_raises_anything_but_a_contract_error(cut: int, byte: str) -> None:
    for text in (ARM[:cut], ARM[:cut] + byte + ARM[cut + 1 :]):
        try:
            read(text)
        except ContractError:
            pass
