"""torch's file format without torch; that both read the same is shown where torch is."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.errors import PolicyLoadError
from isthmus.export.tensors import read_state_dict

from .canaries import archive

GLOBAL = "ctorch._utils\n_rebuild_tensor_v2\n"
WRAPPED = "ctorch._utils\n_rebuild_parameter\n"


def tensor(storage: str = "Float", count: int = 6, offset: int = 0, sizes: str = "(I2\nI3\nt",
           strides: str = "(I3\nI1\nt", name: str = "0", more: str = "") -> str:  # fmt: skip
    """The opcodes of a tensor."""
    place = f"((S'storage'\nctorch\n{storage}Storage\nS'{name}'\nS'cpu'\nI{count}\ntQ"
    return f"{GLOBAL}{place}I{offset}\n{sizes}{strides}I00\n){more}tR"


def torch_file(value: str, storages: dict[str, bytes], **more: bytes) -> bytes:
    body = f"ccollections\nOrderedDict\n)R(S'w'\n{value}u."
    members = {"archive/data.pkl": body.encode()}
    members |= {f"archive/data/{name}": data for name, data in storages.items()}
    return archive({**members, **{f"archive/{name}": data for name, data in more.items()}})


NUMBERS = np.arange(6, dtype=np.float32)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [("Float", "<f4"), ("Double", "<f8"), ("Half", "<f2"), ("Long", "<i8"), ("Int", "<i4"),
     ("Short", "<i2"), ("Char", "i1"), ("Byte", "u1")],
)  # fmt: skip
def test_every_kind_of_number(kind: str, dtype: str) -> None:
    data = NUMBERS.astype(dtype).tobytes()
    found = read_state_dict(torch_file(tensor(kind), {"0": data}), "x")
    np.testing.assert_array_equal(found["w"], NUMBERS.reshape(2, 3))
    assert found["w"].dtype == np.dtype(dtype)


def test_bfloat16_becomes_float32() -> None:
    halves = (NUMBERS.view("<u4") >> 16).astype("<u2").tobytes()
    found = read_state_dict(torch_file(tensor("BFloat16"), {"0": halves}), "x")
    np.testing.assert_array_equal(found["w"], NUMBERS.reshape(2, 3))


def test_a_view_of_a_storage() -> None:
    value = tensor(offset=1, sizes="(I2\nI2\nt", strides="(I1\nI2\nt")
    found = read_state_dict(torch_file(value, {"0": NUMBERS.tobytes()}), "x")
    np.testing.assert_array_equal(found["w"], [[1.0, 3.0], [2.0, 4.0]])


def test_metadata_that_says_nothing() -> None:
    found = read_state_dict(torch_file(tensor(more="}"), {"0": NUMBERS.tobytes()}), "x")
    np.testing.assert_array_equal(found["w"], NUMBERS.reshape(2, 3))


def test_an_empty_tensor() -> None:
    value = tensor(count=0, sizes="(I0\nt", strides="(I1\nt")
    assert read_state_dict(torch_file(value, {"0": b""}), "x")["w"].shape == (0,)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (tensor(offset=1), "beyond its storage"),
        (tensor(offset=-1), "place in its storage"),
        (tensor(strides="(I4\nI1\nt"), "beyond its storage"),
        (tensor(strides="(I-1\nI1\nt"), "tensor's sizes"),
        (tensor(sizes="(I-2\nI3\nt"), "tensor's sizes"),
        (tensor(sizes="(S'a'\nt"), "tensor's sizes"),
        (tensor(sizes="(I2\nt"), "place in its storage"),
        (tensor(sizes="(I99999999\nI9\nt", strides="(I0\nI0\nt"), "more than"),
        (tensor(count=7), "has 6 numbers and says 7"),
        (tensor(name="1"), "no member 'archive/data/1'"),
        (tensor(name="../0"), "no member"),
        (tensor("Object"), "names 'torch.ObjectStorage'"),
        (tensor(more="}S'neg'\nI01\ns"), "more than its numbers"),
        (f"{tensor()}}}S'neg'\nI01\nsb", "more than its numbers"),
        (f"{WRAPPED}({tensor()}I01\n)}}S'neg'\nI01\nstR", "more than its numbers"),
        (f"{GLOBAL}(I1\nI2\nI3\nI4\ntR", "expected a storage"),
        (f"{GLOBAL})R", "expected a tensor"),
        ("I7\n", "expected a tensor"),
        ("cos\nsystem\n", "names 'os.system'"),
    ],
)
def test_what_is_no_tensor_is_refused(value: str, message: str) -> None:
    with pytest.raises(PolicyLoadError, match=message):
        read_state_dict(torch_file(value, {"0": NUMBERS.tobytes()}), "x")


def test_a_big_endian_file_is_refused() -> None:
    data = torch_file(tensor(), {"0": NUMBERS.tobytes()}, byteorder=b"big")
    with pytest.raises(PolicyLoadError, match="big-endian"):
        read_state_dict(data, "x")


def test_what_is_no_file_of_torch_is_refused() -> None:
    with pytest.raises(PolicyLoadError, match=r"expected one data\.pkl"):
        read_state_dict(archive({"a": b"", "b/data.pkl": b"", "c/data.pkl": b""}), "x")
    with pytest.raises(PolicyLoadError, match="expected tensors by name"):
        read_state_dict(archive({"a/data.pkl": b"]."}), "x")
    with pytest.raises(PolicyLoadError, match="expected tensors by name"):
        read_state_dict(archive({"a/data.pkl": b"}I1\nI2\ns."}), "x")
