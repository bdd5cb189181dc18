"""The canonical form: what counts as the same sample, what never does, and what is refused."""

from __future__ import annotations

import json
import math
from collections import OrderedDict, UserString, deque
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.errors import ContractError
from isthmus.provenance import first_difference, plain, randomization_hash
from isthmus.provenance.canonical import MAX_BYTES, PREFIX, canonical
from isthmus.provenance.plain import MAX_DEPTH, MAX_DIGITS

from .reference import read, write

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**38), 10**38)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)
SAMPLES = st.dictionaries(st.text(max_size=3), VALUES, max_size=4)


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    hashes = randomization_hash(first) == randomization_hash(second)
    assert hashes is (first_difference(first, second) is None)  # the two never disagree
    return hashes


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@settings(max_examples=60, deadline=None)
@given(SAMPLES)
def test_the_form_is_that_of_the_page_and_can_be_read_back(sample: dict[str, Any]) -> None:
    form = canonical(sample)
    assert form == PREFIX + write(sample)
    assert not first_difference(read(form), sample)


@settings(max_examples=60, deadline=None)
@given(SAMPLES, SAMPLES)
def test_two_samples_have_one_hash_only_if_nothing_differs(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    assert same(first, second) is (write(first) == write(second))


@settings(max_examples=60, deadline=None)
@given(SAMPLES)
def test_a_sample_survives_json(sample: dict[str, Any]) -> None:
    assert same(sample, json.loads(json.dumps(sample)))
    assert same(sample, json.loads(json.dumps(plain(sample), sort_keys=True)))


@settings(max_examples=60, deadline=None)
@given(SAMPLES)
def test_the_order_of_keys_is_not_kept(sample: dict[str, Any]) -> None:
    assert same(sample, dict(reversed(sample.items())))


@pytest.mark.parametrize(
    "value",
    [
        (1, 2.5, 3),
        np.array([1, 2.5, 3]),
        np.array([1, 2.5, 3], np.float32),
        np.array([1, 2.5, 3], ">f8"),
        np.array([1, 0, 2.5, 0, 3, 0])[::2],
        np.array([1, 2.5, 3], object),
        deque([1, 2.5, 3]),
        [np.int8(1), np.float16(2.5), np.array(3)],
        [True + 0, 2.5, 3.0],
    ],
    ids=repr,
)
def test_it_does_not_matter_what_holds_the_numbers(value: Any) -> None:
    assert same({"v": [1, 2.5, 3]}, {"v": value})


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint16, np.float16, np.float64, bool])
@pytest.mark.parametrize("shape", [(), (1,), (0,), (0, 3), (3, 0), (2, 3), (2, 1, 3)])
def test_an_array_is_the_nested_list_of_its_values(shape: tuple[int, ...], dtype: type) -> None:
    array = (np.arange(math.prod(shape)).reshape(shape) % 7).astype(dtype)
    for one in (array, np.array(array, order="F")):
        assert same({"v": one}, {"v": array.tolist()})


def test_it_does_not_matter_what_holds_the_names() -> None:
    sample = {"a": {"x": 1}, "b": 2}
    assert same(sample, OrderedDict(b=2, a=MappingProxyType({"x": 1})))  # type: ignore[arg-type]
    assert same(sample, {np.str_("a"): {"x": 1}, "b": 2})


class Floor(str, Enum):
    WET = "wet"


class Count(IntEnum):
    TWO = 2


class Says(int):
    def __int__(self) -> int:
        return 5


class Claims(float):
    def __float__(self) -> float:
        return 5.0


def test_a_number_is_what_it_is_and_not_what_it_says() -> None:
    assert same({"n": 1, "x": 1.5}, {"n": Says(1), "x": Claims(1.5)})
    with pytest.raises(ContractError, match="x is nan"):
        randomization_hash({"x": Claims("nan")})


def test_an_enumeration_is_its_value() -> None:
    assert same({"wet": "wet", "n": 2}, {Floor.WET: Floor.WET, "n": Count.TWO})
    assert json.dumps(plain({Floor.WET: Floor.WET})) == '{"wet": "wet"}'


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (-0.0, 0.0),
        (0, -0.0),
        (np.float32(0.1), float(np.float32(0.1))),
        (2**53 + 2, float(2**53 + 2)),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.array([-0.0]), [0]),
    ],
    ids=repr,
)
def test_one_value_written_in_two_ways(one: Any, other: Any) -> None:
    assert same({"v": one}, {"v": other})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.float32(0.1), 0.1),  # not the same number: what runs is not what was meant
        (1, True),
        (0, False),
        (0, None),
        (None, False),
        ("", None),
        ("1", 1),
        (2**53 + 1, float(2**53)),
        (np.array([2**53 + 1]), np.array([2**53])),
        ([], {}),
        ([], None),
        ([[]], []),
        ([1], 1),
        ([1, 2], [2, 1]),
        ([[1, 2], [3]], [[1], [2, 3]]),
        ([1, [2]], [[1], 2]),
        (["a", "b"], ["ab"]),
        (["a", ""], ["", "a"]),
        ([{"a": 1}], [["a", 1]]),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        ("é", "e\u0301"),
        ("a", "a\0"),
        ("D\0\0\0\0\0\0\0\0", 0),
        (5e-324, 0),
    ],
    ids=repr,
)
def test_what_is_not_the_same(one: Any, other: Any) -> None:
    assert not same({"v": one}, {"v": other})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": [1], "b": [2]}, {"a": [1, 2], "b": []}),
        ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
        ({"a": {"b": 1}}, {"a": {}, "b": 1}),
        ({"a.b": 1}, {"a": {"b": 1}}),
        ({"a": None}, {}),
        ({"ab": 1}, {"a": "b1"}),
        ({"é": 1}, {"e\u0301": 1}),
        ({"A": 1}, {"a": 1}),
    ],
    ids=repr,
)
def test_boundaries_cannot_be_moved(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert not same(one, other)


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        ({"a": {"b": [0.0, math.nan]}}, r"a\.b\[1\] is nan"),
        ({"a": -math.inf}, "a is -inf"),
        ({"a": np.array([[0.0, 1.0], [math.inf, 2.0]], np.float32)}, r"a\[1\]\[0\] is inf"),
        ({"a": [np.float32("nan")]}, r"a\[0\] is nan"),
        ({"a": np.array(math.nan)}, "a is nan"),
        ({"a b": {"c.d": math.nan}}, r'\["a b"\]\["c\.d"\] is nan'),
        ({"a": b"raw"}, "a is bytes"),
        ({"a": {1, 2}}, "a is set"),
        ({"a": 1j}, "a is complex"),
        ({"a": object()}, "a is object"),
        ({"a": iter([1])}, "a is list_iterator"),
        ({"a": np.array([1j])}, "array of complex128"),
        ({"a": np.array(["2026-01-01"], "M8[D]")}, r"array of datetime64\[D\]"),
        ({"a": np.timedelta64(5, "ns")}, r"a is timedelta64\[ns\]; expected a number"),
        ({"a": [np.datetime64("NaT", "s")]}, r"a\[0\] is datetime64\[s\]; expected a number"),
        ({"a": np.datetime64("2026-01-01", "ns")}, r"a is datetime64\[ns\]; expected a number"),
        ({"a": np.array([np.timedelta64(5, "ns")], object)}, r"a\[0\] is timedelta64\[ns\]"),
        ({"a": UserString("b")}, "a is UserString; expected"),
        ({"a": np.zeros(2, "f4,f4")}, "a is an array of"),
        ({"a": np.ma.masked_array([1.0, 2.0], [False, True])}, "masked array"),
        ({"a": {1: 2}}, "a has the key 1 of int"),
        ({"a": "\ud800"}, "half of a surrogate pair"),
        ({"\ud800": 1}, "half of a surrogate pair"),
        ({"a": 10**MAX_DIGITS}, "more than 40 characters"),
        ({"a": -(10 ** (MAX_DIGITS - 1))}, "more than 40 characters"),
        ({"a": 1 << 100_000}, "more than 40 characters"),
        ({"a": nested(MAX_DEPTH)}, "nested deeper than 32"),
        ({"a": nested(100_000)}, "nested deeper than 32"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_has_no_form_is_refused_with_its_path(sample: dict[str, Any], words: str) -> None:
    with pytest.raises(ContractError, match=words):
        randomization_hash(sample)
    with pytest.raises(ContractError, match=words):
        plain(sample)


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="no wider float here")
@pytest.mark.parametrize("value", [np.longdouble(1), np.ones(2, np.longdouble)], ids=repr)
def test_a_float_that_differs_between_machines_is_refused(value: Any) -> None:
    for work in (randomization_hash, plain):
        with pytest.raises(ContractError, match="a is .* wider than 64 bits"):
            work({"a": value})


@pytest.mark.parametrize("values", [None, [1], "a", 3], ids=repr)
def test_a_sample_has_names(values: Any) -> None:
    for work in (randomization_hash, plain):
        with pytest.raises(ContractError, match="expected a mapping of names to values"):
            work(values)


def test_what_contains_itself_is_refused() -> None:
    sample: dict[str, Any] = {}
    sample["self"] = sample
    with pytest.raises(ContractError, match="nested deeper"):
        randomization_hash(sample)


def test_the_deepest_and_the_longest_that_are_taken() -> None:
    assert randomization_hash({"a": nested(MAX_DEPTH - 1)})
    assert randomization_hash({"a": np.zeros((1,) * (MAX_DEPTH - 1))})
    assert randomization_hash({"a": 10 ** (MAX_DIGITS - 1), "b": 1 - 10 ** (MAX_DIGITS - 1)})


def test_a_form_is_bounded_before_it_takes_memory() -> None:
    many = np.broadcast_to(np.float64(1), (MAX_BYTES,))  # no memory, and nine times the bound
    with pytest.raises(ContractError, match="more than 64 MiB, reached at deep.many"):
        randomization_hash({"deep": {"many": many}})
    text = "x" * (MAX_BYTES // 3)
    with pytest.raises(ContractError, match=r"more than 64 MiB, reached at a\[2\]"):
        randomization_hash({"a": [text, text, text]})
