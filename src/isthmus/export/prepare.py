"""What serves a foreign file: its export, made once and kept.

::

    $XDG_CACHE_HOME/isthmus/exports/KEY/model.onnx
    $XDG_CACHE_HOME/isthmus/exports/KEY/model.manifest.json

KEY is a SHA-256 of the source's bytes and of everything else that decides the export, so a changed
file, contract or version is another entry. The folder can be removed at any time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ..contract import Contract
from ..errors import PolicyLoadError
from ..policy.files import read_file, read_model
from ..policy.manifest import manifest_path
from ..policy.manifest_reader import is_bare, read_manifest
from ..version import VERSION
from .export import MAX_SOURCE_BYTES, MAX_STATISTICS_BYTES, Options, export_bytes
from .fields import Naming

__all__ = ["FOREIGN_SUFFIXES", "cache_folder", "prepare"]

_LOG = logging.getLogger("isthmus.export")

FOREIGN_SUFFIXES = (".zip", ".pt", ".pth")
"""Names of files that are exported before they are served; an ONNX model is without a manifest."""


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Where exports are kept: XDG_CACHE_HOME is read, and HOME.

    Raises:
        PolicyLoadError: neither says, and the system knows no home of this user.
    """
    base = environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(environ.get("HOME", "") or os.path.expanduser("~"), ".cache")
    if not os.path.isabs(base):
        # Never a folder that others can write: what lies there is served.
        raise PolicyLoadError("exports need a folder to be kept in: set XDG_CACHE_HOME")
    return Path(base) / "isthmus" / "exports"


def prepare(
    path: Path,
    *,
    cache: Path,
    contract: Contract | None = None,
) -> Path:
    """The ONNX model of a foreign file, exported unless it has been before.

    Statistics of VecNormalize are taken from `MODEL.vecnormalize.pkl` beside `MODEL.zip`. What
    nobody said of it is logged.

    Args:
        path: any model; one that is neither foreign nor ONNX without a manifest comes back as it
            is.
        cache: where exports are kept.
        contract: what it is to be served under; None makes one from its spaces.

    Raises:
        PolicyLoadError: as `export_policy`.
        ContractError: likewise.
        MissingDependencyError: likewise.
    """
    if path.suffix not in FOREIGN_SUFFIXES and not is_bare(path):
        return path
    statistics = path.with_name(f"{path.stem}.vecnormalize.pkl")
    vecnormalize = statistics if statistics.is_file() else None
    options = Options(naming=Naming(contract=contract), vecnormalize=vecnormalize)
    data = read_file(path, MAX_SOURCE_BYTES)
    folder = cache / _key(data, path.stem, options)
    model = folder / f"{path.stem}.onnx"
    if not _is_whole(model):
        _export(data, path, folder, options)
    for line in read_manifest(model).provenance.get("assumed", ()):
        _LOG.warning("%s, assumed: %s", path.name, line)
    return model


def _is_whole(model: Path) -> bool:
    """Whether an export lies there as it was made: the manifest tells, and knows the model."""
    if not (model.is_file() and manifest_path(model).is_file()):
        return False
    try:
        read_model(model, read_manifest(model).sha256)
    except PolicyLoadError as exc:
        _LOG.warning("the export that was kept is damaged, and made anew: %s", exc)
        return False
    return True


def _key(data: bytes, stem: str, options: Options) -> str:
    parts = [hashlib.sha256(data).hexdigest(), stem, VERSION]
    if options.vecnormalize is not None:
        statistics = read_file(options.vecnormalize, MAX_STATISTICS_BYTES)
        parts.append(hashlib.sha256(statistics).hexdigest())
    if options.naming.contract is not None:
        parts.append(json.dumps(options.naming.contract.to_dict(), sort_keys=True))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _export(data: bytes, path: Path, folder: Path, options: Options) -> None:
    """Export into a folder of our own, which then takes its place in one move."""
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    except OSError as exc:
        raise PolicyLoadError(
            f"exports are kept in {folder.parent}, which cannot be written: "
            f"{exc.strerror or exc}; set XDG_CACHE_HOME to a folder that can"
        ) from exc
    try:
        export_bytes(data, path, draft / f"{path.stem}.onnx", options)
        _put(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _put(draft: Path, folder: Path) -> None:
    try:
        draft.rename(folder)
    except OSError as exc:
        # Somebody else was first with the same export, or a whole one lies there damaged.
        try:
            for file in draft.iterdir():
                file.replace(folder / file.name)
        except OSError:
            raise PolicyLoadError(f"{folder} cannot be written: {exc.strerror or exc}") from exc
