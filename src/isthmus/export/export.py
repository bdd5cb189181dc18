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
from ..version import VERSION
from .archive import Archive, is_archive
from .fields import Layout, Naming, lay_out
from .normalise import read_vecnormalize
from .parity import Recording, measure, read_recording
from .sb3 import is_sb3, read_sb3
from .source import Source
from .writing import manifest_of, write_checked

__all__ = ["Exported", "Options", "export_policy"]

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
        path: a zip of Stable-Baselines3, or a TorchScript archive.
        out: where the ONNX model goes; its manifest lies beside it.
        options: see there.

    Raises:
        PolicyLoadError: the file cannot be read without running it, the export answers something
            else than the original, or it cannot be written.
        ContractError: the contract does not fit, or something must be said that nobody said.
        MissingDependencyError: onnx, ONNX Runtime or torch is needed and absent.
    """
    options = options or Options()
    data = read_file(path, MAX_SOURCE_BYTES)
    source = _read(path, data, options)
    layout = lay_out(source, options.naming, path.stem)
    recording = None
    if options.observations is not None:
        recording = read_recording(options.observations, source, layout)
    widths = [each.width for each in layout.contract.action]
    model = source.onnx(widths if len(widths) > 1 else ())
    provenance = {
        **source.facts,
        "source": path.name,
        "source_sha256": hashlib.sha256(data).hexdigest(),
        "exported_by": f"isthmus {VERSION}",
        "assumed": list(layout.assumed),
    }
    scale = options.naming.scale
    manifest = manifest_of(model, out.name, layout, scale, provenance)

    def check(draft: Path) -> Mapping[str, Any]:
        return _check(draft, source, layout, options, recording)

    manifest = write_checked(out, model, manifest, check)
    return Exported(out, manifest, layout.assumed)


def _read(path: Path, data: bytes, options: Options) -> Source:
    """Find out what a file is, by its content."""
    if not is_archive(data):
        raise PolicyLoadError(
            f"{path} is no zip archive, which Stable-Baselines3's files and TorchScript's are; a "
            "file of torch.save from before version 1.6, or another pickle, is not read. Save the "
            "policy again with today's versions"
        )
    archive = Archive(data, str(path))
    if is_sb3(archive):
        normalise = None
        if options.vecnormalize is not None:
            statistics = read_file(options.vecnormalize, MAX_STATISTICS_BYTES)
            normalise = read_vecnormalize(statistics, str(options.vecnormalize))
        return read_sb3(
            archive,
            str(path),
            normalise=normalise,
            activation=options.activation,
            raw=options.raw or options.vecnormalize is not None,
        )
    raise PolicyLoadError(f"{path} is no archive of Stable-Baselines3 and no TorchScript")


def _check(
    draft: Path, source: Source, layout: Layout, options: Options, recording: Recording | None
) -> Mapping[str, Any]:
    policy = load(draft)
    try:
        found = measure(policy, source, layout, options.naming.scale, recording)
    finally:
        policy.close()
    worst = max(value for key, value in found.items() if key.endswith("difference"))
    if not worst <= options.tolerance:
        raise PolicyLoadError(
            f"the export differs from the original by {worst:.1e} (relative to 1 or the action, "
            f"whichever is larger); at most {options.tolerance:.0e} is accepted. "
            + _WHY.get("recorded" if worst > found["random_max_difference"] else "random", "")
        )
    return {**found, "tolerance": options.tolerance}


_WHY = {
    "recorded": "Were the recorded answers given by this very policy, deterministic, and are the "
    "observations before VecNormalize?",
    "random": "Numbers this large lose digits in float32; --tolerance accepts more",
}
