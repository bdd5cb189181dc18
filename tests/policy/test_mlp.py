from __future__ import annotations

import io
import os
import pickle
import zipfile

import numpy as np
import pytest

from isthmus.errors import PolicyLoadError
from isthmus.policy import load
from isthmus.policy.mlp import MAX_UNPACKED_BYTES, read_layers

SIZES = (8, 16, 16, 3)


def numpy_kind(activation="tanh"):
    return {"kind": "numpy", "activation": activation, "numpy": ...}


def archive(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def members(**contents):
    """A zip of raw members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in contents.items():
            file.writestr(f"{name}.npy", data)
    return buffer.getvalue()


def headed(text):
    """An npy member with this text as its header."""
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(64)


def squeezed(method):
    """A zip whose member's compressed bytes are broken."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        file.writestr("w0.npy", bytes(range(256)) * 8)
        start = file.getinfo("w0.npy").header_offset + 30 + len("w0.npy")
    data = bytearray(buffer.getvalue())
    data[start + 12 : start + 40] = b"\xff" * 28
    return bytes(data)


def npy(array, **kwargs):
    buffer = io.BytesIO()
    np.save(buffer, array, **kwargs)
    return buffer.getvalue()


REFERENCE = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "none": lambda x: x,
}


@pytest.mark.parametrize("activation", REFERENCE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_activation(maker, build, step, activation, dtype):
    layers = {k: v.astype(dtype) for k, v in build.mlp_layers(SIZES).items()}
    path = maker.write(archive(**layers), "m.npz", **numpy_kind(activation))
    policy = load(path)
    assert (policy.kind, policy.name) == ("numpy", "m")
    for n in (1, 5, 64, 2, 5):
        done = step(policy, n, seed=n)
        obs = done["observation"]
        x = np.concatenate([obs["q"], obs["dq"], obs["goal"]], axis=1).astype("float64")
        for i in range(3):
            x = x @ layers[f"w{i}"] + layers[f"b{i}"]
            x = REFERENCE[activation](x) if i < 2 else x
        wanted = np.clip(x, -1, 1) * 0.1
        np.testing.assert_allclose(done["action"]["delta"], wanted, atol=1e-6)


def test_one_layer_and_saturated_sigmoids(maker, build, step):
    path = maker.write(archive(**build.mlp_layers((8, 3))), "m.npz", **numpy_kind())
    assert step(load(path), 3)["action"]["delta"].any()
    layers = {k: v * 1000 for k, v in build.mlp_layers(SIZES).items()}
    policy = load(maker.write(archive(**layers), "m.npz", **numpy_kind("sigmoid")))
    assert np.isfinite(step(policy, 64)["action"]["delta"]).all()


def test_the_twin_can_be_asked_for_by_name(maker, step):
    onnx = load(maker.mlp())
    twin = load(maker.folder / "m.npz")
    assert (twin.kind, twin.contract) == ("numpy", onnx.contract)
    a, b = step(twin, 9), step(onnx, 9)
    np.testing.assert_allclose(a["action"]["delta"], b["action"]["delta"], atol=1e-6)


def test_last_action_and_normalisation_work_here_too(maker, build, step):
    changes = {
        "inputs": [{"tensor": "obs", "concat": ["q", "goal", "before"]}],
        "normalisation": {"obs": {"mean": 1, "std": 2}},
        "last_action": "before",
    }
    layers = build.mlp_layers(SIZES)
    npz = load(maker.write(archive(**layers), "m.npz", **numpy_kind(), **changes))
    onnx = load(maker.write(build.mlp_graph(layers), **changes))
    states = [npz.initial_state(4), onnx.initial_state(4)]
    for seed in range(4):
        done = [
            step(policy, 4, seed=seed, state=state)
            for policy, state in zip((npz, onnx), states, strict=True)
        ]
        states = [one["next_state"] for one in done]
        np.testing.assert_allclose(*(one["action"]["delta"] for one in done), atol=1e-6)
        np.testing.assert_allclose(*(state["before"] for state in states), atol=1e-5)
    assert np.abs(states[0]["before"]).max() > 0


def test_widths_that_do_not_fit_name_both_shapes(maker, build):
    path = maker.write(archive(**build.mlp_layers((9, 3))), "m.npz", **numpy_kind())
    with pytest.raises(PolicyLoadError, match=r"input 'obs' is float32 \(batch, 9\).*8 wide"):
        load(path)
    path = maker.write(archive(**build.mlp_layers((8, 4))), "m.npz", **numpy_kind())
    with pytest.raises(PolicyLoadError, match=r"\(batch, 4\); action field 'delta'.*\(batch, 3\)"):
        load(path)


def test_a_changed_twin_is_refused(maker):
    maker.mlp()
    path = maker.folder / "m.npz"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(PolicyLoadError, match="m.npz has sha256"):
        load(path)


NEGATIVE = b"{'descr':'<f4','fortran_order':False,'shape':(-4,-4)}\n"
W, B = np.ones((2, 3), "f4"), np.ones(3, "f4")
REFUSALS = [
    (b"", "no readable npz"),
    (b"\x80\x04K\x01.", "no readable npz"),
    (archive(w0=W), r"in pairs, got w0"),
    (members(), "in pairs, got "),
    (archive(w0=W, b1=B), "got b1, w0"),
    (archive(w0=W, b0=B, w1=W.T, b1=B[:2], w3=W, b3=B), "got b0, b1, b3"),
    (archive(w0=W, b0=B, extra=B), "'extra.npy' is not expected"),
    (archive(w0=W, b0=B, w1=W, b1=B), r"layer 1: w1 is \(2, 3\).*expected \(3, outputs\)"),
    (archive(w0=W, b0=B[:2]), r"layer 0: w0 is \(2, 3\) and b0 \(2,\)"),
    (archive(w0=W, b0=np.ones((1, 3), "f4")), "layer 0"),
    (archive(w0=B, b0=B), "layer 0"),
    (archive(w0=np.ones((2, 0), "f4"), b0=np.ones(0, "f4")), "layer 0"),
    (archive(w0=W.astype("f2"), b0=B), "weights are float32 or float64"),
    (archive(w0=W.astype(">f4"), b0=B), "weights are float32 or float64"),
    (archive(w0=W, b0=B.astype("f8")), "the same dtype"),
    (archive(w0=W * np.float32("nan"), b0=B), "not finite"),
    (members(w0=b"", b0=npy(B)), "magic string"),
    (members(w0=npy(W)[:-1], b0=npy(B)), "says .* but holds"),
    (members(w0=npy(W) + b"\0", b0=npy(B)), "says .* but holds"),
    (members(w0=b"\x93NUMPY\x07\x00" + bytes(100), b0=npy(B)), "version"),
    (members(w0=b"\x93NUMPY\x01\x00\x04\x00{1:}", b0=npy(B)), "header"),
    (members(w0=headed(b"(" * 9000)), "no readable npz|header"),
    (members(w0=headed(b"{'descr':[('a'," * 200 + b"}\n")), "no readable npz|header"),
    (members(w0=headed(b"-" * 9000 + b"1")), "no readable npz|header|malformed"),
    (members(w0=headed(NEGATIVE)), "says .* but holds"),
    (squeezed(zipfile.ZIP_DEFLATED), "no readable npz"),
    (squeezed(zipfile.ZIP_BZIP2), "no readable npz"),
    (squeezed(zipfile.ZIP_LZMA), "no readable npz"),
    (archive(**{f"w{i}": B for i in range(200)}), "holds 200 arrays; at most 128"),
]


@pytest.mark.parametrize(("data", "message"), REFUSALS)
def test_archives_that_are_no_network(data, message):
    with pytest.raises(ValueError, match=message):
        read_layers(data)


def test_a_header_may_not_ask_for_more_than_there_is():
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 1 << 20)}
    )
    with pytest.raises(ValueError, match="says .* but holds"):
        read_layers(members(w0=header.getvalue() + bytes(64), b0=npy(B)))


def test_a_bomb_is_refused_from_its_directory():
    bomb = members(w0=bytes(MAX_UNPACKED_BYTES), b0=npy(B))
    assert len(bomb) < MAX_UNPACKED_BYTES // 500
    with pytest.raises(ValueError, match="unpacks to .* bytes; at most"):
        read_layers(bomb)


def test_an_archive_cut_anywhere_is_refused():
    data = archive(w0=W, b0=B)
    for end in range(len(data)):
        with pytest.raises(ValueError):
            read_layers(data[:end])


def test_column_order_is_kept():
    w = np.asfortranarray(np.arange(6, dtype="f4").reshape(2, 3))
    (weight, _), *rest = read_layers(archive(w0=w, b0=B))
    assert (weight == w).all() and weight.flags.c_contiguous and not rest


class Canary:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_pickles_inside_are_never_opened(maker, tmp_path):
    canary = tmp_path / "canary"
    array = np.empty((1,), object)
    array[0] = Canary(canary)
    evil = npy(array, allow_pickle=True)
    path = maker.write(members(w0=evil, b0=npy(B)), "m.npz", **numpy_kind())
    with pytest.raises(PolicyLoadError, match="w0.npy is object"):
        load(path)
    raw = pickle.dumps(Canary(canary))
    for data in (raw, members(w0=raw, b0=raw)):
        with pytest.raises(PolicyLoadError):
            load(maker.write(data, "m.npz", **numpy_kind()))
        with pytest.raises(PolicyLoadError):
            load(maker.write(data))
    manifest = maker.folder / "m.manifest.json"
    manifest.write_bytes(raw)
    with pytest.raises(PolicyLoadError):
        load(path)
    assert not canary.exists()
    pickle.loads(raw)
    assert canary.is_dir()
