"""A foreign policy in, ONNX and a manifest out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import PolicyLoadError
from ..policy import load
from ..policy.files import read_file
from ..policy.manifest_reader import is_bare
from ..version import VERSION
from .fields import Layout, Naming, input_width, lay_out
from .parity import Recording, measure, read_recording
from .reading import Reading, read_source
from .source import Source
from .writing import manifest_of, write_checked

__all__ = ["Exported", "Options", "export_bytes", "export_policy"]

MAX_SOURCE_BYTES = 512 << 20
MAX_STATISTICS_BYTES = 64 << 20
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Options:
    """How a policy is exported.

    Attributes:
        naming: what its numbers are called.
        activation: what its hidden layers compute, where the file does not say; "" takes its word.
        vecnormalize: the pickle with the statistics its observations were scaled by.
        raw: its observations come scaled already.
        observations: an npz of recorded ones, to check the export on.
        tolerance: the largest difference from the original that is accepted.
        trust_pickle: let the file's own code run, where it cannot be read otherwise.
    """

    naming: Naming = field(default_factory=Naming)
    activation: str = ""
    vecnormalize: Path | None = None
    raw: bool = False
    observations: Path | None = None
    tolerance: float = TOLERANCE
    trust_pickle: bool = False


@dataclass(frozen=True)
class Exported:
    """What an export came to.

    Attributes:
        path: of the ONNX model; its manifest lies beside it.
        manifest: in its JSON form.
        assumed: what nobody said, in words.
    """

    path: Path
    manifest: Mapping[str, Any]
    assumed: tuple[str, ...]


def export_policy(path: Path, out: Path, options: Options | None = None) -> Exported:
    """Export a policy.

    Args:
        path: a zip of Stable-Baselines3, a TorchScript archive, or an ONNX model without a
            manifest.
        out: where the ONNX model goes; its manifest lies beside it.
        options: see there.

    Raises:
        PolicyLoadError: the file cannot be read without running it, the export answers something
            else than the original, or it cannot be written.
        ContractError: the contract does not fit, or something must be said that nobody said.
        MissingDependencyError: onnx, ONNX Runtime or torch is needed and absent.
    """
    if path.suffix == ".onnx" and path.exists() and not is_bare(path):
        raise PolicyLoadError(
            f"{path} has a manifest already: serve the model with it, or move it away to have "
            "another written"
        )
    return export_bytes(read_file(path, MAX_SOURCE_BYTES), path, out, options or Options())


def export_bytes(data: bytes, path: Path, out: Path, options: Options) -> Exported:
    """As `export_policy`, of a file that was read: `path` is its name and is not opened again."""
    source = read_source(data, str(path), _reading(options))
    layout = lay_out(source, options.naming, path.stem)
    recording = None
    if options.observations is not None:
        recording = read_recording(options.observations, source, layout)
    widths = [each.width for each in layout.contract.action]
    model = source.onnx(widths if len(widths) > 1 else ())
    assumed = (*source.assumed, *layout.assumed)
    provenance = {
        **source.facts,
        "source": path.name,
        "source_sha256": hashlib.sha256(data).hexdigest(),
        "exported_by": f"isthmus {VERSION}",
        "assumed": list(assumed),
    }
    scale = options.naming.scale
    manifest = manifest_of(model, out.name, source, layout, scale, provenance)

    def check(draft: Path) -> Mapping[str, Any]:
        return _check(draft, source, layout, options, recording)

    manifest = write_checked(out, model, manifest, check)
    return Exported(out, manifest, assumed)


def _reading(options: Options) -> Reading:
    """What reading the file needs of the options."""
    statistics = options.vecnormalize
    return Reading(
        activation=options.activation,
        vecnormalize=str(statistics or ""),
        statistics=read_file(statistics, MAX_STATISTICS_BYTES) if statistics else None,
        raw=options.raw,
        width=input_width(options.naming),
        trusted=options.trust_pickle,
    )


def _check(
    draft: Path, source: Source, layout: Layout, options: Options, recording: Recording | None
) -> Mapping[str, Any]:
    policy = load(draft)
    try:
        found = measure(policy, source, layout, options.naming.scale, recording)
    finally:
        policy.close()
    off = {key: found[key] for key in found if key.endswith("difference")}
    beyond = {key: value for key, value in off.items() if not value <= options.tolerance}
    if beyond:
        recorded = all(key.startswith("recorded") for key in beyond)
        raise PolicyLoadError(
            f"the export differs from the original by {max(beyond.values()):.1e} (relative to 1 or "
            f"the action, whichever is larger); at most {options.tolerance:.0e} is accepted. "
            + (_RECORDED if recorded else source.doubt)
        )
    return {**found, "tolerance": options.tolerance}


_RECORDED = (
    "Were the recorded answers given by this very policy, deterministic, and are the observations "
    "before VecNormalize?"
)
