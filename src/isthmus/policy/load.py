"""One way in for every policy: a target as a user writes it, and what loads it.

=========================  =========  ===================================================
target                     kind       needs
=========================  =========  ===================================================
`reach.onnx`               onnx       `reach.manifest.json` beside it, which `isthmus export`
                                      writes
`reach.npz`                numpy      the same
`constant[:VALUE]`         constant   a contract
`dummy.json`               dummy_zero nothing: `{"type": "linear_dummy", "action_dim": N}`
`pkg.mod:factory`          callable   code the operator names; never a name from the net
`unix:`, `shm:`, `tcp://`  remote     another gateway
=========================  =========  ===================================================
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from ..contract import Contract
from ..contract.diff import require_same_interface
from ..errors import InterfaceMismatchError, PolicyLoadError
from .base import Policy
from .suggestions import target_of_file

__all__ = ["CPU", "load", "names_code"]

CPU: tuple[str, ...] = ("CPUExecutionProvider",)
_MOST_THREADS = 1024


@dataclass(frozen=True)
class Request:
    """What `load` was asked for; each loader takes what it needs."""

    target: str
    contract: Contract | None
    providers: Sequence[str]
    name: str | None
    threads: int
    joint_names: Sequence[str]


def load(
    target: str | os.PathLike[str],
    *,
    contract: Contract | None = None,
    providers: Sequence[str] = CPU,
    name: str | None = None,
    threads: int = 1,
    joint_names: Sequence[str] = (),
) -> Policy:
    """Load a policy.

    Args:
        target: see the module's table.
        contract: if given, the policy's interface must equal it. `constant` and plain
            functions need it.
        providers: ONNX Runtime execution providers in order of preference, by full or short
            name (`cuda`); all of them must be there.
        name: a word for people; the default comes from the target.
        threads: threads one inference may use; 1 is the fastest for small networks.
        joint_names: of the contract that a dummy makes for itself; other policies know theirs.

    Raises:
        PolicyLoadError: the target is not understood, or what it names cannot be used.
        InterfaceMismatchError: the policy was made for another interface than `contract`.
        MissingDependencyError: it needs a package that is not installed.
    """
    if not 1 <= threads <= _MOST_THREADS:
        raise PolicyLoadError(f"threads must be 1 to {_MOST_THREADS}, got {threads}")
    text = os.fspath(target)
    request = Request(text, contract, tuple(providers), name, threads, joint_names)
    loader = _loader_of(text)
    if loader is None:
        raise PolicyLoadError(
            f"{text!r} is no policy this isthmus can load; use MODEL.onnx or MODEL.npz with its "
            "manifest beside it, a .zip, .pt, .pth or .onnx without one (`isthmus serve` exports "
            "it on the way, `isthmus export` once and for all), a dummy's .json, constant[:VALUE], "
            "pkg.mod:factory, or the URL of a gateway"
        )
    policy = loader(request)
    if contract is not None:
        try:
            require_same_interface(contract, policy.contract, "the contract given", policy.name)
        except InterfaceMismatchError:
            policy.close()
            raise
    return policy


def names_code(target: str) -> bool:
    """Whether a target is the operator's own Python code, `pkg.mod:factory`."""
    return _loader_of(target) is _load_callable


def _loader_of(target: str) -> Loader | None:
    return next((loader for pattern, loader in _LOADERS if pattern.fullmatch(target)), None)


def _load_remote(request: Request) -> Policy:
    remote = import_module("isthmus.policy.remote")
    return cast(Policy, remote.load(request.target, contract=request.contract, name=request.name))


def _load_constant(request: Request) -> Policy:
    from .constant import ConstantPolicy, parse_values

    if request.contract is None:
        raise PolicyLoadError(
            f"{request.target!r} needs a contract to know what to answer; give one "
            "(--contract FILE, or contract=...)"
        )
    values = parse_values(request.target.partition(":")[2])
    return ConstantPolicy(request.contract, values, name=request.name or request.target)


def _load_onnx(request: Request) -> Policy:
    from .onnx import load_onnx

    return load_onnx(
        Path(request.target),
        providers=request.providers,
        name=request.name,
        threads=request.threads,
    )


def _load_numpy(request: Request) -> Policy:
    from .mlp import load_mlp

    return load_mlp(Path(request.target), name=request.name)


def _load_dummy(request: Request) -> Policy:
    from .dummy import load_dummy

    return load_dummy(
        Path(request.target),
        contract=request.contract,
        joint_names=request.joint_names,
        name=request.name,
    )


def _load_callable(request: Request) -> Policy:
    from .callable import load_callable

    return load_callable(request.target, contract=request.contract, name=request.name)


def _refuse_pickle(request: Request) -> Policy:
    raise PolicyLoadError(
        f"{request.target!r}: checkpoints of this kind can run code when they are opened, so they "
        "are not opened; export the policy to ONNX with a manifest first (`isthmus export` does it "
        "for .zip, .pt and .pth, and `isthmus serve` by itself)"
    )


def _refuse_source(request: Request) -> Policy:
    raise PolicyLoadError(
        f"{request.target!r} is Python code: name the function in it that makes the policy, as in "
        f"{target_of_file(request.target)}"
    )


Loader = Callable[[Request], Policy]

_LOADERS: tuple[tuple[re.Pattern[str], Loader], ...] = (
    (re.compile(r"(tcp|unix|shm):.+"), _load_remote),
    (re.compile(r"constant(:.*)?"), _load_constant),
    (re.compile(r".+\.onnx"), _load_onnx),
    (re.compile(r".+\.npz"), _load_numpy),
    (re.compile(r".+\.json"), _load_dummy),
    (re.compile(r".+\.(zip|pt|pth|pkl|pickle|ckpt|joblib)"), _refuse_pickle),
    (re.compile(r".+\.py"), _refuse_source),
    (re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*"), _load_callable),
)
"""Pattern of a target -> what loads it; the first that matches is taken."""
