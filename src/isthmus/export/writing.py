"""Putting an export on disk: the model and its manifest, checked before they are in place."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import PolicyLoadError
from ..policy.manifest import MANIFEST_VERSION, manifest_path
from .fields import Layout
from .graph import output_name
from .source import Source

__all__ = ["manifest_of", "write_checked"]


def manifest_of(
    model: bytes,
    name: str,
    source: Source,
    layout: Layout,
    scale: float,
    provenance: Mapping[str, Any],
) -> dict[str, Any]:
    """The manifest of an exported model, in its JSON form."""
    fields = layout.contract.action
    outputs = [
        {"tensor": output_name(index, len(fields), source.output), "field": field.name}
        | ({} if scale == 1.0 else {"scale": scale})
        for index, field in enumerate(fields)
    ]
    return {
        "manifest_version": MANIFEST_VERSION,
        "kind": "onnx",
        "model": name,
        "sha256": hashlib.sha256(model).hexdigest(),
        "interface_hash": layout.contract.interface_hash,
        "contract": layout.contract.to_dict(),
        "inputs": [{"tensor": source.input, "concat": list(layout.concat)}],
        "outputs": outputs,
        "normalisation": "graph",
        "last_action": None,
        "state": [],
        "provenance": dict(provenance),
    }


def write_checked(
    out: Path, model: bytes, manifest: dict[str, Any], check: Callable[[Path], Mapping[str, Any]]
) -> dict[str, Any]:
    """Write a model and its manifest beside their place, check them there, and move them in.

    Args:
        out: of the model; the manifest lies beside it.
        model: ONNX.
        manifest: in its JSON form; what the check finds becomes its provenance's `parity`.
        check: is given the model's path, and raises if it must not be used.

    Raises:
        PolicyLoadError: the folder cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".export-", dir=out.parent) as folder:
            draft = Path(folder) / out.name
            draft.write_bytes(model)
            _write(manifest_path(draft), manifest)
            manifest["provenance"]["parity"] = dict(check(draft))
            _write(manifest_path(draft), manifest)
            # The manifest last: until it is there, the model's hash fits no manifest.
            if not _holds(out, model):  # a model that gets its manifest stays as it lies there
                os.replace(draft, out)
            os.replace(manifest_path(draft), manifest_path(out))
    except OSError as exc:
        raise PolicyLoadError(f"{out} cannot be written: {exc.strerror or exc}") from exc
    return manifest


def _holds(path: Path, data: bytes) -> bool:
    return path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data


def _write(path: Path, manifest: Mapping[str, Any]) -> None:
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
