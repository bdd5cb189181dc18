from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from isthmus.contract import ActionField, Field
from isthmus.contract.fields import DTYPES, FALLBACKS, RANGES, SEMANTICS
from isthmus.contract.units import RATES, UNITS
from isthmus.errors import ContractError


def action(**parts: Any) -> ActionField:
    return ActionField(**{"name": "a", "shape": (3,), "dtype": "float32", **parts})


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_is_numpys_little_endian_with_its_range(dtype: str) -> None:
    numpy_dtype = Field("x", (), dtype).numpy_dtype
    assert numpy_dtype.name == dtype
    assert numpy_dtype.str[0] in "<|"
    if numpy_dtype.kind == "f":
        info: Any = np.finfo(numpy_dtype)
    elif numpy_dtype.kind in "iu":
        info = np.iinfo(numpy_dtype)
    else:
        return
    assert RANGES[dtype] == (float(info.min), float(info.max)) or RANGES[dtype] == (
        info.min,
        info.max,
    )


@pytest.mark.parametrize("dtype", ["object", "O", "str", "complex64", "float128", ">f4", "", "M8"])
def test_other_dtypes_cannot_cross(dtype: str) -> None:
    with pytest.raises(ContractError, match="cannot cross: use one of float32"):
        Field("x", (), dtype)


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({"name": ""}, "1 to 128 characters"),
        ({"name": "n" * 129}, "at most 128"),
        ({"name": "a\nb"}, "printable"),
        ({"name": "\ud800"}, "printable"),
        ({"name": 7}, "must be text"),
        ({"name": None}, "must be text"),
        ({"name": ["x"]}, "must be text"),
        ({"shape": "3"}, "tuple of integers"),
        ({"shape": 3}, "tuple of integers"),
        ({"shape": (0,)}, "at least 1"),
        ({"shape": (-1,)}, "at least 1"),
        ({"shape": (True,)}, "at least 1"),
        ({"shape": (2.0,)}, "at least 1"),
        ({"shape": ([],)}, "at least 1"),
        ({"shape": (1,) * 9}, "too large"),
        ({"shape": (1 << 29,)}, "too large"),
        ({"shape": (10**5000,) * 2}, "too large"),
        ({"dtype": np.dtype("float32")}, "cannot cross"),
        ({"dtype": np.float32}, "cannot cross"),
        ({"dtype": ["float32"]}, "cannot cross"),
        ({"dtype": {}}, "cannot cross"),
        ({"dtype": np.zeros(3)}, "cannot cross"),
        ({"unit": "radian"}, "unknown unit 'radian'"),
        ({"unit": []}, "unknown unit"),
        ({"unit": {}}, "unknown unit"),
        ({"unit": None}, "unknown unit"),
        ({"labels": ("a", "b")}, "2 labels for shape"),
        ({"labels": ("a", "b", "a")}, "duplicate label 'a'"),
        ({"labels": ("a", "b", "")}, "characters"),
        ({"labels": ("a", "b", "\udc00")}, "printable"),
        ({"labels": ("a", "b", 3)}, "must be text"),
        ({"labels": "abc"}, "list of names"),
        ({"labels": None}, "list of names"),
        ({"shape": (), "labels": ("a",)}, "1 labels for shape"),
    ],
)
def test_what_is_no_field_is_refused(parts: dict[str, Any], why: str) -> None:
    with pytest.raises(ContractError, match=why) as refusal:
        Field(**{"name": "x", "shape": (3,), "dtype": "float32", **parts})
    assert len(str(refusal.value)) < 600


def test_numpy_sizes_become_plain_integers() -> None:
    found = Field("x", (np.int64(3), 2), "float32").shape
    assert found == (3, 2)
    assert all(type(size) is int for size in found)


def test_sizes_are_counted() -> None:
    assert (Field("x", (), "bool").width, Field("x", (), "bool").last) == (1, 1)
    assert (Field("x", (2, 3), "bool").width, Field("x", (2, 3), "bool").last) == (6, 3)


@pytest.mark.parametrize("semantics", SEMANTICS)
@pytest.mark.parametrize("fallback", FALLBACKS)
def test_only_the_fallbacks_of_the_semantics_are_allowed(semantics: str, fallback: str) -> None:
    value = (0.0,) if fallback == "value" else ()
    parts = {
        "semantics": semantics,
        "fallback": fallback,
        "fallback_value": value,
        "measured_position": "q",
    }
    if fallback in SEMANTICS[semantics]:
        assert action(**parts).fallback == fallback
    else:
        with pytest.raises(ContractError, match=f"not allowed for {semantics}"):
            action(**parts)


@pytest.mark.parametrize(
    ("semantics", "why"), [("position", "drives to the zero pose"), ("torque", "drops the arm")]
)
def test_zero_is_never_a_fallback_where_it_moves_the_arm(semantics: str, why: str) -> None:
    with pytest.raises(ContractError, match=why):
        action(semantics=semantics, fallback="zero", measured_position="q")


@pytest.mark.parametrize("semantics", [s for s in SEMANTICS if s != "opaque"])
def test_the_default_fallback_is_the_first(semantics: str) -> None:
    found = action(semantics=semantics, measured_position="q")
    assert found.fallback == SEMANTICS[semantics][0]


def test_every_fallback_has_a_meaning_and_every_rate_is_a_unit() -> None:
    assert {f for allowed in SEMANTICS.values() for f in allowed} == set(FALLBACKS)
    assert set(RATES) | set(RATES.values()) <= set(UNITS)


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({}, "opaque action must name its fallback"),
        ({"semantics": "power"}, "unknown semantics 'power'"),
        ({"semantics": []}, "unknown semantics"),
        ({"semantics": {}}, "unknown semantics"),
        ({"semantics": "delta", "reference": "goal"}, "unknown reference"),
        ({"semantics": "delta", "reference": {}}, "unknown reference"),
        ({"semantics": "delta", "reference": "measured"}, "needs measured_position"),
        ({"semantics": "delta", "fallback": "hold"}, "needs measured_position"),
        ({"semantics": "position"}, "needs measured_position"),
        ({"semantics": "delta", "dtype": "int32"}, "needs a float dtype"),
        ({"semantics": "delta", "measured_position": 3}, "must be text"),
        ({"semantics": "delta", "measured_velocity": ["dq"]}, "must be text"),
        ({"semantics": "delta", "fallback": []}, "fallback"),
        ({"semantics": "delta", "fallback": {}}, "fallback"),
        ({"semantics": "delta", "fallback": None}, "fallback"),
        ({"semantics": "delta", "fallback_value": (1.0,)}, "leave one out"),
        ({"fallback": "value"}, "1 or 3 numbers, got 0"),
        ({"fallback": "value", "fallback_value": (1.0, 2.0)}, "got 2"),
        ({"fallback": "value", "fallback_value": (float("nan"),)}, "finite"),
        ({"fallback": "value", "fallback_value": (10**400,)}, "finite"),
        ({"fallback": "value", "fallback_value": (10**5000,)}, "finite"),
        ({"fallback": "value", "fallback_value": (1e39,)}, "is no float32"),
        ({"fallback": "value", "fallback_value": ("1",)}, "must hold numbers"),
        ({"fallback": "value", "fallback_value": "1"}, "list of numbers"),
        ({"fallback": "value", "fallback_value": (True,)}, "must hold numbers"),
        ({"fallback": "value", "fallback_value": 1.0}, "list of numbers"),
        ({"fallback": "value", "fallback_value": None}, "list of numbers"),
        ({"dtype": "int64", "fallback": "value", "fallback_value": (0.5,)}, "is no int64"),
        ({"dtype": "uint8", "fallback": "value", "fallback_value": (-1,)}, "is no uint8"),
        ({"dtype": "bool", "fallback": "value", "fallback_value": (2,)}, "is no bool"),
    ],
)
def test_what_is_no_action_is_refused(parts: dict[str, Any], why: str) -> None:
    with pytest.raises(ContractError, match=why):
        action(**parts)


def test_a_fallback_value_may_be_numpys() -> None:
    found = action(fallback="value", fallback_value=[np.float32(0.5), 1, -0.0])
    assert found.fallback_value == (0.5, 1.0, 0.0)
    assert str(found.fallback_value[2]) == "0.0"
    assert all(type(number) is float for number in found.fallback_value)


@pytest.mark.parametrize(
    ("semantics", "measured", "unit"),
    [
        ("position", "measured_position", "rad"),
        ("delta", "measured_position", "rad"),
        ("delta", "measured_velocity", "rad/s"),
        ("velocity", "measured_velocity", "rad"),
    ],
)
def test_a_measurement_in_another_unit_is_refused(semantics: str, measured: str, unit: str) -> None:
    parts = {"semantics": semantics, "unit": "rad", "measured_position": "q", measured: "m"}
    observation = {"q": Field("q", (3,), "float32", "rad"), "m": Field("m", (3,), "float32", unit)}
    action(**parts).check_measured(observation)
    observation["m"] = Field("m", (3,), "float32", "deg")
    with pytest.raises(ContractError, match=f"must be in '{unit}', not 'deg'"):
        action(**parts).check_measured(observation)
    observation["m"] = Field("m", (3,), "float32")
    action(**parts).check_measured(observation)


GOOD = {"name": "a", "shape": [3], "dtype": "float32", "semantics": "delta"}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ([], "expected an object"),
        (None, "expected an object"),
        ({}, "keys missing: name, shape, dtype"),
        ({**GOOD, "colour": 1}, "unknown keys 'colour'"),
        ({**GOOD, 7: 1}, "unknown keys 7"),
        ({**GOOD, "name": [[[[[[]]]]]]}, "must be text"),
        ({**GOOD, "shape": "3"}, "'shape' must be a list"),
        ({**GOOD, "shape": [[3]]}, "whole numbers"),
        ({**GOOD, "labels": {"a": 1}}, "'labels' must be a list"),
        ({**GOOD, "fallback_value": [[1]]}, "must hold numbers"),
        ({**GOOD, "unit": None}, "'unit' must be text"),
    ],
)
def test_what_is_no_json_form_is_refused(data: Any, why: str) -> None:
    with pytest.raises(ContractError, match=why):
        ActionField.from_dict(data)


def test_an_observation_field_has_no_semantics() -> None:
    with pytest.raises(ContractError, match="unknown keys 'semantics'"):
        Field.from_dict(GOOD)


def test_the_json_form_reads_back() -> None:
    field = ActionField.from_dict(GOOD)
    assert ActionField.from_dict(field.to_dict()) == field
    assert field.fallback == "zero"
