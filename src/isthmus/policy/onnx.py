"""ONNX models, run by ONNX Runtime. The only file that imports it.

Inputs and outputs are bound to our buffers once per batch size (`io_binding`), so a step on the
CPU hands ONNX Runtime nothing but a go. A provider with memory of its own copies inputs when
they are bound, so there they are bound again at every step.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InferenceError, MissingDependencyError, PolicyLoadError
from .base import Array, ArrayMap, Policy
from .files import read_model
from .manifest import Manifest
from .manifest_reader import read_manifest
from .mapping import Rows, Run
from .mlp import load_network
from .model import ModelPolicy
from .onnx_bytes import names_external_data
from .packages import how_to_install
from .wiring import Direct, Tensor, wire

__all__ = ["Bare", "import_runtime", "load_onnx", "read_bare"]

_LOG = logging.getLogger("isthmus.policy")

CPU = "CPUExecutionProvider"
PACKAGE = "onnxruntime"
NO_REPORTS = "ORT_DISABLE_TELEMETRY"

_FATAL = 4
"""Log level of ONNX Runtime: what fails is raised, and needs no second line on stderr."""

_DTYPES: dict[str, str] = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int8)": "int8",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(uint8)": "uint8",
    "tensor(uint16)": "uint16",
    "tensor(uint32)": "uint32",
    "tensor(uint64)": "uint64",
    "tensor(bool)": "bool",
}


def load_onnx(
    path: Path, *, providers: Sequence[str] = (CPU,), name: str | None = None, threads: int = 1
) -> Policy:
    """Load a model and the manifest beside it.

    Where ONNX Runtime is not installed and the manifest has a numpy twin, the twin is loaded,
    said at level WARNING and seen in the policy's `kind`.

    Args:
        path: `reach.onnx`, with `reach.manifest.json` beside it.
        providers: execution providers in order of preference, by full or short name.
        name: a word for people; the file's stem by default.
        threads: threads one inference may use.

    Raises:
        PolicyLoadError: manifest, model or providers cannot be used.
        MissingDependencyError: ONNX Runtime is absent and there is no twin.
    """
    manifest = read_manifest(path)
    if manifest.kind != "onnx":
        raise PolicyLoadError(f"{path}: its manifest says kind {manifest.kind!r}, not 'onnx'")
    name = name or path.stem
    try:
        runtime = import_runtime()
    except MissingDependencyError as exc:
        if manifest.mlp is None:
            raise
        _LOG.warning(
            "%s: %s; running its numpy twin %s instead", path.name, exc, manifest.mlp.model
        )
        return load_network(path.parent, manifest, name=name)
    data = read_model(path, manifest.sha256)
    _check_contained(path, data)
    session = _start(runtime, path, data, _choose(runtime, providers), threads)
    try:
        policy = _policy(manifest, session, name)
        policy.probe()
    except PolicyLoadError as exc:
        raise PolicyLoadError(f"{path}: {exc}") from exc
    return policy


@dataclass(frozen=True)
class Bare:
    """A model of one input and one output, of which nobody said more.

    Attributes:
        input: name of the tensor.
        output: likewise.
        taken: a row of the input, as the model declares it.
        given: a row of the output.
        run: the model itself, on the CPU: (n, ...) in, (n, ...) out.
    """

    input: str
    output: str
    taken: Tensor
    given: Tensor
    run: Callable[[Array], Array]


def read_bare(data: bytes, source: str) -> Bare:
    """Read a model that has no manifest.

    Args:
        data: the file.
        source: how messages call it.

    Raises:
        PolicyLoadError: it is none, is more than one file, has other tensors, or a fixed batch.
        MissingDependencyError: ONNX Runtime is absent.
    """
    path = Path(source)
    runtime = import_runtime()
    _check_contained(path, data)
    session = _start(runtime, path, data, [CPU], 1)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(outputs) != 1:
        names = [", ".join(item.name for item in items) for items in (inputs, outputs)]
        raise PolicyLoadError(
            f"{path} has the inputs {names[0] or 'none'} and the outputs {names[1] or 'none'}; "
            "without a manifest there must be one of each. Write the manifest that says what they "
            "are, as docs/POLICIES.md shows"
        )
    try:
        taken, given = _tensor("input", inputs[0]), _tensor("output", outputs[0])
    except PolicyLoadError as exc:
        raise PolicyLoadError(f"{path}: {exc}") from exc

    def run(rows: Array) -> Array:
        try:
            answers: Array = session.run(None, {inputs[0].name: rows.astype(taken.dtype)})[0]
        except Exception as exc:  # ONNX Runtime's errors share no base of their own.
            raise PolicyLoadError(f"{path} cannot run a batch of {rows.shape}: {exc}") from exc
        return answers

    return Bare(inputs[0].name, outputs[0].name, taken, given, run)


def _policy(manifest: Manifest, session: Any, name: str) -> ModelPolicy:
    inputs = {item.name: _tensor("input", item) for item in session.get_inputs()}
    outputs = {
        item.name: _tensor("output", item)
        for item in session.get_outputs()
        if any(item.name == o.tensor for o in manifest.outputs)
        or any(item.name == s.output for s in manifest.state)
    }
    wiring = wire(manifest, inputs, outputs, direct=True)
    on_cpu = set(session.get_providers()) == {CPU}

    def bind(rows: Rows) -> Run:
        return _bind(session, rows, wiring.direct, on_cpu=on_cpu)

    return ModelPolicy(manifest, wiring, bind, kind="onnx", name=name)


def import_runtime() -> Any:
    """Import ONNX Runtime, whose newer releases report to their makers unless told not to.

    It looks at the variable once, when it is loaded; whoever wants the reports sets it to 0.

    Raises:
        MissingDependencyError: it is not installed.

    Source: microsoft/onnxruntime, docs/Privacy.md.
    """
    os.environ.setdefault(NO_REPORTS, "1")
    try:
        import onnxruntime
    except ImportError as exc:
        raise MissingDependencyError(
            f"ONNX Runtime cannot be imported ({exc}): {how_to_install(PACKAGE)}"
        ) from exc
    return onnxruntime


def _check_contained(path: Path, data: bytes) -> None:
    try:
        outside = names_external_data(data)
    except ValueError as exc:
        raise PolicyLoadError(f"{path} is no ONNX model: {exc}") from exc
    if outside:
        raise PolicyLoadError(
            f"{path} keeps tensors in other files (external data), which is refused: a model "
            "must be one file. Save it again with onnx.save(onnx.load(PATH), PATH)"
        )


def _choose(runtime: Any, wanted: Sequence[str]) -> list[str]:
    """Full names of the providers asked for, all of which must be there."""
    available = runtime.get_available_providers()
    by_name = {provider.casefold(): provider for provider in available}
    by_name |= {
        provider.casefold().removesuffix("executionprovider"): provider for provider in available
    }
    chosen = []
    for name in wanted:
        if name.casefold() not in by_name:
            raise PolicyLoadError(
                f"execution provider {name!r} is not available; this ONNX Runtime "
                f"{runtime.__version__} has {', '.join(available)}"
            )
        chosen.append(by_name[name.casefold()])
    if not chosen:
        raise PolicyLoadError(f"no execution provider was named; use {', '.join(available)}")
    return chosen


def _start(runtime: Any, path: Path, data: bytes, providers: Sequence[str], threads: int) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL
    try:
        session = runtime.InferenceSession(data, options, providers=list(providers))
    except Exception as exc:  # ONNX Runtime's errors share no base of their own.
        raise PolicyLoadError(f"{path} is refused by ONNX Runtime: {exc}") from exc
    missing = [provider for provider in providers if provider not in session.get_providers()]
    if missing:
        raise PolicyLoadError(
            f"{path}: {', '.join(missing)} could not be started and ONNX Runtime fell back to "
            f"{', '.join(session.get_providers())}; check its drivers, or ask for another provider"
        )
    return session


def _tensor(side: str, item: Any) -> Tensor:
    """A tensor as the model declares it; its first axis must be open."""
    if item.type not in _DTYPES:
        raise PolicyLoadError(f"{side} {item.name!r} is {item.type}, which no field can be")
    if not item.shape:
        raise PolicyLoadError(
            f"{side} {item.name!r} has no batch axis, or the model does not say its shape; "
            "export it with shapes, the first axis dynamic"
        )
    batch, *rest = item.shape
    if isinstance(batch, int):
        raise PolicyLoadError(
            f"{side} {item.name!r} is {item.shape}: its batch is fixed at {batch}, and a gateway "
            "batches whatever is ready. Export it with a dynamic first axis "
            f"(torch: dynamic_axes={{{item.name!r}: {{0: 'batch'}}}})"
        )
    sizes = tuple(size if isinstance(size, int) else None for size in rest)
    return Tensor(sizes, np.dtype(_DTYPES[item.type]))


def _bind(session: Any, rows: Rows, direct: Sequence[Direct], *, on_cpu: bool) -> Run:
    binding = session.io_binding()
    for name, array in rows.outputs.items():
        binding.bind_output(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
    for name, array in rows.inputs.items():
        binding.bind_cpu_input(name, array)
    run: Callable[[Any], None] = session.run_with_iobinding
    count = len(next(iter(rows.outputs.values())))
    if on_cpu and not direct:
        return lambda observation: run(binding)

    def rebind_and_run(observation: ArrayMap) -> None:
        if not on_cpu:
            for name, array in rows.inputs.items():
                binding.bind_cpu_input(name, array)
        for item in direct:
            _bind_direct(binding, item, observation[item.field], count)
        run(binding)

    return rebind_and_run


def _bind_direct(binding: Any, item: Direct, array: Array, count: int) -> None:
    """Let the model read the caller's memory during this run. No reference is kept.

    ONNX Runtime gets a bare address here, so nothing about the array is taken on trust.
    """
    shape = (count, *item.row.sizes)
    same = array.shape == shape and array.dtype == item.row.dtype
    if not same or not array.flags.c_contiguous or not array.flags.aligned:
        raise InferenceError(
            f"observation {item.field!r} must be C-contiguous, aligned {item.row.dtype} {shape}, "
            f"got {array.dtype} {array.shape} with strides {array.strides}"
        )
    address = array.__array_interface__["data"][0]
    binding.bind_input(item.tensor, "cpu", 0, item.row.dtype.type, shape, address)
