"""Where two samples part."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from isthmus.errors import ContractError
from isthmus.provenance import ABSENT, Difference, differences, first_difference


@pytest.mark.parametrize(
    ("expected", "actual", "difference"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1.0}, None),
        ({"a": [1, 2, 3]}, {"a": np.array([1, 2, 3], np.uint8)}, None),
        ({"b": 1, "a": 1}, {"a": 2, "b": 2}, ("a", 1, 2)),
        ({"a": {"x": [[0, 1], [2, 3]]}}, {"a": {"x": [[0, 1], [2, 4]]}}, ("a.x[1][1]", 3, 4)),
        ({"a": [1, 2]}, {"a": [1, 2, 3]}, ("a[2]", ABSENT, 3)),
        ({"a": [1, 2]}, {"a": [1]}, ("a[1]", 2, ABSENT)),
        ({"a": 1}, {}, ("a", 1, ABSENT)),
        ({}, {"a": None}, ("a", ABSENT, None)),
        ({"a": [1]}, {"a": {"0": 1}}, ("a", [1], {"0": 1})),
        ({"a": 1}, {"a": True}, ("a", 1, True)),
        ({"a": False}, {"a": 0}, ("a", False, 0)),
        ({"a.b": 1}, {"a.b": 2}, ('["a.b"]', 1, 2)),
        ({"a": {'say "x"': 1}}, {"a": {'say "x"': 2}}, ('a["say \\"x\\""]', 1, 2)),
        ({"\U0001f9be": 1, "\ue000": 1}, {"\U0001f9be": 2, "\ue000": 2}, ('["\ue000"]', 1, 2)),
        ({"a": 0.1}, {"a": np.float32(0.1)}, ("a", 0.1, float(np.float32(0.1)))),
        ({"a": []}, {"a": [[]]}, ("a[0]", ABSENT, [])),
    ],
    ids=str,
)
def test_the_first_value_that_differs(expected: Any, actual: Any, difference: Any) -> None:
    found = first_difference(expected, actual)
    assert found == (None if difference is None else Difference(*difference))
    mirrored = first_difference(actual, expected)
    assert (mirrored and (mirrored.key, mirrored.actual, mirrored.expected)) == difference


def test_every_value_that_differs_in_the_order_of_the_form() -> None:
    found = differences({"b": [1, 2], "a": 0, "c": 0}, {"b": [3, 4], "a": 1, "c": 0})
    assert [each.key for each in found] == ["a", "b[0]", "b[1]"]


def test_a_record_of_a_difference_is_json_and_bounded() -> None:
    assert Difference("a[2]", 0.5, 0.25).to_dict() == {
        "key": "a[2]",
        "expected_value": 0.5,
        "actual_value": 0.25,
    }
    assert Difference("a", ABSENT, None).to_dict() == {"key": "a", "actual_value": None}
    words = Difference("a", [1, 2, 3], {"x": 1}).to_dict()
    assert words == {"key": "a", "expected_value": "a list of 3", "actual_value": "a mapping of 1"}
    long = Difference("a" * 5000, "x" * 5000, 10**39).to_dict()
    assert len(json.dumps(long)) < 600


def test_what_cannot_be_hashed_cannot_be_compared() -> None:
    with pytest.raises(ContractError, match="a is nan"):
        first_difference({"a": 1}, {"a": math.nan})
    with pytest.raises(ContractError, match="expected a mapping"):
        first_difference({"a": 1}, [("a", 1)])  # type: ignore[arg-type]


def test_absent_says_its_name() -> None:
    assert repr(ABSENT) == "ABSENT"
