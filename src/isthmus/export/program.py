"""What a TorchScript archive would compute, found out before torch sees it.

TorchScript keeps its code as text, in a language that is a part of Python's. Loading an archive
compiles that code, and runs `__setstate__` where a class has one; running it can read and write
files (`aten::from_file`, `aten::save`). So the text is parsed here, without torch, and every
operator it calls must be one that computes numbers from numbers; its attributes, which are a
pickle, are read by `unpickle` and may name nothing but tensors and classes of that text.

Once torch has compiled it, the graph is held against the same list (`check_kinds`) before it runs
for the first time: there a call can no longer look like something else.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from ..errors import PolicyLoadError
from .archive import Archive
from .tensors import TENSOR_NAMES
from .unpickle import read

__all__ = ["OPERATORS", "PLUMBING", "check_code", "check_kinds", "is_torchscript"]

MAX_CODE_BYTES = 8 << 20

_NUMBERS = frozenset(
    # layers and activations
    "linear matmul mm bmm addmm baddbmm conv1d conv2d max_pool1d max_pool2d avg_pool1d avg_pool2d "
    "adaptive_avg_pool1d adaptive_avg_pool2d layer_norm batch_norm group_norm instance_norm "
    "dropout tanh sigmoid relu relu6 elu celu selu gelu silu mish leaky_relu prelu softplus "
    "softsign hardtanh hardsigmoid hardswish hardshrink softshrink softmax log_softmax embedding "
    # numbers
    "add sub rsub mul div remainder fmod neg abs sign pow square sqrt rsqrt reciprocal exp log "
    "log1p log2 log10 sin cos tan asin acos atan floor ceil round clamp clamp_min clamp_max "
    "maximum minimum max min amax amin argmax argmin sum mean prod var eq ne lt le gt ge "
    "logical_and logical_or logical_not logical_xor where masked_fill isnan isinf isfinite "
    "nan_to_num lerp threshold".split()
)
"""What torch.onnx translates faithfully: tests/export/test_operators.py asks each at the places
where translations part, and has why others are not here."""

PLUMBING = frozenset(
    # shapes
    "reshape view flatten unflatten squeeze unsqueeze transpose permute t expand expand_as repeat "
    "cat stack hstack vstack split split_with_sizes chunk unbind slice select narrow gather "
    "index_select index roll flip tile contiguous clone detach alias to type_as float double half "
    "int long bool "
    # constants and sizes
    "zeros ones full empty zeros_like ones_like full_like new_zeros new_ones new_full arange "
    "linspace eye tensor as_tensor size dim len numel ndimension Int Float Bool IntImplicit "
    "FloatImplicit ScalarImplicit append floordiv format list warn __getitem__ __len__ __is__ "
    "__isnot__ __not__ __and__ __or__ __xor__ __contains__ __range_length __derive_index".split()
)
"""What moves numbers, and what makes constants. Which of it would mix rows is seen in the graph."""

OPERATORS = _NUMBERS | PLUMBING
"""Operators of `aten` that are let through. What ends in `_` is the same in place."""

_PRIM = frozenset(
    "Constant GetAttr ListConstruct ListUnpack TupleConstruct TupleUnpack TupleIndex DictConstruct "
    "If Loop NumToTensor RaiseException unchecked_cast unchecked_unwrap_optional Uninitialized "
    "dtype device layout is_cuda shape data min max".split()
)
"""Of `prim`. SetAttr is not among them: a policy that writes its own attributes remembers, and a
gateway puts rows of several sessions into one call."""

_FUNCTIONS = frozenset(
    "annotate uninitialized unchecked_cast getattr int float bool str range isinstance len "
    "ops".split()
)
"""What TorchScript's text may call by a plain name."""


_PICKLES = ("data.pkl", "constants.pkl")
_NAMES = TENSOR_NAMES | {"torch.device"}
_PACKAGES = ("__torch__.", "torch.jit._pickle.")
_CLASSES = ["__torch__", "torch", "classes"]
_ROUNDING = "div with a rounding_mode"


def is_torchscript(archive: Archive) -> bool:
    """Whether an archive holds TorchScript: code, and constants."""
    parts = [name.partition("/")[2] for name in archive.names]
    return "constants.pkl" in parts and any(part.startswith("code/") for part in parts)


def check_code(archive: Archive, source: str) -> None:
    """Hold all code of an archive against the list.

    Raises:
        PolicyLoadError: it is no TorchScript that can be read, or calls anything else.
    """
    total = 0
    for name in archive.names:
        if name.partition("/")[2] in _PICKLES:
            read(archive.read(name), f"{source}, {name}", _expected)
        if "/code/" not in f"/{name}" or not name.endswith(".py"):
            continue
        text = archive.read(name)
        total += len(text)
        if total > MAX_CODE_BYTES:
            raise PolicyLoadError(f"{source}: more than {MAX_CODE_BYTES} bytes of code")
        try:
            tree = ast.parse(text.decode(), name)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as exc:
            raise PolicyLoadError(f"{source}: {name} is no TorchScript that is read") from exc
        aliases = _aliases(tree)
        for node in ast.walk(tree):
            _check(node, f"{source}, {name}", aliases.get(node, set()))


def check_kinds(kinds: Iterable[str], source: str) -> None:
    """Hold the kinds of a compiled graph's nodes (`aten::linear`) against the list.

    Raises:
        PolicyLoadError: one is not on it.
    """
    for kind in kinds:
        space, _, name = kind.partition("::")
        if not (_is_operator(name) if space == "aten" else space == "prim" and name in _PRIM):
            raise _refused(source, kind)


def _expected(name: str) -> bool:
    return name in _NAMES or name.startswith(_PACKAGES)


def _aliases(tree: ast.Module) -> dict[ast.AST, set[str]]:
    """Of each call, the names that stand for functions of the archive's own text.

    A function says `_0 = __torch__.torch.nn.functional.layer_norm`, and calls `_0(...)` then.
    """
    found: dict[ast.AST, set[str]] = {}
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            inside = list(ast.walk(function))
            named = [
                (target.id, _dotted(node.value))
                for node in inside
                if isinstance(node, ast.Assign)
                for target in node.targets
                if isinstance(target, ast.Name)
            ]
            names = {name for name, path in named if path[:1] == ["__torch__"]}
            names -= {name for name, path in named if path[:1] != ["__torch__"]}
            names -= {name for name, path in named if path[:3] == _CLASSES}
            found.update({node: names for node in inside if isinstance(node, ast.Call)})
    return found


def _check(node: ast.AST, source: str, aliases: set[str]) -> None:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        if node.name in ("__setstate__", "__getstate__"):
            raise _refused(source, f"{node.name}, which runs while the file is loaded")
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        if node.value.id == "torch" and not _is_operator(node.attr):
            raise _refused(source, f"torch.{node.attr}")
    elif isinstance(node, ast.Call):
        if any(keyword.arg == "rounding_mode" for keyword in node.keywords):
            raise _refused(source, _ROUNDING)
        if not (isinstance(node.func, ast.Name) and node.func.id in aliases):
            _check_call(node.func, source)


def _check_call(function: ast.expr, source: str) -> None:
    if isinstance(function, ast.Name) and function.id not in _FUNCTIONS:
        raise _refused(source, function.id)
    path = _dotted(function)
    if path[:2] == ["ops", "aten"] and not _is_operator(path[-1]):
        raise _refused(source, ".".join(path))
    if path[:1] == ["ops"] and path[1:2] != ["aten"]:
        if path[1:2] != ["prim"] or path[-1] not in _PRIM:
            raise _refused(source, ".".join(path))
    if path[:3] == _CLASSES:
        raise _refused(source, ".".join(path))


def _dotted(node: ast.expr) -> list[str]:
    """`a.b.c` as its words; [] for anything else."""
    words: list[str] = []
    while isinstance(node, ast.Attribute):
        words.insert(0, node.attr)
        node = node.value
    return [node.id, *words] if isinstance(node, ast.Name) else []


def _is_operator(name: str) -> bool:
    return name in OPERATORS or (name.endswith("_") and name[:-1] in OPERATORS)


def _refused(source: str, what: str) -> PolicyLoadError:
    return PolicyLoadError(
        f"{source} uses {what[:120]}, which is not among the operators that turn one row of "
        "numbers into another, in ONNX as in torch: it may touch files, draw random numbers, "
        "remember, or be translated into something else. Leave it out and save the module again; "
        "or, for a file of your own, use --trust-pickle"
    )
