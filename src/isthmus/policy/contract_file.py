"""A contract from a file: its own, a manifest's, or that of the model the manifest lies beside."""

from __future__ import annotations

import os
from pathlib import Path

from ..contract import Contract
from ..contract.text import MAX_TEXT, parse
from ..errors import ContractError
from .manifest import manifest_path

__all__ = ["read_bounded", "read_contract"]

_FORMATS = {".json": "json", ".toml": "toml"}


def read_contract(path: str | os.PathLike[str]) -> Contract:
    """Read the contract in a file, in a manifest, or in the manifest beside a model.

    Args:
        path: `.json`, `.toml`, or a model that has a manifest beside it. What has no such name
            and is no regular file, as a pipe of the shell, is read as JSON.

    Raises:
        ContractError: the file cannot be read, or holds none.
    """
    file = Path(path)
    if file.suffix not in _FORMATS and not _is_pipe(file):
        manifest = manifest_path(file)
        if not manifest.is_file():
            raise ContractError(
                f"{path}: expected a .json or .toml file, or a model with {manifest.name} beside it"
            )
        file = manifest
    text = read_bounded(file, MAX_TEXT)
    try:
        found = parse(text, _FORMATS.get(file.suffix, "json"))
        return Contract.from_dict(found.get("contract", found))
    except ContractError as exc:
        raise ContractError(f"{file}: {exc}") from exc


def read_bounded(path: Path, limit: int) -> bytes:
    """Read a file of at most `limit` bytes.

    Raises:
        ContractError: it cannot be read, or is larger.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as exc:
        raise ContractError(f"{path} cannot be read: {exc.strerror or exc}") from exc
    if len(data) > limit:
        raise ContractError(f"{path} is larger than {limit} bytes, the most that is read")
    return data


def _is_pipe(file: Path) -> bool:
    """A device or a pipe: `--contract <(...)` of a shell, or /dev/stdin."""
    return file.exists() and not file.is_file() and not file.is_dir()
