from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.contract import ActionField, Contract, Field
from isthmus.contract.joints import JointMap
from isthmus.errors import ContractError, InterfaceMismatchError, ObservationError

JOINTS = ("base", "shoulder", "elbow")
Make = Callable[..., Contract]


def action(semantics: str, **parts: object) -> tuple[ActionField, ...]:
    values = {"labels": JOINTS, "semantics": semantics, **parts}
    return (ActionField("command", (3,), "float32", **values),)


def test_the_same_order_copies_nothing(arm: Make) -> None:
    joints = JointMap(arm(), JOINTS)
    q = np.arange(3, dtype=np.float32)
    assert joints.is_identity
    assert joints.extra == ()
    assert joints.gather("q", q) is q
    assert joints.scatter("delta", q) is q


def test_another_order_is_gathered_and_scattered_back(arm: Make) -> None:
    robot = ["elbow", "gripper", "base", "shoulder"]
    joints = JointMap(arm(), robot)
    assert not joints.is_identity
    assert joints.extra == ("gripper",)
    q = np.array([2.0, 9.0, 0.0, 1.0], dtype=np.float32)
    np.testing.assert_array_equal(joints.gather("q", q), [0, 1, 2])
    out = joints.scatter("delta", np.array([10, 11, 12], dtype=np.float32))
    np.testing.assert_array_equal(out, [12, 0, 10, 11])
    assert out.dtype == np.float32
    assert joints.outputs["delta"] == tuple(robot)


def test_a_labelled_field_that_holds_no_joints_passes_through(arm: Make) -> None:
    joints = JointMap(arm(), ["shoulder", "base", "elbow"])
    goal = np.arange(3.0)
    assert joints.gather("goal", goal) is goal
    assert set(joints.observation_fields) == {"q", "dq"}


def test_leading_axes_are_kept(arm: Make) -> None:
    joints = JointMap(arm(), ["shoulder", "elbow", "tool", "base"])
    q = np.arange(2 * 5 * 4).reshape(2, 5, 4)
    assert joints.gather("q", q).shape == (2, 5, 3)
    assert joints.scatter("delta", q[..., :3]).shape == (2, 5, 4)


@given(order=st.permutations([*JOINTS, "x1", "x2"]), envs=st.integers(1, 4))
def test_scatter_undoes_gather(order: list[str], envs: int) -> None:
    contract = Contract(
        "arm",
        (Field("q", (3,), "float32", "rad", JOINTS),),
        action("position", measured_position="q"),
        1_000_000,
    )
    joints = JointMap(contract, order)
    robot = np.arange(envs * 5, dtype=np.float32).reshape(envs, 5)
    back = joints.scatter("command", joints.gather("q", robot), robot)
    np.testing.assert_array_equal(back, robot)
    assert joints.extra == tuple(name for name in order if name not in JOINTS)


def test_an_extra_joint_of_a_position_command_stays_where_it_is(arm: Make) -> None:
    joints = JointMap(
        arm(action=action("position", measured_position="q"), limits={}),
        ["tool", *JOINTS],
    )
    measured = np.array([0.7, 0.0, 0.0, 0.0])
    np.testing.assert_array_equal(
        joints.scatter("command", np.array([1.0, 2.0, 3.0]), measured), [0.7, 1, 2, 3]
    )
    with pytest.raises(ContractError, match="measured positions"):
        joints.scatter("command", np.zeros(3))
    with pytest.raises(ContractError, match=r"got shape \(3,\)"):
        joints.scatter("command", np.zeros(3), np.zeros(3))
    with pytest.raises(ContractError, match="not finite"):
        joints.scatter("command", np.zeros(3), np.array([np.nan, 0.0, 0.0, 0.0]))


def test_an_extra_joint_of_a_velocity_command_gets_zero(arm: Make) -> None:
    joints = JointMap(arm(action=action("velocity"), limits={}), [*JOINTS, "tool"])
    np.testing.assert_array_equal(joints.scatter("command", np.ones(3)), [1, 1, 1, 0])


@pytest.mark.parametrize(("semantics", "parts"), [("torque", {}), ("opaque", {"fallback": "zero"})])
def test_an_extra_joint_without_a_neutral_value_is_refused(
    arm: Make, semantics: str, parts: dict[str, object]
) -> None:
    contract = arm(action=action(semantics, **parts), limits={})
    assert JointMap(contract, ["elbow", "base", "shoulder"]).extra == ()
    with pytest.raises(ContractError, match=f"'tool'.*{semantics} has no value"):
        JointMap(contract, [*JOINTS, "tool"])


def test_an_extra_joint_of_a_position_command_nobody_measures_is_refused(arm: Make) -> None:
    contract = arm(action=action("position", fallback="robot"), limits={})
    with pytest.raises(ContractError, match="needs measured_position"):
        JointMap(contract, [*JOINTS, "tool"])


def test_several_action_fields_share_the_robot(arm: Make) -> None:
    contract = arm(
        action=(
            ActionField("move", (2,), "float32", labels=("base", "elbow"), semantics="delta"),
            ActionField("push", (1,), "float32", labels=("shoulder",), semantics="torque"),
        ),
        limits={},
    )
    joints = JointMap(contract, ["shoulder", "elbow", "base"])
    assert dict(joints.outputs) == {"move": ("elbow", "base"), "push": ("shoulder",)}
    np.testing.assert_array_equal(joints.scatter("move", np.array([1.0, 2.0])), [2, 1])
    np.testing.assert_array_equal(joints.scatter("push", np.array([5.0])), [5])
    np.testing.assert_array_equal(joints.gather("q", np.array([1, 2, 0])), [0, 1, 2])


def test_names_come_from_the_measured_field_where_the_action_has_none(arm: Make) -> None:
    contract = arm(
        action=action("position", labels=(), measured_position="q"),
        limits={},
    )
    joints = JointMap(contract, ["elbow", "shoulder", "base"])
    assert joints.action_fields["command"] == JOINTS
    np.testing.assert_array_equal(joints.scatter("command", np.array([0, 1, 2])), [2, 1, 0])


def test_names_come_from_the_action_where_the_measured_field_has_none(arm: Make) -> None:
    contract = Contract(
        "arm",
        (Field("q", (3,), "float32"),),
        action("position", measured_position="q"),
        1_000_000,
    )
    joints = JointMap(contract, ["elbow", "shoulder", "base"])
    np.testing.assert_array_equal(joints.gather("q", np.array([0, 1, 2])), [2, 1, 0])


def test_actions_that_give_one_measurement_two_orders_are_refused() -> None:
    other = ActionField(
        "other",
        (3,),
        "float32",
        labels=JOINTS[::-1],
        semantics="position",
        measured_position="q",
    )
    contract = Contract(
        "arm",
        (Field("q", (3,), "float32"),),
        (*action("position", measured_position="q"), other),
        1_000_000,
    )
    with pytest.raises(ContractError, match="label all of them"):
        JointMap(contract, JOINTS)


def test_a_missing_joint_is_refused_by_name_with_the_nearest(arm: Make) -> None:
    with pytest.raises(InterfaceMismatchError) as refusal:
        JointMap(arm(), ["Base_link", "shoulder", "tool"])
    text = str(refusal.value)
    assert "'base' (nearest: 'Base_link')" in text
    assert "'elbow'" in text
    assert "'shoulder', 'tool'" in text
    assert "joints=" in text


def test_a_field_that_mixes_joints_and_other_labels_is_refused(arm: Make) -> None:
    contract = arm(
        observation=(*arm().observation, Field("mix", (2,), "float32", labels=("base", "heat")))
    )
    with pytest.raises(InterfaceMismatchError, match="'heat'.*'mix'"):
        JointMap(contract, JOINTS)


@pytest.mark.parametrize(
    ("joints", "why"),
    [
        (["base", "base", "elbow"], "twice"),
        ("base", "list of names"),
        (None, "list of names"),
        (7, "list of names"),
        ([], "empty"),
        (["base", 3], "must be text"),
        (["base", ""], "characters"),
    ],
)
def test_what_is_no_list_of_distinct_names_is_refused(arm: Make, joints: object, why: str) -> None:
    with pytest.raises(ContractError, match=why):
        JointMap(arm(), joints)  # type: ignore[arg-type]


def test_a_contract_without_joints_cannot_match_any() -> None:
    contract = Contract(
        "plain",
        (Field("q", (3,), "float32"),),
        action("delta", labels=()),
        1_000_000,
    )
    with pytest.raises(ContractError, match="leave joints out"):
        JointMap(contract, JOINTS)


def test_arrays_of_another_width_are_refused(arm: Make) -> None:
    joints = JointMap(arm(), [*JOINTS, "tool"])
    for array in (np.zeros(3), np.zeros((2, 5)), np.zeros(())):
        with pytest.raises(ObservationError, match="one entry per joint"):
            joints.gather("q", array)
    for array in (np.zeros(4), np.zeros(())):
        with pytest.raises(ContractError, match="must hold 3 joints"):
            joints.scatter("delta", array)


def test_names_may_be_numpy_text(arm: Make) -> None:
    joints = JointMap(arm(), list(np.array(["elbow", "base", "shoulder"])))
    assert all(type(name) is str for name in joints.joints)
