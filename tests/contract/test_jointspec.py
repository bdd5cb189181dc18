"""Joint specifications: the forms they come in, and what they do to a contract."""

from __future__ import annotations

import json
from typing import Any

import pytest

from isthmus import ActionField, Contract, Field, Limits
from isthmus.contract.jointspec import JointSpec
from isthmus.errors import ContractError

AB = ("a", "b")
LIMITS = Limits(low=(-1, -2), high=(1, 2), max_rate=(3, 4))


def contract(semantics: str = "delta", labels: tuple[str, ...] = AB, **more: Any) -> Contract:
    size = len(labels) or 2
    action = ActionField(
        "delta", (size,), "float32", "rad", labels, semantics=semantics, measured_position="q",
    )  # fmt: skip
    return Contract(
        "arm", (Field("q", (size,), "float32", "rad", labels),), (action,), 40_000_000, **more
    )


def parse(data: Any) -> JointSpec:
    return JointSpec.parse(data if isinstance(data, str) else json.dumps(data))


A = {"lower": -1, "upper": 1, "velocity": 3}
B = {"lower": -2, "upper": 2, "velocity": 4}


@pytest.mark.parametrize(
    "data",
    [
        {"joints": [{"name": "a", **A}, {"name": "b", **B}]},
        {"a": A, "b": B},
        {"names": ["a", "b"], "lower": [-1, -2], "upper": [1, 2], "velocity": [3, 4]},
        {"a": {"min": -1, "max": 1, "max_rate": 3}, "b": {"low": -2, "high": 2, "velocity": 4}},
    ],
)
def test_every_form_says_the_same(data: dict[str, Any]) -> None:
    assert parse(data) == JointSpec(AB, LIMITS)


@pytest.mark.parametrize(
    "data",
    [{"joints": [A, B]}, {"lower": [-1, -2], "upper": [1, 2], "velocity": [3, 4]}],
)
def test_joints_without_names(data: dict[str, Any]) -> None:
    assert parse(data) == JointSpec((), LIMITS)
    assert parse(data).tighten(contract()).limits["delta"] == LIMITS


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("{", "not valid JSON"),
        ('{"a": {"lower": 1, "lower": 2}}', "duplicate"),
        ('{"a": {"lower": NaN, "upper": 1}}', "finite"),
        ([], "expected an object"),
        ({}, "expected an object"),
        ({"joints": []}, "no 'lower'"),
        ({"joints": [1]}, r"joints\[0\]: expected an object"),
        ({"joints": [A], "units": "rad"}, "unknown keys beside 'joints': 'units'"),
        ({"joints": [{"name": "a", **A}, B]}, r"joints\[1\] has no name"),
        ({"joints": [{"name": "a", **A}, {"name": "a", **B}]}, "named twice: 'a'"),
        ({"joints": [{"name": 7, **A}]}, "joint name must be text"),
        ({"joints": [{"name": "", **A}]}, "joint name"),
        ({"a": {"lower": -1}}, "no 'upper'"),
        ({"a": {"upper": 1}}, "no 'lower'"),
        ({"a": A, "b": {"lower": -2, "upper": 2}}, "'velocity' is given for 1 of 2 joints"),
        ({"a": {**A, "effort": 3}}, "'a': unknown key 'effort'"),
        ({"a": {**A, "min": -1}}, "'lower' is given twice"),
        ({"a": {"lower": "low", "upper": 1}}, "'a': lower"),
        ({"a": {"lower": True, "upper": 1}}, "'a': lower"),
        ({"a": {"lower": 2, "upper": 1}}, "low > high"),
        ({"a": {"lower": 0, "upper": 1, "velocity": 0}}, "greater than 0"),
        ({"a": 7}, "'a': expected an object"),
        ({"names": ["a"], "lower": [0, 0], "upper": [1, 1]}, "1 names for the limits of 2"),
        ({"names": "ab", "lower": [0], "upper": [1]}, "'names' must be a list"),
        ({"lower": [0, 0], "upper": [1]}, "different lengths"),
        ({"lower": [0], "upper": 1}, "'upper'"),
    ],
)
def test_what_is_no_specification_is_refused(data: Any, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        parse(data)


def test_joints_are_found_by_name() -> None:
    spec = parse({"b": B, "a": A})
    assert spec.tighten(contract()).limits["delta"] == LIMITS
    assert spec.tighten(contract(labels=())).limits["delta"].low == (-2, -1)  # by place


def test_it_only_tightens() -> None:
    own = Limits(low=(-0.5, -9), high=(9, 0.5), max_acceleration=(5, 5))
    limits = parse({"a": A, "b": B}).tighten(contract(limits={"delta": own})).limits["delta"]
    assert limits == Limits(low=(-0.5, -2), high=(1, 0.5), max_rate=(3, 4), max_acceleration=(5, 5))


def test_the_interface_stays() -> None:
    before = contract()
    assert parse({"a": A, "b": B}).tighten(before).interface_hash == before.interface_hash


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (contract(labels=("a", "b", "c")), "has 2 joints, and action 'delta' moves 3"),
        (contract(labels=("a", "z")), "names 'a', 'b'; action 'delta' moves 'a', 'z'"),
        (contract("velocity"), "bounds positions and deltas"),
        (
            contract(limits={"delta": Limits(low=(1.5, 0), high=(2, 1))}),
            "low > high",
        ),
    ],
)
def test_what_does_not_fit_is_refused(found: Contract, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        parse({"a": A, "b": B}).tighten(found)
