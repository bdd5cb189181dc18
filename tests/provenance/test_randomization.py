"""The hash: every last bit counts, and a thousand environments have what each one has."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from isthmus.errors import ContractError
from isthmus.provenance import (
    MAX_SENT_VALUES,
    batch_hashes,
    first_difference,
    plain,
    randomization_hash,
    sample_to_send,
)

PARAMETERS = 64


def sample() -> dict[str, Any]:
    """64 numbers of every size: sixteen each of masses, gains, a nested friction and offsets."""
    rng = np.random.default_rng(20261123)
    return {
        "mass": rng.uniform(0.01, 3.0, 16),
        "gain": rng.uniform(1, 1e6, (4, 4)),
        "floor": {"friction": rng.uniform(1e-9, 1.0, 16).astype(np.float32)},
        "offset": [float(v) for v in rng.normal(0, 1e-3, 16)],
    }


def places() -> list[tuple[str, tuple[int, ...]]]:
    found: list[tuple[str, tuple[int, ...]]] = []
    for name, shape in (("mass", (16,)), ("gain", (4, 4)), ("friction", (16,)), ("offset", (16,))):
        found += [(name, index) for index in np.ndindex(*shape)]
    return found


def changed(name: str, index: tuple[int, ...], towards: float) -> dict[str, Any]:
    """The sample with one number moved to its neighbour in its own precision."""
    values = sample()
    array = np.array(values["floor"]["friction"] if name == "friction" else values[name])
    array[index] = np.nextafter(array[index], array.dtype.type(towards))
    if name == "friction":
        return {**values, "floor": {"friction": array}}
    return {**values, name: array.tolist() if name == "offset" else array}


def test_a_hash_names_its_version() -> None:
    assert re.fullmatch("r1-[0-9a-f]{64}", randomization_hash(sample()))
    assert randomization_hash(sample()) == randomization_hash(plain(sample()))


@pytest.mark.parametrize("towards", [-np.inf, np.inf])
def test_64_of_64_changes_by_one_ulp_are_caught_and_named(towards: float) -> None:
    seen = {randomization_hash(sample())}
    for name, index in places():
        values = changed(name, index, towards)
        seen.add(randomization_hash(values))
        difference = first_difference(sample(), values)
        assert difference is not None
        path = {"friction": "floor.friction"}.get(name, name)
        assert difference.key == path + "".join(f"[{i}]" for i in index)
    assert len(seen) == PARAMETERS + 1


ROWS = 5
FINITE = {"allow_nan": False, "allow_infinity": False}
COLUMNS = st.sampled_from([np.float64, np.float32, np.int64, np.uint8, bool]).flatmap(
    lambda dtype: npst.arrays(
        dtype,
        npst.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3).map(
            lambda shape: (ROWS, *shape)
        ),
        elements=FINITE if np.dtype(dtype).kind == "f" else {},
    )
)
BATCHES = st.dictionaries(
    st.text(max_size=3),
    COLUMNS | st.dictionaries(st.text(max_size=2), COLUMNS, max_size=2),
    max_size=4,
)


def row(values: Any, index: int) -> Any:
    if isinstance(values, dict):
        return {name: row(value, index) for name, value in values.items()}
    return values[index]


@settings(max_examples=60, deadline=None)
@given(BATCHES)
def test_each_environment_has_the_hash_of_its_own_values(values: dict[str, Any]) -> None:
    expected = [randomization_hash(row(values, index)) for index in range(ROWS)]
    assert batch_hashes(values, ROWS) == expected


def test_what_has_no_fast_form_is_hashed_all_the_same() -> None:
    values = {
        "seed": np.array([2**60 + 1, 1, 2**53]),
        "name": np.array(["a", "bcd", ""]),
        "mixed": [None, {"x": True}, "a\0"],
        "mass": np.array([1.0, 2.0, 3.0]),
    }
    expected = [randomization_hash(row(values, index)) for index in range(3)]
    assert batch_hashes(values, 3) == expected
    assert len(set(expected)) == 3


def test_one_ulp_in_one_of_4096_environments() -> None:
    rng = np.random.default_rng(7)
    values = {"mass": rng.random((4096, 25)), "friction": rng.random((4096, 25))}
    before, whole = batch_hashes(values, 4096), randomization_hash(values)
    values["friction"][2025, 24] = np.nextafter(values["friction"][2025, 24], 2)
    after = batch_hashes(values, 4096)
    assert [i for i in range(4096) if before[i] != after[i]] == [2025]
    assert randomization_hash(values) != whole


def test_no_environment_and_no_value() -> None:
    assert batch_hashes({"a": np.zeros((0, 3))}, 0) == []
    assert batch_hashes({}, 3) == [randomization_hash({})] * 3


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"a": np.zeros((3, 2))}, r"a: expected 4 rows.*got an array of shape \(3, 2\)"),
        ({"a": {"b": [1, 2, 3]}}, r"a\.b: expected 4 rows.*got list of 3"),
        ({"a": 1.0}, "a: expected 4 rows, one for each environment, got float"),
        ({"a": "four"}, "a: expected 4 rows.*got str"),
        ({"a": np.float64(1)}, "a: expected 4 rows.*got float64"),
        ({"a": np.array([[0, 0], [0, np.nan], [0, 0], [0, 0]])}, r"a\[1\]\[1\] is nan"),
        ({"a": [1, 2, 3, np.inf]}, r"a\[3\] is inf"),
        ([1, 2, 3, 4], "expected a mapping of names to arrays"),
    ],
    ids=str,
)
def test_a_batch_that_does_not_fit_is_refused_with_its_path(values: Any, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        batch_hashes(values, 4)


def test_a_sample_is_sent_along_as_far_as_it_is_small() -> None:
    assert sample_to_send({"a": (1, np.float32(0.5)), "b": {"c": np.ones(2)}}) == {
        "a": [1, 0.5],
        "b": {"c": [1.0, 1.0]},
    }
    assert sample_to_send({"a": [0] * MAX_SENT_VALUES}) is not None
    assert sample_to_send({"a": [0] * MAX_SENT_VALUES, "b": {"c": 1}}) is None
    assert sample_to_send({"a": np.zeros((4096, 50))}) is None
    with pytest.raises(ContractError, match="a is nan"):
        sample_to_send({"a": np.nan})
