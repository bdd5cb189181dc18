from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.contract import Field
from isthmus.errors import PolicyLoadError
from isthmus.policy.files import MAX_MANIFEST_BYTES, read_file
from isthmus.policy.manifest import Normalisation, OutputMap, StateMap, manifest_path
from isthmus.policy.manifest_reader import parse_manifest, read_manifest

SHA = "ab" * 32
TWIN = {"model": "m.npz", "sha256": SHA, "activation": "tanh"}
STATE = {"input": "h", "output": "h2", "shape": [4], "dtype": "float32"}
OUT = {"tensor": "action", "field": "delta"}


def parse(maker, **changes):
    return parse_manifest(json.dumps(maker.manifest(**changes)).encode())


def test_everything_in_it_is_read(maker, contract):
    data = json.dumps(
        maker.manifest(
            sha256=SHA,
            inputs=[{"tensor": "obs", "concat": ["q", "goal", "before"]}],
            outputs=[{**OUT, "clip": [-1, [1, 2, 3]], "scale": [1, 2, 3], "offset": 4}],
            normalisation={"obs": {"mean": 0, "std": [1] * 8, "clip": 10}},
            last_action="before",
            state=[STATE],
            provenance={"seed": 7, "free": ["form"]},
        )
    ).encode()
    manifest = parse_manifest(data)
    assert manifest.contract == contract
    assert manifest.outputs == (
        OutputMap("action", "delta", (-1.0, (1.0, 2.0, 3.0)), (1.0, 2.0, 3.0), 4.0),
    )
    assert manifest.normalisation == {"obs": Normalisation(0.0, (1.0,) * 8, 10.0)}
    assert manifest.state == (StateMap("h", "h2", (4,), "float32"),)
    assert (manifest.last_action, manifest.mlp) == ("before", None)
    assert manifest.provenance == {"seed": 7, "free": ["form"]}
    assert manifest.digest == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("word", ["graph", "none"])
def test_optional_parts_may_be_absent_or_null(maker, word):
    manifest = parse(maker, normalisation=word, last_action=None, numpy=None)
    assert manifest.normalisation == {}
    assert (manifest.last_action, manifest.state, manifest.mlp) == ("", (), None)
    assert manifest.outputs[0].offset == 0.0


REFUSALS = [
    (dict(manifest_version=2), "manifest_version 2: this isthmus reads version 1"),
    (dict(manifest_version=True), "manifest_version True"),
    (dict(kind="torch"), "kind 'torch': use one of onnx, numpy"),
    (dict(model=...), "keys missing: model"),
    (dict(surprise=1), "unknown keys 'surprise'; known keys: manifest_version"),
    (dict(model="../m.onnx"), "must be a file name without a folder"),
    (dict(model="a\\m.onnx"), "must be a file name without a folder"),
    (dict(model=".."), "must be a file name without a folder"),
    (dict(model=["m.onnx"]), "must be a file name without a folder"),
    (dict(sha256="AB" * 32), "must be 64 hex digits"),
    (dict(sha256=7), "must be 64 hex digits"),
    (dict(interface_hash="0" * 64), "interface_hash is '0+', but the embedded contract's is"),
    (dict(inputs={}), "inputs must be a list, got dict"),
    (dict(inputs=[]), "inputs must name at least one tensor"),
    (dict(inputs=[{"tensor": "obs", "concat": []}]), "must name fields, each once"),
    (dict(inputs=[{"tensor": "obs", "concat": ["q", "q"]}]), "must name fields, each once"),
    (dict(inputs=[{"tensor": "", "concat": ["q"]}]), r"inputs\[0\].tensor must be a name, got ''"),
    (dict(inputs=[{"tensor": "obs", "concat": [1]}]), r"inputs\[0\].concat\[0\] must be a name"),
    (dict(inputs=[{"tensor": "obs", "concat": ["qq"]}]), "'qq', which is no observation field"),
    (dict(inputs=[{"tensor": "o", "concat": ["q"]}] * 2), "input tensor 'o' is named twice"),
    (dict(inputs=["obs"]), r"inputs\[0\] must be an object, got str"),
    (dict(outputs=[]), "each action field exactly once: delta; got none"),
    (dict(outputs=[OUT, OUT]), "exactly once: delta; got delta, delta"),
    (dict(outputs=[{**OUT, "field": "q"}]), "exactly once: delta; got q"),
    (dict(outputs=[{**OUT, "clip": [1]}]), r"clip must be \[low, high\]"),
    (dict(outputs=[{**OUT, "clip": [1, -1]}]), "clip has low > high"),
    (dict(outputs=[{**OUT, "clip": [[0, 0, 2], 1]}]), "clip has low > high"),
    (dict(outputs=[{**OUT, "clip": [[0, 0], 1]}]), "clip has 2 numbers; expected 1 or 3"),
    (dict(outputs=[{**OUT, "scale": [1]}]), "scale has 1 numbers; expected 1 or 3"),
    (dict(outputs=[{**OUT, "offset": [1] * 4}]), "offset has 4 numbers; expected 1 or 3"),
    (dict(outputs=[{**OUT, "scale": "1"}]), "scale must be a number, got '1'"),
    (dict(outputs=[{**OUT, "scale": True}]), "scale must be a number, got True"),
    (dict(outputs=[{**OUT, "scale": 10**400}]), "number too long: 401 digits"),
    (dict(outputs=[{**OUT, "gain": 1}]), r"outputs\[0\]: unknown keys 'gain'"),
    (dict(normalisation=None), "never both"),
    (dict(normalisation={}), "never both"),
    (dict(normalisation=["graph", {}]), "never both"),
    (dict(normalisation={"graph": True}), r"normalisation.graph must be an object"),
    (dict(normalisation={"x": {"mean": 0, "std": 1}}), "'x', which is no input tensor"),
    (dict(normalisation={"obs": {"mean": 0}}), "normalisation.obs: keys missing: std"),
    (dict(normalisation={"obs": {"mean": 0, "std": 0}}), "std must be greater than 0"),
    (dict(normalisation={"obs": {"mean": 0, "std": [1, -1]}}), "std must be greater than 0"),
    (dict(normalisation={"obs": {"mean": [0] * 7, "std": 1}}), "mean has 7 numbers; .* 1 or 8"),
    (dict(normalisation={"obs": {"mean": 0, "std": 1, "clip": 0}}), "clip must be greater than 0"),
    (dict(last_action="q"), "last_action 'q' is also an observation field"),
    (dict(last_action="before"), "last_action 'before' is read by no input"),
    (dict(last_action=3), "last_action must be a name"),
    (dict(state=[{**STATE, "shape": [0]}]), r"state\[0\].shape\[0\] must be a whole number"),
    (dict(state=[{**STATE, "shape": [2.0]}]), "must be a whole number"),
    (dict(state=[{**STATE, "dtype": "object"}]), "dtype 'object': use one of float32"),
    (dict(state=[STATE, STATE]), "input tensor 'h' is named twice"),
    (dict(state=[{**STATE, "input": "obs"}]), "input tensor 'obs' is named twice"),
    (dict(state=[{**STATE, "output": "action"}]), "output tensor 'action' is named twice"),
    (dict(state=[STATE], numpy=TWIN), "a numpy network has one input tensor"),
    (dict(numpy={**TWIN, "activation": "gelu"}), "'gelu': use one of tanh, relu"),
    (dict(numpy={**TWIN, "activation": ["tanh"]}), "use one of tanh, relu"),
    (dict(numpy={"model": "m.npz"}), "numpy: keys missing: sha256, activation"),
    (dict(activation="tanh"), "'activation' belongs to kind 'numpy'"),
    (dict(kind="numpy"), "kind 'numpy' takes 'activation'"),
    (dict(kind="numpy", activation="tanh", numpy=TWIN), "and no 'numpy'"),
    (dict(provenance="mine"), "provenance must be an object"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSALS)
def test_manifests_that_contradict_themselves(maker, changes, message):
    with pytest.raises(PolicyLoadError, match=message):
        parse(maker, **changes)


def test_a_contract_that_is_wrong(maker, contract):
    broken = {**contract.to_dict(), "observation": []}
    data = json.dumps({**maker.manifest(), "contract": broken}).encode()
    with pytest.raises(PolicyLoadError, match="manifest: observation"):
        parse_manifest(data)


def test_the_last_action_counts_towards_the_width(maker):
    inputs = [{"tensor": "obs", "concat": ["q", "before"]}]
    statistics = {"obs": {"mean": [0] * 6, "std": 1}}
    parse(maker, inputs=inputs, last_action="before", normalisation=statistics)
    with pytest.raises(PolicyLoadError, match="also a tensor's name"):
        parse(maker, inputs=[{**inputs[0], "tensor": "before"}], last_action="before")


def test_an_action_may_have_the_name_of_an_observation(maker, contract):
    named = replace(contract, observation=(*contract.observation, Field("delta", (5,), "float32")))
    inputs = [{"tensor": "obs", "concat": ["delta"]}]
    statistics = {"obs": {"mean": [0] * 5, "std": 1}}
    parse(maker, contract=named, inputs=inputs, normalisation=statistics)


NOT_JSON = [
    (b"", "manifest: "),
    (b"[1]", "manifest must be an object, got list"),
    (b'{"a": NaN}', "must be finite, got NaN"),
    (b'{"a": -Infinity}', "must be finite, got -Infinity"),
    (b'{"a": 1e999}', "must be finite, got 1e999"),
    (b'{"a": 1, "b": 2, "a": 3}', "duplicate key 'a'"),
    (b'{"a": ' + b"9" * 5000 + b"}", "manifest: "),
    (b"[" * 200_000, "manifest: "),
    (b'{"a": ' * 200_000, "manifest: "),
    (b"\xff\xfe{}", "manifest: "),
    (b"\x80\x04K\x01.", "manifest: "),
]


@pytest.mark.parametrize(("data", "message"), NOT_JSON)
def test_what_is_no_plain_json(data, message):
    with pytest.raises(PolicyLoadError, match=message):
        parse_manifest(data)


def test_a_manifest_cut_anywhere_is_refused(maker):
    data = json.dumps(maker.manifest()).encode()
    for end in range(len(data)):
        with pytest.raises(PolicyLoadError):
            parse_manifest(data[:end])


def test_where_it_lies():
    assert manifest_path(Path("d/reach.v2.onnx")) == Path("d/reach.v2.manifest.json")


def test_files_are_bounded_before_they_are_read(maker, tmp_path):
    path = maker.mlp()
    with (tmp_path / "m.manifest.json").open("r+b") as file:
        file.truncate(MAX_MANIFEST_BYTES + 1)
    with pytest.raises(PolicyLoadError, match=f"larger than {MAX_MANIFEST_BYTES} bytes"):
        read_manifest(path)
    with pytest.raises(PolicyLoadError, match="is no regular file"):
        read_file(Path("/dev/zero"), 10)
    with pytest.raises(PolicyLoadError, match="cannot be read: No such file"):
        read_file(tmp_path / "absent", 10)


def test_a_renamed_model_is_not_guessed_at(maker):
    path = maker.mlp()
    (maker.folder / "other.manifest.json").write_bytes(manifest_path(path).read_bytes())
    renamed = path.rename(maker.folder / "other.onnx")
    with pytest.raises(PolicyLoadError, match="is about m.npz, m.onnx, not other.onnx"):
        read_manifest(renamed)
