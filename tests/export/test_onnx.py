"""ONNX models without a manifest: what they get, and what is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from tests.support.bare import answers, bare_model, model_of, tensor

from isthmus.contract import ActionField, Contract, Field
from isthmus.errors import ContractError, PolicyLoadError
from isthmus.export import Exported, Naming, Options, export_policy
from isthmus.policy import allocate_action, load

ROWS = np.random.default_rng(1).normal(size=(5, 6)).astype(np.float32)
ARM = Contract(
    "arm",
    (Field("goal", (2,), "float64"), Field("q", (4,), "float32", "rad")),
    (ActionField("move", (3,), "float32", semantics="velocity"),),
    20_000_000,
)
HELD = Options(Naming(fallback="hold"))


def export(path: Path, options: Options | None = None, name: str = "out.onnx") -> Exported:
    return export_policy(path, path.with_name(name), options)


def ask(path: Path, **fields: Any) -> Any:
    policy = load(path)
    action = allocate_action(policy.contract, len(next(iter(fields.values()))))
    policy.infer(fields, action, {}, {})
    policy.close()
    return next(iter(action.values()))


def test_an_arm_gets_the_manifest_that_its_maker_left_out(tmp_path: Path) -> None:
    path = bare_model(tmp_path / "arm.onnx")
    done = export(path)
    manifest = done.manifest
    assert manifest["inputs"] == [{"tensor": "state", "concat": ["q", "dq"]}]
    assert manifest["outputs"] == [{"tensor": "mean", "field": "delta"}]
    assert done.path.read_bytes() == path.read_bytes()
    made = manifest["provenance"]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert (made["format"], made["source_sha256"], manifest["sha256"]) == ("onnx", digest, digest)
    assert made["assumed"] == list(done.assumed) and len(done.assumed) == 3
    assert "physical units" in done.assumed[0]
    assert made["parity"]["random_rows"] == 1024
    assert made["parity"]["random_max_difference"] < 1e-5
    delta = ask(done.path, q=ROWS[:, :3], dq=ROWS[:, 3:])
    np.testing.assert_allclose(delta, answers(ROWS), atol=1e-5)


def test_a_model_that_gets_its_manifest_stays_where_it_lies(tmp_path: Path) -> None:
    path = bare_model(tmp_path / "arm.onnx")
    before = path.stat()
    assert export(path, name="arm.onnx").path == path
    assert path.stat().st_ino == before.st_ino
    load(path).close()
    # A manifest that is there is somebody's word: it is not written over, nor passed over.
    for name in ("arm.onnx", "other.onnx"):
        with pytest.raises(PolicyLoadError, match=r"arm\.onnx has a manifest already"):
            export(path, name=name)


def test_a_contract_names_its_numbers(tmp_path: Path) -> None:
    path = bare_model(tmp_path / "arm.onnx")
    done = export(path, Options(Naming(ARM, observation=("q", "goal"), scale=0.5)))
    assert done.manifest["inputs"][0]["concat"] == ["q", "goal"]
    move = ask(done.path, q=ROWS[:, :4], goal=ROWS[:, 4:].astype(np.float64))
    np.testing.assert_allclose(move, 0.5 * answers(ROWS), atol=1e-5)
    short = Contract("short", ARM.observation[1:], ARM.action, ARM.control_dt_ns)
    with pytest.raises(ContractError, match="takes 6 numbers"):
        export(path, Options(Naming(short)))


def test_as_many_numbers_in_as_out_say_nothing(tmp_path: Path) -> None:
    path = bare_model(tmp_path / "same.onnx", 3, 3)
    with pytest.raises(ContractError, match="--fallback"):
        export(path)
    contract = export(path, HELD).manifest["contract"]
    assert [field["name"] for field in contract["observation"]] == ["observation"]
    assert contract["action"][0]["semantics"] == "opaque"


def test_a_width_that_the_model_leaves_open_must_be_said(tmp_path: Path) -> None:
    path = tmp_path / "open.onnx"
    shapes = [tensor("x", ["batch", "n"])], [tensor("y", ["batch", "m"])]
    path.write_bytes(model_of(*shapes, [("Tanh", ["x"], ["y"])]).SerializeToString())
    with pytest.raises(PolicyLoadError, match="how wide its input is"):
        export(path, HELD)
    naming = Naming(observation=("a:2", "b:1"), fallback="hold")
    done = export(path, Options(naming))
    assert done.manifest["contract"]["action"][0]["shape"] == [3]
    got = ask(done.path, a=ROWS[:, :2], b=ROWS[:, 2:3])
    np.testing.assert_allclose(got, np.tanh(ROWS[:, :3]), atol=1e-6)


def test_numbers_of_double_width_keep_it(tmp_path: Path) -> None:
    path = tmp_path / "double.onnx"
    x, y = (tensor(name, ["batch", 2], TensorProto.DOUBLE) for name in "xy")
    path.write_bytes(model_of([x], [y], [("Tanh", ["x"], ["y"])]).SerializeToString())
    contract = export(path, HELD).manifest["contract"]
    assert contract["observation"][0]["dtype"] == contract["action"][0]["dtype"] == "float64"


def test_recorded_answers_are_compared(tmp_path: Path) -> None:
    path = bare_model(tmp_path / "arm.onnx")
    seen = tmp_path / "seen.npz"
    np.savez(seen, observations=ROWS, actions=answers(ROWS))
    parity = export(path, Options(observations=seen)).manifest["provenance"]["parity"]
    assert parity["recorded_answers_max_difference"] < 1e-5
    np.savez(seen, observations=ROWS, actions=answers(ROWS) + 0.1)
    with pytest.raises(PolicyLoadError, match="recorded answers"):
        export(path, Options(observations=seen), "other.onnx")


WIDE = tensor("x", ["batch", 4])
ROW = tensor("y", ["batch", 4])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            model_of([WIDE, tensor("z", ["batch", 4])], [ROW], [("Add", ["x", "z"], ["y"])]),
            r"the inputs x, z and the outputs y; .* one of each",
        ),
        (
            model_of(
                [WIDE], [ROW, tensor("v", ["batch", 4])],
                [("Tanh", ["x"], ["y"]), ("Neg", ["x"], ["v"])],
            ),
            r"the outputs y, v; .* docs/POLICIES\.md",
        ),
        (
            model_of([WIDE], [tensor("y", ["batch", 4], TensorProto.BOOL)],
                     [("IsNaN", ["x"], ["y"])]),
            r"output 'y' is bool \(batch, 4\); .* floats",
        ),
        (
            model_of([tensor("x", ["batch", 2, 4])], [tensor("y", ["batch", 2, 4])],
                     [("Tanh", ["x"], ["y"])]),
            r"input 'x' is float32 \(batch, 2, 4\)",
        ),
        (
            model_of([tensor("x", [1, 4])], [tensor("y", [1, 4])], [("Tanh", ["x"], ["y"])]),
            r"its batch is fixed at 1.*dynamic_axes",
        ),
        (
            model_of([WIDE], [ROW], [("CumSum", ["x", "axis"], ["y"])], {"axis": np.array(0)}),
            "differs from the original .* answer each row by itself",
        ),
        (
            model_of([WIDE], [ROW], [("RandomNormalLike", ["x"], ["y"])]),
            "alike every time",
        ),
    ],
    ids=["inputs", "outputs", "booleans", "rank", "batch", "rows", "random"],
)  # fmt: skip
def test_what_needs_more_than_a_row_of_numbers(
    model: onnx.ModelProto, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "bare.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(PolicyLoadError, match=message):
        export(path, HELD)
    assert [each.name for each in tmp_path.iterdir()] == ["bare.onnx"]


@pytest.mark.parametrize("least", [20.0, -50.0, 5e5])
def test_a_row_that_lies_far_out_must_not_move_the_others(least: float, tmp_path: Path) -> None:
    """As long as all rows are ordinary they are answered one by one."""
    nodes: list[Any] = [
        ("ReduceMax" if least > 0 else "ReduceMin", ["x"], ["edge"]),
        ("Less" if least > 0 else "Greater", ["edge", "least"], ["ordinary"]),
        ("Where", ["ordinary", "x", "zero"], ["y"]),
    ]
    constants = {"least": np.float32(least), "zero": np.float32(0.0)}
    path = tmp_path / "bare.onnx"
    path.write_bytes(model_of([WIDE], [ROW], nodes, constants).SerializeToString())
    with pytest.raises(PolicyLoadError, match="answer each row by itself"):
        export(path, HELD)


def test_no_number_for_an_ordinary_row_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bare.onnx"
    path.write_bytes(model_of([WIDE], [ROW], [("Sqrt", ["x"], ["y"])]).SerializeToString())
    with pytest.raises(PolicyLoadError, match="differs from the original by nan"):
        export(path, HELD)
    # Where ordinary rows are answered, a number that is none at zero is the guard's to replace.
    nodes = [("Div", ("x", "x"), ("y",))]
    path.write_bytes(model_of([WIDE], [ROW], nodes).SerializeToString())
    assert export(path, HELD).manifest["provenance"]["parity"]["special_max_difference"] == 0


def test_other_files_and_other_tensors_are_not_opened(tmp_path: Path) -> None:
    path = bare_model(tmp_path / "outside.onnx")
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    with pytest.raises(PolicyLoadError, match="external data"):
        export(path)
    path.write_bytes(b"PK\x03\x04 nor is this a model")
    with pytest.raises(PolicyLoadError, match=r"outside\.onnx is no ONNX model"):
        export(path)


def test_statistics_may_be_in_the_graph_already(tmp_path: Path, fixtures: Path) -> None:
    path = bare_model(tmp_path / "arm.onnx")
    statistics = fixtures / "ppo_relu.vecnormalize.pkl"
    with pytest.raises(PolicyLoadError, match="nothing says whether its graph has"):
        export(path, Options(vecnormalize=statistics))


def test_one_output_is_not_cut_into_fields(tmp_path: Path) -> None:
    path = bare_model(tmp_path / "arm.onnx")
    two = tuple(ActionField(name, (n,), "float32", semantics="velocity")
                for name, n in (("arm", 2), ("hand", 1)))  # fmt: skip
    with pytest.raises(PolicyLoadError, match="one action field"):
        export(path, Options(Naming(Contract("two", ARM.observation, two, 20_000_000))))
