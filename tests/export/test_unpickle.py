"""The reader of pickles, against Python's own on plain values, and on everything else."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.errors import PolicyLoadError
from isthmus.export.arrays import NUMPY_NAMES, array_of, number_of
from isthmus.export.unpickle import Made, Name, Persistent, read

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    | st.binary() | st.binary().map(bytearray),
    lambda inner: st.lists(inner)
    | st.lists(inner).map(tuple)
    | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=20,
)  # fmt: skip


def no_names(name: str) -> bool:
    return False


def all_names(name: str) -> bool:
    return True


@given(PLAIN, st.integers(0, 5))
@settings(max_examples=150, deadline=None)
def test_plain_values_are_read_as_python_reads_them(value: Any, protocol: int) -> None:
    names = {"_codecs.encode", "builtins.bytearray", "__builtin__.bytearray", "__builtin__.bytes"}
    read_back = read(pickle.dumps(value, protocol), "p", names.__contains__)
    # Protocols before 5 have no opcode for what is then made by a call: that stays a call.
    if protocol >= 5:
        assert read_back == value


@given(st.binary(max_size=60))
@settings(max_examples=400, deadline=None)
def test_any_bytes_are_a_value_or_an_error_of_ours(data: bytes) -> None:
    try:
        read(b"\x80\x04" + data, "p", all_names)
    except PolicyLoadError:
        pass


@given(st.integers(0, 10_000), st.integers(1, 255))
@settings(max_examples=300, deadline=None)
def test_a_changed_byte_is_a_value_or_an_error_of_ours(place: int, change: int) -> None:
    data = bytearray(pickle.dumps({"a": [1, (2.5, "x")], "b": np.arange(3)}, 4))
    data[place % len(data)] ^= change
    try:
        array_of(read(bytes(data), "p", all_names)["b"])
    except (PolicyLoadError, ValueError, KeyError, TypeError):
        pass


def test_names_calls_states_and_items_are_kept_and_nothing_is_done() -> None:
    value = OrderedDict([("a", 1)])
    made = read(pickle.dumps(value, 2), "p", all_names)
    assert isinstance(made, Made)
    assert (str(made.by), made.args, made.items) == ("collections.OrderedDict", (), [("a", 1)])
    state = read(b"cm\nf\n(U\x01ttR}U\x01kK\x05sb.", "p", all_names)
    assert (state.by, state.args, state.state) == (Name("m", "f"), ("t",), {"k": 5})
    assert read(b"Pplace\n.", "p", no_names).key == "place"
    assert isinstance(read(b"K\x07Q.", "p", no_names), Persistent)
    assert read(b"\x80\x04cm\nf\n)}\x92.", "p", all_names).by == Name("m", "f")


def test_a_name_that_is_not_expected_is_told() -> None:
    with pytest.raises(PolicyLoadError, match="weights names 'os.system'.*refused"):
        read(b"cos\nsystem\n.", "weights", no_names)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "exhausted"),
        (b".", "pop from empty list"),
        (b"K\x01", "exhausted"),
        (b"K\x01K\x02.", "left over"),
        (b"K\x01.K\x02.", "follows its end"),
        (b"(.", "value is missing"),
        (b"t.", "mark is missing"),
        (b"(K\x01d.", "argument 2 is shorter"),
        (b"}(K\x01u.", "argument 2 is shorter"),
        (b"](K\x01K\x02u.", "takes none"),
        (b"}(K\x01e.", "takes none"),
        (b"K\x01K\x02b.", "takes none"),
        (b"}]K\x01s.", "a list as key"),
        (b"})K\x01s.", "a tuple as key"),
        (b"K\x01)R.", "no name"),
        (b"cm\nf\nK\x01R.", "no name"),
        (b"cm\nf\n)RK\x01bK\x02b.", "takes none"),
        (b"\x80\x04cm\nf\n)}K\x01K\x02s\x92.", "keywords"),
        (b"K\x01K\x02\x93.", "no text"),
        (b"h\x05.", "5"),
        (b"I" + b"1" * 5000 + b"\n.", "digits|limit"),
        (b"\x8a\xff\x01.", "not enough data"),
        (b"X\x02\x00\x00\x00\xff\xff.", "utf-8"),
        (b"\xff.", "unknown"),
    ],
)
def test_what_is_no_pickle_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(PolicyLoadError, match=message):
        read(data, "p", all_names)


def test_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.export.unpickle.MAX_OPCODES", 100)
    with pytest.raises(PolicyLoadError, match="more than 100 opcodes"):
        read(b"N0" * 60 + b"N.", "p", all_names)
    monkeypatch.setattr("isthmus.export.unpickle.MAX_BYTES", 100)
    with pytest.raises(PolicyLoadError, match="larger than 100 bytes"):
        read(b"N" * 101, "p", all_names)


def test_nesting_as_deep_as_it_fits_ends_in_a_value() -> None:
    depth = 100_000
    found = read(b")" + b"\x85" * depth + b".", "p", no_names)
    for _ in range(depth):
        (found,) = found
    assert found == ()


ARRAYS = [
    np.arange(6, dtype=np.float32).reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(4, dtype=">i4"),
    np.array([True, False]),
    np.zeros((0, 3)),
    np.array(2.5),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{a.shape}")
@pytest.mark.parametrize("protocol", [4, 5])
def test_arrays_are_read_as_numpy_reads_them(array: Any, protocol: int) -> None:
    found = array_of(read(pickle.dumps(array, protocol), "p", NUMPY_NAMES.__contains__))
    assert found.shape == array.shape
    np.testing.assert_array_equal(found, array)


def test_numbers_are_read_as_numpy_reads_them() -> None:
    for number in (np.float64(1.5), np.int32(7), 2.5, 3):
        data = pickle.dumps(number, 4)
        assert number_of(read(data, "p", NUMPY_NAMES.__contains__)) == number


@pytest.mark.parametrize(
    "value",
    [
        "text",
        Made(Name("m", "f"), ()),
        Made(Name("numpy.core.multiarray", "_reconstruct"), (), state=(1, (2,))),
        Made(Name("numpy.core.multiarray", "scalar"), ("O", b"")),
        Made(Name("numpy.core.multiarray", "scalar"), ("f8", b"123")),
        Made(Name("numpy.core.multiarray", "scalar"), ("nonsense", b"123")),
        Made(Name("numpy.core.numeric", "_frombuffer"), (b"", "f4", (1 << 40,), "C")),
        Made(Name("numpy.core.numeric", "_frombuffer"), (b"", "f4", ("x",), "C")),
        Made(Name("numpy.core.numeric", "_frombuffer"), ("text", "f4", (0,), "C")),
    ],
)
def test_what_is_no_array_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        array_of(value)
