from __future__ import annotations

import builtins
import hashlib
import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from isthmus.contract import ActionField, Contract, Field
from isthmus.contract.fields import DTYPES
from isthmus.errors import (
    InferenceError,
    InterfaceMismatchError,
    MissingDependencyError,
    PolicyLoadError,
)
from isthmus.policy import Policy, allocate_action, allocate_observation, load


def forward(layers, observation, fields=("q", "dq", "goal")):
    """What the network should answer, in float64."""
    x = np.concatenate([observation[name].astype(np.float64) for name in fields], axis=1)
    count = len(layers) // 2
    for i in range(count):
        x = x @ layers[f"w{i}"] + layers[f"b{i}"]
        x = np.tanh(x) if i < count - 1 else x
    return x


def test_a_network_through_its_manifest(maker, build, step):
    policy = load(maker.mlp())
    assert isinstance(policy, Policy)
    assert (policy.kind, policy.name) == ("onnx", "m")
    manifest = (maker.folder / "m.manifest.json").read_bytes()
    assert policy.digest == hashlib.sha256(manifest).hexdigest()
    done = step(policy, 5)
    wanted = np.clip(forward(build.mlp_layers((8, 16, 16, 3)), done["observation"]), -1, 1) * 0.1
    np.testing.assert_allclose(done["action"]["delta"], wanted, rtol=0, atol=1e-6)


def test_batch_sizes_may_change_from_call_to_call(maker, step):
    policy = load(maker.mlp())
    alone = {n: load(maker.folder / "m.onnx") for n in (1, 3, 64, 65, 200)}
    sizes = [1, 3, 1, 64, 65, 3, 200, 1, 64, 3, *range(2, 130), 1]
    for seed, n in enumerate(sizes):
        done = step(policy, n, seed=seed)["action"]["delta"]
        if n in alone:
            assert (done == step(alone[n], n, seed=seed)["action"]["delta"]).all()
        assert np.abs(done).max() <= np.float32(0.1)


def test_rows_do_not_depend_on_each_other(maker, step):
    policy = load(maker.mlp())
    done = step(policy, 16)
    for row in range(16):
        one = {name: array[row : row + 1] for name, array in done["observation"].items()}
        action = allocate_action(policy.contract, 1)
        policy.infer(one, action, {}, {})
        np.testing.assert_allclose(action["delta"][0], done["action"]["delta"][row], atol=1e-6)


def test_nothing_of_the_callers_is_kept_or_changed(maker, step):
    policy = load(maker.mlp())
    first = step(policy, 2)
    before = first["action"]["delta"].copy()
    observation = {k: v.copy() for k, v in first["observation"].items()}
    step(policy, 2, seed=9)
    assert (first["action"]["delta"] == before).all()
    assert all((first["observation"][k] == v).all() for k, v in observation.items())


def test_clip_scale_and_offset_in_this_order(maker, build, contract):
    identity = build.graph(
        [build.tensor("obs", ["n", 3])], [build.tensor("action", ["n", 3])],
        [("Identity", ("obs",), ("action",), {})], {},
    )  # fmt: skip
    outputs = [
        {"tensor": "action", "field": "delta", "clip": [[-1, -2, -3], 2], "scale": [1, 10, 100],
         "offset": [0.5, 0, -1]}
    ]  # fmt: skip
    inputs = [{"tensor": "obs", "concat": ["q"]}]
    policy = load(maker.write(identity, inputs=inputs, outputs=outputs))
    observation = allocate_observation(contract, 2)
    observation["q"][...] = [[-5, -5, -5], [5, 1, 5]]
    action = allocate_action(contract, 2)
    policy.infer(observation, action, {}, {})
    assert action["delta"].tolist() == [[-0.5, -20, -301], [2.5, 10, 199]]
    observation["q"][0] = [np.nan, np.inf, 0]  # The engine looks for these, so they must survive.
    policy.infer(observation, action, {}, {})
    assert np.isnan(action["delta"][0, 0])


def test_normalisation_from_the_manifest(maker, build, step):
    mean, std = [0.1] * 8, [0.5, 1, 2, 0.5, 1, 2, 0.5, 1]
    layers = build.mlp_layers((8, 16, 3))
    statistics = {"obs": {"mean": mean, "std": std, "clip": 1.5}}
    policy = load(maker.write(build.mlp_graph(layers), normalisation=statistics))
    done = step(policy, 32)
    obs = done["observation"]
    x = np.concatenate([obs["q"], obs["dq"], obs["goal"]], axis=1)
    x = np.clip((x - np.array(mean)) / np.array(std), -1.5, 1.5)
    wanted = forward(layers, {"x": x}, ("x",))
    wanted = np.clip(wanted, -1, 1) * 0.1
    np.testing.assert_allclose(done["action"]["delta"], wanted, atol=1e-6)


def recurrent(build):
    """h' = h + sum(q), action = h'[:3]."""
    return build.graph(
        [build.tensor("obs", ["n", 3]), build.tensor("h_in", ["n", 4])],
        [build.tensor("action", ["n", 3]), build.tensor("h_out", ["n", 4])],
        [
            ("ReduceSum", ("obs", "one"), ("sum",), {"keepdims": 1}),
            ("Add", ("h_in", "sum"), ("h_out",), {}),
            ("Slice", ("h_out", "zero", "three", "one"), ("action",), {}),
        ],
        {"zero": np.array([0]), "one": np.array([1]), "three": np.array([3])},
    )


STATE = [{"input": "h_in", "output": "h_out", "shape": [4], "dtype": "float32"}]
RECURRENT = {
    "inputs": [{"tensor": "obs", "concat": ["q"]}],
    "outputs": [{"tensor": "action", "field": "delta"}],
}


def test_recurrent_state_lives_with_the_caller(maker, build, contract):
    policy = load(maker.write(recurrent(build), state=STATE, **RECURRENT))
    state = policy.initial_state(2)
    assert {k: (v.shape, v.dtype.name) for k, v in state.items()} == {"h_in": ((2, 4), "float32")}
    observation = allocate_observation(contract, 2)
    observation["q"][:, 0] = [1, 10]
    action = allocate_action(contract, 2)
    kept = {"h_in": state["h_in"].copy()}
    policy.infer(observation, action, state, kept)
    assert (state["h_in"] == 0).all()
    policy.infer(observation, action, kept, kept)  # In place is allowed.
    assert kept["h_in"].tolist() == [[2] * 4, [20] * 4]
    assert action["delta"].tolist() == [[2] * 3, [20] * 3]
    one = {"h_in": kept["h_in"][1:]}
    policy.infer(
        {k: v[:1] for k, v in observation.items()}, {"delta": action["delta"][:1]}, one, one
    )
    assert kept["h_in"][1].tolist() == [21] * 4


@pytest.mark.parametrize("broken", [{}, {"h_in": np.zeros((1, 4), "f4")}])
def test_state_that_is_missing_or_misshapen(maker, build, contract, broken):
    policy = load(maker.write(recurrent(build), state=STATE, **RECURRENT))
    arrays = allocate_observation(contract, 2), allocate_action(contract, 2)
    with pytest.raises(InferenceError, match="h_in"):
        policy.infer(*arrays, broken, policy.initial_state(2))
    with pytest.raises(InferenceError, match="h_in"):
        policy.infer(*arrays, policy.initial_state(2), broken)


def test_the_last_action_is_the_output_after_clip_before_scale(maker, build, contract):
    doubled = build.graph(
        [build.tensor("obs", ["n", 6])], [build.tensor("action", ["n", 3])],
        [
            ("Split", ("obs",), ("a", "b"), {"axis": 1}),
            ("Add", ("b", "b"), ("bb",), {}),
            ("Add", ("a", "bb"), ("action",), {}),
        ],
        {},
    )  # fmt: skip
    policy = load(
        maker.write(
            doubled,
            inputs=[{"tensor": "obs", "concat": ["q", "previous"]}],
            outputs=[
                {"tensor": "action", "field": "delta", "clip": [-5, 5], "scale": 0.5, "offset": 1}
            ],
            last_action="previous",
        )
    )
    state = policy.initial_state(1)
    assert state["previous"].shape == (1, 3)
    observation = allocate_observation(contract, 1)
    observation["q"][...] = 1
    action = allocate_action(contract, 1)
    raw = []
    for _ in range(4):
        policy.infer(observation, action, state, state)
        raw.append(state["previous"][0, 0])
        assert action["delta"][0, 0] == raw[-1] * 0.5 + 1
    assert raw == [1, 3, 5, 5]


IMAGE = Contract(
    name="camera",
    observation=(
        Field("camera.top", (224, 224, 3), "uint8"),
        Field("q", (2, 3), "float32"),
        Field("t", (), "float32"),
    ),
    action=(
        ActionField("chunk", (2, 3), "float64", fallback="zero"),
        ActionField("button", (), "int64", fallback="zero"),
    ),
    control_dt_ns=1,
)


def camera_model(build, image_shape=("n", 224, 224, 3), dtype=TensorProto.UINT8):
    return build.graph(
        [build.tensor("image", list(image_shape), dtype), build.tensor("vec", ["n", 7])],
        [build.tensor("chunk", ["n", 6]), build.tensor("button", ["n", 1], TensorProto.INT64)],
        [
            ("Slice", ("vec", "zero", "six", "one"), ("chunk",), {}),
            ("Cast", ("image",), ("f",), {"to": TensorProto.FLOAT}),
            ("ReduceMax", ("f",), ("max",), {"axes": [1, 2, 3], "keepdims": 0}),
            ("Unsqueeze", ("max", "one"), ("max1",), {}),
            ("Cast", ("max1",), ("button",), {"to": TensorProto.INT64}),
        ],
        {"zero": np.array([0]), "one": np.array([1]), "six": np.array([6])},
    )


CAMERA = {
    "contract": IMAGE,
    "inputs": [
        {"tensor": "image", "concat": ["camera.top"]}, {"tensor": "vec", "concat": ["q", "t"]}
    ],
    "outputs": [
        {"tensor": "chunk", "field": "chunk"}, {"tensor": "button", "field": "button"}
    ],
}  # fmt: skip


@pytest.mark.parametrize("dtype", [TensorProto.UINT8, TensorProto.FLOAT])
def test_images_several_outputs_and_scalars(maker, build, step, dtype):
    """A uint8 tensor is read where it lies; a float one is converted."""
    policy = load(maker.write(camera_model(build, dtype=dtype), **CAMERA))
    for n, seed in ((1, 0), (3, 1), (1, 2), (3, 3)):
        done = step(policy, n, seed=seed)
        obs, action = done["observation"], done["action"]
        assert (action["button"] == obs["camera.top"].reshape(n, -1).max(axis=1)).all()
        assert (action["chunk"] == obs["q"]).all()


def test_an_image_that_is_read_where_it_lies_is_checked_first(maker, build):
    policy = load(maker.write(camera_model(build), **CAMERA))
    good = allocate_observation(IMAGE, 2)
    action = allocate_action(IMAGE, 2)
    image = good["camera.top"]
    for bad in (image[:1], image[..., ::-1], image.astype(np.int8), image[:, :, :, :2]):
        with pytest.raises(
            InferenceError, match=r"must be C-contiguous, aligned uint8 \(2, 224, 224, 3\)"
        ):
            policy.infer({**good, "camera.top": bad}, action, {}, {})
    policy.infer(good, action, {}, {})


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_passes_unchanged(maker, build, step, dtype, large):
    """Copied when small, read where it lies when large."""
    shape = (256, 520) if large else (3,)
    contract = Contract(
        name="x",
        observation=(Field("x", shape, dtype),),
        action=(ActionField("y", shape, dtype, fallback="zero"),),
        control_dt_ns=1,
    )
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    passing = build.graph(
        [build.tensor("obs", ["n", *shape], kind)],
        [build.tensor("action", ["n", *shape], kind)],
        [("Identity", ("obs",), ("action",), {})],
        {},
    )
    policy = load(
        maker.write(
            passing,
            contract=contract,
            inputs=[{"tensor": "obs", "concat": ["x"]}],
            outputs=[{"tensor": "action", "field": "y"}],
        )
    )
    for n in (1, 3):
        done = step(policy, n)
        assert done["action"]["y"].dtype == dtype
        assert done["action"]["y"].any()
        assert (done["action"]["y"] == done["observation"]["x"]).all()


def test_misshapen_arrays_are_never_broadcast(maker, contract):
    policy = load(maker.mlp())
    observation, action = allocate_observation(contract, 4), allocate_action(contract, 4)
    for name, bad in (("q", (1, 3)), ("goal", (4, 1)), ("dq", (3,))):
        wrong = {**observation, name: np.zeros(bad, observation[name].dtype)}
        with pytest.raises(InferenceError, match=f"observation '{name}' must be"):
            policy.infer(wrong, action, {}, {})
    with pytest.raises(InferenceError, match="KeyError: 'q'"):
        policy.infer({}, action, {}, {})
    with pytest.raises(InferenceError, match=r"action 'delta' must be \(4, 3\).*got \(4, 2\)"):
        policy.infer(observation, {"delta": np.zeros((4, 2), "f4")}, {}, {})


def test_overflow_on_the_way_becomes_infinity_not_a_warning(maker, contract):
    policy = load(maker.mlp())
    observation, action = allocate_observation(contract, 1), allocate_action(contract, 1)
    observation["goal"][...] = 1e300
    policy.infer(observation, action, {}, {})


def test_what_the_runtime_raises_is_an_inference_error(maker, build, contract):
    wants_two = build.graph(  # Works for the probe's zeros, fails on a large index.
        [build.tensor("obs", ["n", 3])], [build.tensor("action", ["n", 3])],
        [
            ("Cast", ("obs",), ("i",), {"to": TensorProto.INT64}),
            ("Gather", ("table", "i"), ("action",), {}),
        ],
        {"table": np.zeros(2, "f4")},
    )  # fmt: skip
    policy = load(maker.write(wants_two, inputs=[{"tensor": "obs", "concat": ["q"]}]))
    observation, action = allocate_observation(contract, 1), allocate_action(contract, 1)
    observation["q"][...] = 7
    with pytest.raises(InferenceError, match=r"policy 'm' \(onnx\) failed: .*") as caught:
        policy.infer(observation, action, {}, {})
    assert caught.value.__cause__ is not None
    observation["q"][...] = 1
    policy.infer(observation, action, {}, {})


def test_a_closed_policy(maker, step):
    policy = load(maker.mlp())
    policy.close()
    policy.close()
    with pytest.raises(InferenceError, match="is closed"):
        step(policy)


def test_the_interface_is_compared_when_a_contract_is_given(maker, contract):
    path = maker.mlp()
    assert load(path, contract=replace(contract, limits={})).contract == contract
    with pytest.raises(InterfaceMismatchError, match="control_dt"):
        load(path, contract=replace(contract, control_dt_ns=10))


# -- refusals ------------------------------------------------------------------------------------


def first_three(build, shape=("n", 8), out=("n", 3), dtype=TensorProto.FLOAT):
    """The first three numbers of each row, whatever the shape of a row."""
    flat = ("Flatten", ("c",), ("f",), {"axis": 1 if shape else 0})
    return build.graph(
        [build.tensor("obs", list(shape), dtype)],
        [build.tensor("action", list(out))],
        [
            ("Cast", ("obs",), ("c",), {"to": TensorProto.FLOAT}),
            flat,
            ("Slice", ("f", "zero", "three", "one"), ("action",), {}),
        ],
        {"zero": np.array([0]), "one": np.array([1]), "three": np.array([3])},
    )


REFUSED = [
    (dict(shape=("n", 9)), r"input 'obs' is float32 \(batch, 9\).* together 8 wide"),
    (dict(shape=("n", 2, 4)), r"input 'obs' is float32 \(batch, 2, 4\).*Nothing is padded"),
    (dict(dtype=TensorProto.INT32), "float32 cannot become int32 without loss"),
    (dict(dtype=TensorProto.STRING), r"input 'obs' is tensor\(string\), which no field can be"),
    (dict(shape=(1, 8)), r"its batch is fixed at 1.*dynamic_axes=\{'obs': \{0: 'batch'\}\}"),
    (dict(shape=()), "has no batch axis"),
    (dict(shape=("n", "w"), out=("n", "w2")), None),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_models_whose_tensors_do_not_fit(maker, build, changes, message):
    path = maker.write(first_three(build, **changes))
    if message is None:
        assert load(path).kind == "onnx"  # Open sizes are settled by the probe.
        return
    with pytest.raises(PolicyLoadError, match=message):
        load(path)


def test_an_output_of_another_width_names_both_shapes(maker):
    path = maker.mlp((8, 16, 4), numpy=None)
    wanted = (
        r"output 'action' is float32 \(batch, 4\); action field 'delta' is float32 \(batch, 3\)"
    )
    with pytest.raises(PolicyLoadError, match=wanted):
        load(path)


def test_a_batch_that_is_open_on_paper_only_is_found_by_the_probe(maker, build):
    frozen = build.graph(
        [build.tensor("obs", ["n", 3])], [build.tensor("action", ["n", 3])],
        [("Slice", ("obs", "zero", "one", "zero"), ("action",), {})],
        {"zero": np.array([0]), "one": np.array([1])},
    )  # fmt: skip
    path = maker.write(frozen, inputs=[{"tensor": "obs", "concat": ["q"]}])
    with pytest.raises(PolicyLoadError, match="the model cannot run a batch of 2"):
        load(path)


def test_tensor_names_that_differ_are_listed_on_both_sides(maker, build):
    model = build.mlp_graph(build.mlp_layers((8, 3)))
    other = [{"tensor": "x", "concat": ["q", "dq", "goal"]}]
    with pytest.raises(PolicyLoadError, match="has the inputs obs; the manifest feeds x"):
        load(maker.write(model, inputs=other))
    with pytest.raises(PolicyLoadError, match="the outputs none; the manifest reads y"):
        load(maker.write(model, outputs=[{"tensor": "y", "field": "delta"}]))
    with pytest.raises(PolicyLoadError, match="has the inputs h_in, obs; the manifest feeds obs"):
        load(maker.write(recurrent(build), **RECURRENT))


def passing(build, shape, dtype):
    """Hands the state through as it is."""
    return build.graph(
        [build.tensor("obs", ["n", 3]), build.tensor("h_in", list(shape), dtype)],
        [build.tensor("action", ["n", 3]), build.tensor("h_out", list(shape), dtype)],
        [("Identity", ("obs",), ("action",), {}), ("Identity", ("h_in",), ("h_out",), {})],
        {},
    )


STATES = [
    (("n", 5), TensorProto.FLOAT, r"\(batch, 5\); the manifest says float32 \(batch, 4\)"),
    (("n", 1, 4), TensorProto.FLOAT, r"\(batch, 1, 4\); the manifest says float32"),
    ((1, 4), TensorProto.FLOAT, "fixed at 1"),
]


@pytest.mark.parametrize(("shape", "dtype", "message"), STATES)
def test_state_tensors_that_do_not_fit(maker, build, shape, dtype, message):
    with pytest.raises(PolicyLoadError, match=message):
        load(maker.write(passing(build, shape, dtype), state=STATE, **RECURRENT))


def test_state_of_another_dtype(maker, build):
    state = [{**STATE[0], "dtype": "float64"}]
    with pytest.raises(PolicyLoadError, match="the dtypes must be equal"):
        load(maker.write(recurrent(build), state=state, **RECURRENT))


def test_integers_are_not_clipped_scaled_or_normalised(maker, build):
    outputs = [CAMERA["outputs"][0], {**CAMERA["outputs"][1], "scale": 2}]
    with pytest.raises(PolicyLoadError, match="only floats can be clipped, scaled or offset"):
        load(maker.write(camera_model(build), **{**CAMERA, "outputs": outputs}))
    statistics = {"image": {"mean": 0, "std": 255}}
    with pytest.raises(PolicyLoadError, match="only floats can be normalised"):
        load(maker.write(camera_model(build), **CAMERA, normalisation=statistics))
    path = maker.write(
        camera_model(build, dtype=TensorProto.FLOAT), **CAMERA, normalisation=statistics
    )
    assert load(path).kind == "onnx"


def test_without_a_manifest_the_way_forward_is_shown(maker):
    path = maker.mlp()
    (maker.folder / "m.manifest.json").unlink()
    with pytest.raises(PolicyLoadError, match="m.manifest.json must lie beside.*isthmus contract"):
        load(path)


def test_onnx_runtime_reports_nothing_unless_somebody_wants_it(maker, monkeypatch):
    for said, holds in ((None, "1"), ("0", "0")):
        monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
        if said is not None:
            monkeypatch.setenv("ORT_DISABLE_TELEMETRY", said)
        load(maker.mlp()).close()
        assert os.environ["ORT_DISABLE_TELEMETRY"] == holds


def test_another_model_a_changed_one_and_a_truncated_one(maker):
    path = maker.mlp()
    whole = path.read_bytes()
    for data in (whole[:-1], whole + b"\0", b""):
        path.write_bytes(data)
        with pytest.raises(PolicyLoadError, match="has sha256 .*; its manifest expects"):
            load(path)
    path.unlink()
    with pytest.raises(PolicyLoadError, match="does not exist"):
        load(path)
    path.mkdir()
    with pytest.raises(PolicyLoadError, match="is no regular file"):
        load(path)


@pytest.mark.parametrize("keep", [1, 10, 100, 0.5, 0.99])
def test_a_truncated_model_with_the_right_hash(maker, keep):
    data = maker.mlp().read_bytes()
    cut = data[: keep if isinstance(keep, int) else int(len(data) * keep)]
    with pytest.raises(PolicyLoadError, match="no ONNX model|refused by ONNX Runtime"):
        load(maker.write(cut))


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x80\x04K\x01.", b"{}", bytes(1000)])
def test_bytes_that_are_no_model(maker, data):
    with pytest.raises(PolicyLoadError):
        load(maker.write(data))


def test_external_data_is_refused_even_where_the_file_is_there(maker, build, monkeypatch):
    model = build.mlp_graph(build.mlp_layers((8, 16, 3)))
    onnx.save(
        model, maker.folder / "e.onnx", save_as_external_data=True, location="w.bin",
        size_threshold=0,
    )  # fmt: skip
    monkeypatch.chdir(maker.folder)
    path = maker.write((maker.folder / "e.onnx").read_bytes())
    with pytest.raises(PolicyLoadError, match="external data.*must be one file"):
        load(path)


def test_providers(maker, step):
    path = maker.mlp()
    for name in ("CPUExecutionProvider", "cpu", "CPU"):
        assert step(load(path, providers=(name,)))["action"]["delta"].any()
    with pytest.raises(PolicyLoadError, match="'npu' is not available.*CPUExecutionProvider"):
        load(path, providers=("npu", "cpu"))
    with pytest.raises(PolicyLoadError, match="no execution provider was named"):
        load(path, providers=())


def test_inputs_are_bound_at_every_step_beside_other_providers(maker, build, step, monkeypatch):
    """A provider with its own memory copies inputs when they are bound."""
    from isthmus.policy import onnx as module

    path = maker.write(camera_model(build), **CAMERA)
    binds = []
    bind = module._bind

    def count(session, rows, direct, *, on_cpu):
        binds.append(on_cpu)
        return bind(session, rows, direct, on_cpu=False)

    monkeypatch.setattr(module, "_bind", count)
    policy = load(path)
    for seed in range(3):
        done = step(policy, 2, seed=seed)
        assert (done["action"]["chunk"] == done["observation"]["q"]).all()
    assert binds == [True, True]


# -- without ONNX Runtime ------------------------------------------------------------------------


@pytest.fixture
def no_runtime(monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.partition(".")[0] == "onnxruntime":
            raise ModuleNotFoundError("No module named 'onnxruntime'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)


def test_the_twin_answers_the_same_and_says_so(maker, step, no_runtime, monkeypatch, caplog):
    path = maker.mlp()
    with caplog.at_level(logging.WARNING, logger="isthmus.policy"):
        twin = load(path)
    assert (twin.kind, twin.name) == ("numpy", "m")
    assert "`pip install onnxruntime` in this Python" in caplog.text
    assert 'add "onnxruntime" to `requirements`' in caplog.text
    assert "running its numpy twin m.npz instead" in caplog.text
    monkeypatch.undo()
    original = load(path)
    assert twin.digest != original.digest
    for n in (1, 7, 64, 2):
        a, b = step(twin, n, seed=n), step(original, n, seed=n)
        np.testing.assert_allclose(a["action"]["delta"], b["action"]["delta"], atol=1e-6)


def test_without_a_twin_the_way_forward_is_shown(maker, no_runtime):
    with pytest.raises(MissingDependencyError, match="pip install onnxruntime`"):
        load(maker.mlp(numpy=None))


def test_onnx_runtime_reports_nothing_to_its_makers(tmp_path):
    """Its newer releases keep an identifier of the machine in a cache, and send it home."""
    environ = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    for name in ("ORT_DISABLE_TELEMETRY", "CI"):
        environ.pop(name, None)
    model = Path(__file__).resolve().parents[2] / "policies" / "reach.onnx"
    program = "import sys\nfrom isthmus.policy import load\nload(sys.argv[1]).close()"
    subprocess.run([sys.executable, "-c", program, str(model)], env=environ, check=True)
    assert list(tmp_path.rglob("*")) == []
