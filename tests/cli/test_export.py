"""`isthmus export`, as it is typed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.support.bare import bare_model

from isthmus.cli.main import EXIT_ERROR, command_parser, main

FIXTURES = Path(__file__).resolve().parent.parent / "export" / "fixtures"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("ppo_tanh.zip", "ppo_relu.zip", "ppo_relu.vecnormalize.pkl", "sac.zip"):
        shutil.copy(FIXTURES / name, tmp_path)
    return tmp_path


def test_one_word_exports_an_arm(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "ppo_tanh.zip"]) == 0
    told = capsys.readouterr().out
    assert "assumed: the input is twice as wide as the action" in told
    assert "random max difference: " in told
    assert "ppo_tanh.onnx and ppo_tanh.manifest.json: PPO stable-baselines3, interface" in told
    assert (folder / "ppo_tanh.onnx").is_file()


def test_an_onnx_model_gets_a_manifest(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare_model(folder / "bare.onnx")
    assert main(["export", "bare.onnx", "-o", "out.onnx"]) == 0
    told = capsys.readouterr().out
    assert told.count("assumed: ") == 3
    assert "out.onnx and out.manifest.json: onnx, interface" in told
    assert main(["export", "bare.onnx"]) == 0
    assert main(["export", "bare.onnx"]) == EXIT_ERROR
    assert "bare.onnx has a manifest already" in capsys.readouterr().err
    bare_model(folder / "one.onnx", batch=1)
    assert main(["export", "one.onnx"]) == EXIT_ERROR
    assert "with a dynamic first axis" in capsys.readouterr().err


def test_every_option_arrives(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = (
        "export ppo_relu.zip -o made.onnx --observation q:2,goal:3 --semantics velocity "
        "--fallback zero --control-dt 0.01 --scale 0.5 --activation relu "
        "--vecnormalize ppo_relu.vecnormalize.pkl --tolerance 1e-4 --observations"
    )
    assert main([*command.split(), str(FIXTURES / "ppo_relu.npz")]) == 0
    assert "recorded answers max difference: " in capsys.readouterr().out
    manifest = json.loads((folder / "made.manifest.json").read_text())
    contract = manifest["contract"]
    assert [field["name"] for field in contract["observation"]] == ["q", "goal"]
    assert contract["action"][0]["semantics"] == "velocity"
    assert contract["action"][0]["fallback"] == "zero"
    assert contract["control_dt_ns"] == 10_000_000
    assert manifest["outputs"][0]["scale"] == 0.5
    assert manifest["provenance"]["parity"]["tolerance"] == 1e-4


def test_a_contract_from_a_file(folder: Path) -> None:
    assert main(["export", "sac.zip", "--fallback", "hold"]) == 0
    assert main("export ppo_relu.zip --raw-observations --contract sac.onnx".split()) == 0
    one, other = (
        json.loads((folder / f"{name}.manifest.json").read_text()) for name in ("sac", "ppo_relu")
    )
    assert one["interface_hash"] == other["interface_hash"]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("ppo_relu.zip", "--vecnormalize FILE"),
        ("sac.zip", "--fallback"),
        ("sac.zip --fallback hold -o sac.bin", "ends in .onnx"),
        ("sac.zip --fallback hold -o no/where.onnx", "there is no folder no"),
        ("sac.zip --fallback hold --tolerance 0", "differs from the original"),
        ("sac.zip --fallback hold --tolerance nan", "--tolerance"),
        ("sac.zip --control-dt 0", "--control-dt"),
        ("absent.zip", "absent.zip cannot be read"),
        ("ppo_relu.vecnormalize.pkl", "no zip archive"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    command: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(folder.iterdir())
    assert main(["export", *command.split()]) == EXIT_ERROR
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1 and told.startswith("isthmus: ")
    assert sorted(folder.iterdir()) == before


def test_the_help_says_what_trusting_a_pickle_means() -> None:
    words = " ".join(command_parser("export").format_help().split())
    assert "RUNS CODE FROM IT with all your rights" in words


def test_an_export_is_evaluated_like_any_model(folder: Path) -> None:
    """What `export` writes is what everything else reads."""
    from isthmus.policy import allocate_action, load

    assert main(["export", "ppo_tanh.zip"]) == 0
    policy = load("ppo_tanh.onnx")
    action = allocate_action(policy.contract, 2)
    rows = {"q": np.zeros((2, 3), np.float32), "dq": np.ones((2, 3), np.float32)}
    policy.infer(rows, action, {}, {})
    policy.close()
    assert np.isfinite(action["delta"]).all() and action["delta"].any()
