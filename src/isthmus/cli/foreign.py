"""Policies of other tools, wherever a command takes a model: exported on the way."""

from __future__ import annotations

import os
from pathlib import Path

from isthmus.contract import Contract
from isthmus.policy.manifest_reader import is_bare

__all__ = ["exported"]


def exported(target: str, contract: Contract | None) -> str:
    """A foreign policy's ONNX, made at most once per content; every other target as it is.

    Args:
        target: as `isthmus.policy.load` takes it, or a foreign file.
        contract: what it is to be served under; None finds one out.

    Raises:
        Error: as `isthmus.export.prepare`.
    """
    if not target.endswith((".zip", ".pt", ".pth")) and not is_bare(Path(target)):
        return target
    from isthmus.export import cache_folder, prepare

    return str(prepare(Path(target), cache=cache_folder(os.environ), contract=contract))
