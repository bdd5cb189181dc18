"""Policies that torch has to run: TorchScript, and what is trusted. The only file that uses torch.

An archive's code is held against a list twice, as text before torch loads it (`program.check_code`)
and as the compiled graph before it runs (`program.check_kinds`).
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingDependencyError, PolicyLoadError
from ..policy.packages import how_to_install
from .graph import INPUT, OPSET, check
from .network import relative_difference
from .program import check_kinds
from .rows import check_rows
from .source import SPREAD, Source
from .spaces import Box, Space

__all__ = ["load_module", "load_script", "module_of", "source_of_module"]

Array = NDArray[Any]


def load_script(data: bytes, source: str, *, trusted: bool) -> Any:
    """Load a TorchScript archive whose code has been checked.

    Args:
        data: the archive.
        source: how messages call it.
        trusted: leave the graph unchecked.

    Raises:
        PolicyLoadError: torch refuses it, or its graph holds what is not on the list.
        MissingDependencyError: torch is not installed.
    """
    torch = _import_torch()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            module = torch.jit.load(io.BytesIO(data), map_location="cpu").eval()
        graph = module.inlined_graph
    except Exception as exc:  # torch raises RuntimeError, but also errors of its own compiler
        raise PolicyLoadError(f"{source} is refused by torch: {_first_line(exc)}") from exc
    if not trusted:
        check_kinds(sorted(set(_kinds(graph))), source)
    return module


def load_module(data: bytes, source: str) -> Any:
    """Unpickle a whole module, which RUNS THE CODE in the file.

    Raises:
        PolicyLoadError: it is no module.
        MissingDependencyError: torch is not installed.
    """
    torch = _import_torch()
    try:
        module = torch.load(io.BytesIO(data), map_location="cpu", weights_only=False)
    except Exception as exc:  # anything the file's own code may raise
        raise PolicyLoadError(f"{source} cannot be unpickled here: {_first_line(exc)}") from exc
    if not isinstance(module, torch.nn.Module):
        raise PolicyLoadError(
            f"{source} holds a {type(module).__name__}, and no module that could be called; save "
            "it as TorchScript: torch.jit.script(policy).save(PATH)"
        )
    return module.eval()


def module_of(function: Callable[[Any], Any], owner: Any) -> Any:
    """A function of tensors as a module that can be exported, with its owner's parameters."""
    torch = _import_torch()

    class Calling(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.owner = owner

        def forward(self, obs: Any) -> Any:
            return function(obs)

    return Calling().eval()


def source_of_module(
    module: Any,
    source: str,
    facts: dict[str, Any],
    *,
    width: int | None,
    observation: Box | None = None,
    action: Space | None = None,
) -> Source:
    """A module as the start of an export.

    Args:
        module: takes float32 (n, inputs) and gives (n, outputs).
        source: how messages call it.
        facts: of its origin, for the manifest.
        width: numbers of its input; None takes those of its first layer.
        observation: its space, where it is known.
        action: likewise.

    Raises:
        PolicyLoadError: it does not take such rows, or answers something else.
    """
    torch = _import_torch()
    if observation is None:
        wide = width or _first_width(module, source)
        bound = np.full(wide, np.inf, np.float32)
        observation = Box(-bound, bound, np.dtype(np.float32))
    shape = observation.low.shape

    def answer(x: Array) -> Array:
        rows = torch.from_numpy(np.ascontiguousarray(x.reshape(-1, *shape), np.float32))
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = module(rows)
        if not isinstance(found, torch.Tensor) or found.dim() == 0 or len(found) != len(rows):
            raise PolicyLoadError(f"{source}: expected one tensor with a row for each observation")
        answers: Array = found.detach().cpu().numpy()
        return answers.reshape(len(rows), -1)

    try:
        outputs = answer(np.zeros((2, observation.width))).shape[1]
    except RuntimeError as exc:
        raise PolicyLoadError(
            f"{source} does not take rows of {observation.width} numbers: {_first_line(exc)}; say "
            "what its input is with --contract, or --observation NAME:WIDTH,..."
        ) from exc
    if action is None:
        bound = np.full(outputs, np.inf, np.float32)
        action = Box(-bound, bound, np.dtype(np.float32))

    def difference(x: Array, y: Array) -> float:
        return relative_difference(answer(x), y)

    def onnx(widths: Sequence[int]) -> bytes:
        if widths:
            raise PolicyLoadError(
                f"{source}: the contract has {len(widths)} action fields and the module one "
                "output; only one action field can be exported from a module"
            )
        return _export(torch, module, shape, source)

    return Source(
        inputs=observation.width,
        outputs=outputs,
        scalar=False,
        observation=observation,
        action=action,
        centre=np.zeros(observation.width),
        spread=np.full(observation.width, SPREAD),
        difference=difference,
        onnx=onnx,
        facts={**facts, "torch": str(torch.__version__)},
    )


def _export(torch: Any, module: Any, shape: Sequence[int], source: str) -> bytes:
    written = io.BytesIO()
    # A module that is no script is traced: two rows, so that no size is taken for the batch's.
    example = torch.zeros(2, *shape)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                (example,),
                written,
                input_names=[INPUT],
                output_names=["action"],
                dynamic_axes={INPUT: {0: "batch"}, "action": {0: "batch"}},
                opset_version=OPSET,
                dynamo=False,  # the newer exporter takes no scripts
            )
    except Exception as exc:  # torch.onnx has a tree of errors of its own, which moves
        raise PolicyLoadError(f"{source}: torch.onnx cannot export it: {_first_line(exc)}") from exc
    model = check(written.getvalue(), source)
    check_rows(model, shape, source)
    return model


def _first_width(module: Any, source: str) -> int:
    """Inputs of the first linear layer."""
    for parameter in module.parameters():
        if parameter.dim() == 2:
            return int(parameter.shape[1])
    raise PolicyLoadError(
        f"{source} does not say how wide its input is: give --contract, or --observation "
        "NAME:WIDTH,..."
    )


def _kinds(block: Any) -> Iterator[str]:
    for node in block.nodes():
        divides = node.kind() in ("aten::div", "aten::div_", "aten::divide")
        rounded = divides and len(list(node.inputs())) > 2
        yield f"{node.kind()} with a rounding_mode" if rounded else node.kind()
        for inner in node.blocks():
            yield from _kinds(inner)


def _first_line(exc: Exception) -> str:
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    return ascii(lines[0] if lines else type(exc).__name__)[1:-1][:300]


def _import_torch() -> Any:
    try:
        import torch
    except ImportError as exc:
        raise MissingDependencyError(
            f"TorchScript is exported by torch, which cannot be imported ({exc}): "
            f"{how_to_install('torch')}; or export it where torch is, with `isthmus export`, and "
            "serve the ONNX file"
        ) from exc
    return torch
