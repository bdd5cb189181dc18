from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from isthmus.policy.onnx_bytes import names_external_data


def outside(location="w.bin"):
    tensor = numpy_helper.from_array(np.ones(3, "f4"), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    return tensor


def marked():
    """Says it is external without saying where."""
    tensor = numpy_helper.from_array(np.ones(3, "f4"), "w")
    tensor.data_location = TensorProto.EXTERNAL
    return tensor


def model(nodes=(), initializers=(), functions=()):
    graph = helper.make_graph(list(nodes), "g", [], [], list(initializers))
    return helper.make_model(graph, functions=list(functions))


def constant(tensor):
    return helper.make_node("Constant", [], ["c"], value=tensor)


def branch(node):
    body = helper.make_graph([node], "body", [], [])
    return helper.make_node("If", ["x"], ["y"], then_branch=body)


def sparse(values):
    return helper.make_sparse_tensor(values, numpy_helper.from_array(np.array([0]), "i"), [5])


HIDING = {
    "initializer": model(initializers=[outside()]),
    "by mark alone": model(initializers=[marked()]),
    "absolute path": model(initializers=[outside("/etc/passwd")]),
    "memory address": model(initializers=[outside("*/_ORT_MEM_ADDR_/*")]),
    "attribute": model([constant(outside())]),
    "attribute list": model([helper.make_node("X", [], ["y"], values=[outside()])]),
    "sparse attribute": model([helper.make_node("X", [], ["y"], v=sparse(outside()))]),
    "subgraph": model([branch(branch(constant(outside())))]),
    "function": model(
        functions=[helper.make_function("d", "F", [], ["c"], [constant(outside())], [])]
    ),
}
HIDING["after harmless ones"] = model(
    [constant(numpy_helper.from_array(np.ones(3, "f4"), "w"))],
    [numpy_helper.from_array(np.ones(5, "f4"), "v"), outside()],
)


@pytest.mark.parametrize("where", HIDING)
def test_external_data_is_found_wherever_it_hides(where):
    assert names_external_data(HIDING[where].SerializeToString())


def test_what_is_inside_stays_unread(build):
    whole = build.mlp_graph(build.mlp_layers((8, 64, 3)))
    assert not names_external_data(whole.SerializeToString())
    assert not names_external_data(model([branch(constant(numpy_helper.from_array(np.ones(2))))])
                                   .SerializeToString())  # fmt: skip
    assert not names_external_data(b"")


def test_cut_anywhere_it_raises_or_says_no(build):
    data = build.mlp_graph(build.mlp_layers((8, 4, 3))).SerializeToString()
    for end in range(len(data)):
        try:
            assert names_external_data(data[:end]) is False
        except ValueError:
            continue


def test_any_byte_changed_it_answers_or_raises_a_value_error(build):
    data = bytearray(build.mlp_graph(build.mlp_layers((8, 4, 3))).SerializeToString())
    for at in range(len(data)):
        for bit in (1, 4, 0x80):
            data[at] ^= bit
            try:
                names_external_data(bytes(data))
            except ValueError:
                pass
            finally:
                data[at] ^= bit


MALFORMED = [
    (b"\x3a\xff\xff\xff\xff\x0f", "cut short"),
    (b"\x3b", "wire type 3"),
    (b"\x08" + b"\x80" * 12, "more than ten bytes"),
    (b"\x09\x00", "cut short"),
    (b"\x08", "cut short"),
]


@pytest.mark.parametrize(("data", "message"), MALFORMED)
def test_malformed_bytes(data, message):
    with pytest.raises(ValueError, match=message):
        names_external_data(data)


def test_depth_is_bounded():
    data = b""
    for number in [7] + [1, 5, 6] * 100:  # model.graph, then node.attribute.graph over and over
        data = bytes([number << 3 | 2]) + _varint(len(data)) + data
    nested = b""
    for number in [6, 5, 1] * 100:
        nested = bytes([number << 3 | 2]) + _varint(len(nested)) + nested
    with pytest.raises(ValueError, match="nested too deep"):
        names_external_data(bytes([7 << 3 | 2]) + _varint(len(nested)) + nested)


def _varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])
