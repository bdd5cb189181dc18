from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from isthmus.contract import ActionField, Contract, Field, Limits
from isthmus.contract.diff import FIXES, diff, differences, require_same_interface
from isthmus.errors import InterfaceMismatchError

Make = Callable[..., Contract]


def change(contract: Contract, side: str, index: int, **parts: Any) -> Contract:
    """The contract with one field changed."""
    fields = list(getattr(contract, side))
    fields[index] = replace(fields[index], **parts)
    return replace(contract, **{side: tuple(fields)})


def test_equal_contracts_have_no_difference(arm: Make) -> None:
    assert diff(arm(), arm()) == ""
    assert differences(arm(), arm()) == ()
    require_same_interface(arm(), arm())


def plain(contract: Contract) -> Contract:
    """The contract with nothing else depending on the parts that are changed below."""
    return change(
        replace(contract, limits={}), "action", 0, measured_position="", measured_velocity=""
    )


@pytest.mark.parametrize(
    ("aspect", "make"),
    [
        ("missing", lambda c: replace(c, observation=(*c.observation, Field("n", (), "bool")))),
        ("extra", lambda c: replace(c, observation=c.observation[:-1])),
        ("order", lambda c: replace(c, observation=c.observation[::-1])),
        ("shape", lambda c: change(c, "observation", 0, shape=(1, 3))),
        ("dtype", lambda c: change(c, "observation", 0, dtype="float64")),
        ("unit", lambda c: change(c, "observation", 0, unit="deg")),
        ("labels", lambda c: change(c, "observation", 0, labels=("elbow", "base", "shoulder"))),
        ("semantics", lambda c: change(c, "action", 0, semantics="velocity", fallback="zero")),
        (
            "reference",
            lambda c: change(c, "action", 0, reference="measured", measured_position="q"),
        ),
        ("measured_position", lambda c: change(c, "action", 0, measured_position="q")),
        ("measured_velocity", lambda c: change(c, "action", 0, measured_velocity="dq")),
        ("control_dt", lambda c: replace(c, control_dt_ns=c.control_dt_ns + 1)),
        ("obs_version", lambda c: replace(c, obs_version=2)),
        ("action_version", lambda c: replace(c, action_version=1)),
    ],
)
def test_each_part_of_the_interface_is_named_with_its_fix(
    arm: Make, aspect: str, make: Callable[[Contract], Contract]
) -> None:
    ours = plain(arm())
    theirs = make(ours)
    assert ours.interface_hash != theirs.interface_hash
    found = differences(ours, theirs)
    assert aspect in [d.aspect for d in found if d.interface]
    with pytest.raises(InterfaceMismatchError) as refusal:
        require_same_interface(ours, theirs, "link", "reach.onnx")
    text = str(refusal.value)
    assert "link" in text and "reach.onnx" in text
    assert f"{aspect}: link: " in text
    assert FIXES[aspect] in text
    assert ours.interface_hash[:12] in text and theirs.interface_hash[:12] in text


def test_both_values_are_shown(arm: Make) -> None:
    ours = plain(arm())
    text = diff(ours, change(ours, "observation", 0, unit="deg"), "sim", "policy")
    assert "observation 'q'  unit: sim: rad | policy: deg" in text


@pytest.mark.parametrize(
    ("aspect", "make"),
    [
        ("name", lambda c: replace(c, name="other")),
        ("robot_id", lambda c: replace(c, robot_id="arm-2")),
        ("actuator", lambda c: replace(c, actuator="real")),
        ("autoreset_mode", lambda c: replace(c, autoreset_mode="next_step")),
        ("fallback", lambda c: change(c, "action", 0, fallback="hold")),
        ("low", lambda c: replace(c, limits={})),
        ("max_rate", lambda c: replace(c, limits={"delta": Limits(max_rate=(4.0, 3.5, 2.0))})),
    ],
)
def test_the_robots_own_facts_are_shown_but_refuse_nobody(
    arm: Make, aspect: str, make: Callable[[Contract], Contract]
) -> None:
    ours = arm()
    theirs = make(ours)
    require_same_interface(ours, theirs)
    found = differences(ours, theirs)
    assert aspect in [d.aspect for d in found]
    assert not any(d.interface for d in found)
    assert f"{aspect}: ours: " in diff(ours, theirs)
    assert diff(ours, theirs, interface_only=True) == ""


def test_long_lists_are_shown_where_they_part() -> None:
    labels = [f"joint_{index}" for index in range(200)]
    ours = Field("q", (200,), "float32", labels=tuple(labels))
    labels[150] = "other"
    theirs = replace(ours, labels=tuple(labels))
    action = (ActionField("a", (), "int64", fallback="zero"),)
    text = diff(
        Contract("a", (ours,), action, 1_000_000), Contract("a", (theirs,), action, 1_000_000)
    )
    assert "other" in text
    assert "from entry 148" in text
    assert "joint_0," not in text


def test_many_differences_are_counted(arm: Make) -> None:
    many = tuple(Field(f"f{index}", (), "float32") for index in range(100))
    text = diff(arm(), arm(observation=(*arm().observation, *many)))
    assert "and 60 more" in text
