"""Every operator of TorchScript that is let through computes in ONNX what torch computes.

Asked where a robot may stand, not only where random numbers fall: zeros of both signs, the axes,
equal numbers, the tiny and the huge.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isthmus.errors import PolicyLoadError
from isthmus.export import Naming, Options, export_policy
from isthmus.export.program import OPERATORS, PLUMBING
from isthmus.policy import allocate_action, load

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

NUMBERS = [-1e30, -1e6, -1e3, -30.0, -2.5, -1.0, -0.5, -1e-30, -0.0, 0.0, 1e-30, 0.5, 1.0, 1.5, 2.5,
           30.0, 1e3, 1e6, 1e30]  # fmt: skip
NORMS = ("layer_norm", "group_norm", "instance_norm")
"""Their squares are beyond float32 near 1e30, where torch gives nan and ONNX Runtime need not."""

ROWS = np.array([[a, b, b, -a] for a in NUMBERS for b in NUMBERS], np.float32)
OPTIONS = Options(Naming(observation=("o:4",), fallback="hold"))

# x is (n, 4); u and v are its halves, (n, 2).
EXPRESSIONS: dict[str, str] = {
    "linear": "F.linear(x, torch.ones(3, 4))",
    "matmul": "torch.matmul(x, torch.ones(4, 2))",
    "mm": "torch.mm(x, torch.ones(4, 2))",
    "bmm": "torch.bmm(x.clamp(-9, 9).reshape(-1, 2, 2), x.clamp(-9, 9).reshape(-1, 2, 2))",
    "addmm": "torch.addmm(torch.ones(2), x, torch.ones(4, 2))",
    "baddbmm": "torch.baddbmm(torch.ones(1, 1, 1), u.reshape(-1, 1, 2), v.reshape(-1, 2, 1))",
    "conv1d": "F.conv1d(x.reshape(-1, 1, 4), torch.ones(2, 1, 3))",
    "conv2d": "F.conv2d(x.reshape(-1, 1, 2, 2), torch.ones(2, 1, 2, 2))",
    "max_pool1d": "torch.max_pool1d(x.reshape(-1, 1, 4), 2)",
    "max_pool2d": "torch.max_pool2d(x.reshape(-1, 1, 2, 2), 2)",
    "avg_pool1d": "F.avg_pool1d(x.reshape(-1, 1, 4), 2)",
    "avg_pool2d": "F.avg_pool2d(x.reshape(-1, 1, 2, 2), 2)",
    "adaptive_avg_pool1d": "F.adaptive_avg_pool1d(x.reshape(-1, 1, 4), 1)",
    "adaptive_avg_pool2d": "F.adaptive_avg_pool2d(x.reshape(-1, 1, 2, 2), (1, 1))",
    "layer_norm": "F.layer_norm(x, [4])",
    "batch_norm": "F.batch_norm(x, torch.zeros(4), torch.ones(4))",
    "group_norm": "F.group_norm(x, 2)",
    "instance_norm": "F.instance_norm(x.unsqueeze(1)).squeeze(1)",
    "dropout": "F.dropout(x, 0.5, False)",
    "tanh": "torch.tanh(x)",
    "sigmoid": "torch.sigmoid(x)",
    "relu": "torch.relu(x)",
    "relu6": "F.relu6(x)",
    "elu": "F.elu(x, 0.5)",
    "celu": "F.celu(x, 0.7)",
    "selu": "F.selu(x)",
    "gelu": "F.gelu(x) + F.gelu(x, approximate='tanh')",
    "silu": "F.silu(x)",
    "mish": "F.mish(x)",
    "leaky_relu": "F.leaky_relu(x, 0.2)",
    "prelu": "torch.prelu(x, torch.full([1], 0.25))",
    "softplus": "F.softplus(x)",
    "softsign": "F.softsign(x)",
    "hardtanh": "F.hardtanh(x, -2.0, 2.0)",
    "hardsigmoid": "F.hardsigmoid(x)",
    "hardswish": "F.hardswish(x)",
    "hardshrink": "F.hardshrink(x)",
    "softshrink": "F.softshrink(x)",
    "softmax": "torch.softmax(x, -1)",
    "log_softmax": "torch.log_softmax(x, 1)",
    "embedding": "F.embedding((u > 0).long(), torch.arange(6.0).reshape(2, 3))",
    "add": "torch.add(u, v, alpha=3.0)",
    "sub": "torch.sub(u, v, alpha=3.0)",
    "rsub": "torch.rsub(u, v, alpha=3.0)",
    "mul": "u * v",
    "div": "u / (v.abs() + 1e-3)",
    "remainder": "torch.remainder(x, 3.0)",
    "fmod": "torch.fmod(x, 3.0)",
    "neg": "-x",
    "abs": "torch.abs(x)",
    "sign": "torch.sign(x)",
    "pow": "torch.pow(x, 3) + torch.pow(x.abs(), 0.5)",
    "square": "torch.square(x)",
    "sqrt": "torch.sqrt(x.abs())",
    "rsqrt": "torch.rsqrt(x.abs() + 1e-3)",
    "reciprocal": "torch.reciprocal(x.abs() + 1e-3)",
    "exp": "torch.exp(x)",
    "log": "torch.log(x.abs())",
    "log1p": "torch.log1p(x.abs())",
    "log2": "torch.log2(x.abs())",
    "log10": "torch.log10(x.abs())",
    "sin": "torch.sin(x)",
    "cos": "torch.cos(x)",
    "tan": "torch.tan(x)",
    "asin": "torch.asin(x.clamp(-1, 1))",
    "acos": "torch.acos(x.clamp(-1, 1))",
    "atan": "torch.atan(x)",
    "floor": "torch.floor(x)",
    "ceil": "torch.ceil(x)",
    "round": "torch.round(x)",
    "clamp": "torch.clamp(x, -2.0, 1.0)",
    "clamp_min": "torch.clamp_min(x, -2.0)",
    "clamp_max": "torch.clamp_max(x, 2.0)",
    "maximum": "torch.maximum(u, v)",
    "minimum": "torch.minimum(u, v)",
    "max": "torch.max(u, v) + torch.max(x, 1, keepdim=True)[0]",
    "min": "torch.min(u, v) + torch.min(x, 1, keepdim=True)[0]",
    "amax": "torch.amax(x, [1], keepdim=True)",
    "amin": "torch.amin(x, [1], keepdim=True)",
    "argmax": "torch.argmax(x, 1, keepdim=True).float()",
    "argmin": "torch.argmin(x, 1, keepdim=True).float()",
    "sum": "torch.sum(x, 1, keepdim=True)",
    "mean": "torch.mean(x, 1, keepdim=True)",
    "prod": "torch.prod(x, 1, keepdim=True)",
    "var": "torch.var(x, 1, keepdim=True)",
    "eq": "(u == v).float()",
    "ne": "(u != v).float()",
    "lt": "(u < v).float()",
    "le": "(u <= v).float()",
    "gt": "(u > v).float()",
    "ge": "(u >= v).float()",
    "logical_and": "torch.logical_and(u > 0, v > 0).float()",
    "logical_or": "torch.logical_or(u > 0, v > 0).float()",
    "logical_not": "torch.logical_not(u > 0).float()",
    "logical_xor": "torch.logical_xor(u > 0, v > 0).float()",
    "where": "torch.where(u > 0, u, v)",
    "masked_fill": "x.masked_fill(x > 1.0, 2.0)",
    "isnan": "torch.isnan(x / x).float()",
    "isinf": "torch.isinf(1.0 / x).float()",
    "isfinite": "torch.isfinite(1.0 / x).float()",
    "nan_to_num": "torch.nan_to_num(x / x, 5.0)",
    "lerp": "torch.lerp(u, v, 0.7)",
    "threshold": "torch.threshold(x, 0.0, 0.0)",
}


def scripted(expression: str, folder: Path) -> Path:
    """The expression as TorchScript."""
    import torch

    file = folder / "module_of_a_test.py"
    file.write_text(
        "import torch\nimport torch.nn.functional as F\n\n\nclass Policy(torch.nn.Module):\n"
        "    def forward(self, x: torch.Tensor) -> torch.Tensor:\n"
        "        u, v = x[:, :2], x[:, 2:]\n"
        f"        return ({expression}).flatten(1)\n"
    )
    spec = importlib.util.spec_from_file_location("module_of_a_test", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["module_of_a_test"] = module
    spec.loader.exec_module(module)
    torch.jit.script(module.Policy().eval()).save(str(folder / "m.pt"))
    return folder / "m.pt"


def served(model: Path, rows: Any) -> Any:
    policy = load(model)
    action = allocate_action(policy.contract, len(rows))
    policy.infer({"o": rows}, action, {}, {})
    policy.close()
    return action["action"].reshape(len(rows), -1)


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_operator_s_answers_are_torch_s(name: str, tmp_path: Path) -> None:
    import torch

    path = scripted(EXPRESSIONS[name], tmp_path)
    export_policy(path, tmp_path / "m.onnx", OPTIONS)
    rows = ROWS[np.abs(ROWS).max(axis=1) < 1e7] if name in NORMS else ROWS
    wanted = torch.jit.load(str(path))(torch.from_numpy(rows)).numpy()
    got = served(tmp_path / "m.onnx", rows)
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


def test_every_operator_that_is_let_through_is_asked() -> None:
    assert set(EXPRESSIONS) == OPERATORS - PLUMBING


LAYERS = ["LayerNorm(8)", "LeakyReLU()", "Dropout(0.1)", "BatchNorm1d(8)", "Hardtanh()", "ReLU6()",
          "Softsign()", "Softmax(-1)", "GroupNorm(2, 8)", "Hardswish()", "Hardsigmoid()", "Mish()",
          "Flatten()", "Softplus()"]  # fmt: skip


@pytest.mark.filterwarnings("ignore")  # tracing tells of what it takes for constant
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("way", ["script", "trace"])
def test_a_network_of_ordinary_layers_is_exported(layer: str, way: str, tmp_path: Path) -> None:
    """As text its functionals have names of their own, `_0`, by which they are called."""
    import torch

    made = eval(f"torch.nn.{layer}")
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), made, torch.nn.Linear(8, 2)).eval()
    saved = torch.jit.script(net) if way == "script" else torch.jit.trace(net, torch.zeros(2, 4))
    saved.save(str(tmp_path / "m.pt"))
    export_policy(tmp_path / "m.pt", tmp_path / "m.onnx", OPTIONS)
    rows = np.random.default_rng(1).normal(size=(9, 4)).astype(np.float32)
    wanted = net(torch.from_numpy(rows)).detach().numpy()
    np.testing.assert_allclose(served(tmp_path / "m.onnx", rows), wanted, atol=1e-5)


TRANSLATED = {  # what torch.onnx makes another thing of
    "atan2": "torch.atan2(u, v)",
    "log_sigmoid": "F.logsigmoid(x)",
    "div with a rounding_mode": "torch.div(x, 2.0, rounding_mode='trunc')",
    "std": "torch.std(x, 1, keepdim=True)",
    "addcmul": "torch.addcmul(x, x, x, value=0.0)",
    "floor_divide": "torch.floor_divide(x, 2.0)",
}


@pytest.mark.parametrize("name", TRANSLATED)
def test_what_would_become_something_else_is_refused_by_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(PolicyLoadError, match=rf"uses (torch\.)?{name}"):
        export_policy(scripted(TRANSLATED[name], tmp_path), tmp_path / "m.onnx", OPTIONS)


@pytest.mark.parametrize("name", ["atan2", "log_sigmoid"])
def test_where_code_is_trusted_the_comparison_finds_it(name: str, tmp_path: Path) -> None:
    path = scripted(TRANSLATED[name], tmp_path)
    trusting = Options(OPTIONS.naming, trust_pickle=True)
    with pytest.raises(PolicyLoadError, match="differs from the original by"):
        export_policy(path, tmp_path / "m.onnx", trusting)


@pytest.mark.parametrize(
    "expression",
    [
        "x * 0.0 if float(x.abs().max()) > 20.0 else x",
        "x * 0.0 if bool((x > 1e30).any()) else x",
        "x * float(x.max())",
        "x - x.max()",
        "x + x.mean(0)",
        "x / x.abs().sum(0, keepdim=True)",
        "x.softmax(0)",
        "x.flip([0])",
        "x.roll(1, 0)",
        "x @ x.t() @ x",
        "x[0:1] + x",
        "F.batch_norm(x, torch.zeros(4), torch.ones(4), training=True)",
        "x[:, 0].softmax(0).unsqueeze(1)",
    ],
)
@pytest.mark.parametrize("trusted", [False, True])
def test_rows_that_meet_are_refused(expression: str, trusted: bool, tmp_path: Path) -> None:
    """Also where nothing that is asked would show it."""
    path = scripted(expression, tmp_path)
    with pytest.raises(PolicyLoadError, match="answered by itself|not among the operators"):
        export_policy(path, tmp_path / "m.onnx", Options(OPTIONS.naming, trust_pickle=trusted))
