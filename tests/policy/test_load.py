from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from isthmus.errors import InterfaceMismatchError, PolicyLoadError
from isthmus.policy import load
from isthmus.policy.constant import ConstantPolicy


@pytest.mark.parametrize("target", ["", "reach", "model.tflite", "http://x/reach", "a b:c", "1:f"])
def test_targets_nobody_understands(target):
    with pytest.raises(PolicyLoadError, match="no policy this isthmus can load; use MODEL.onnx"):
        load(target)


@pytest.mark.parametrize("suffix", ["zip", "pt", "pth", "pkl", "pickle", "ckpt", "joblib"])
def test_checkpoints_that_run_code_are_not_opened(tmp_path, suffix):
    with pytest.raises(PolicyLoadError, match="export the policy to ONNX"):
        load(tmp_path / f"model.{suffix}")


@pytest.mark.parametrize("threads", [0, 1025, 1 << 31])
def test_threads_are_bounded(contract, threads):
    with pytest.raises(PolicyLoadError, match=f"threads must be 1 to 1024, got {threads}"):
        load("constant", contract=contract, threads=threads)


@pytest.mark.parametrize("url", ["tcp://h:1", "unix:sock.onnx", "shm:p"])
def test_urls_go_to_the_remote_loader_and_a_mismatch_closes_it(contract, monkeypatch, url):
    calls = []

    class Remote(ConstantPolicy):
        def close(self):
            calls.append("closed")

    def remote_load(target, *, contract, name):
        calls.append((target, name))
        return Remote(other)

    other = type(contract).from_dict({**contract.to_dict(), "control_dt_ns": 1, "limits": {}})
    module = types.ModuleType("isthmus.policy.remote")
    module.load = remote_load
    monkeypatch.setitem(sys.modules, "isthmus.policy.remote", module)
    assert load(url, name="n").contract is other
    with pytest.raises(InterfaceMismatchError):
        load(url, contract=contract)
    assert calls == [(url, "n"), (url, None), "closed"]


def test_paths_are_taken_too(tmp_path):
    with pytest.raises(PolicyLoadError):
        load(Path(tmp_path) / "absent.npz")


def test_a_model_that_is_not_here_is_named_by_its_whole_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("absent.npz", "policies/absent.onnx"):
        with pytest.raises(PolicyLoadError, match=f"{name} does not exist: .* {tmp_path}/{name}$"):
            load(name)
    with pytest.raises(PolicyLoadError, match="does not exist$"):
        load(tmp_path / "absent.npz")
