"""Reading what lies on disk: once, bounded, hashed."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from ..errors import PolicyLoadError

__all__ = ["MAX_MANIFEST_BYTES", "MAX_MODEL_BYTES", "read_file", "read_model"]

MAX_MANIFEST_BYTES = 4 << 20
MAX_MODEL_BYTES = 2 << 30
"""Protobuf, and with it ONNX, ends at 2 GiB."""


def read_file(path: Path, limit: int) -> bytes:
    """Read a regular file of at most `limit` bytes.

    Raises:
        PolicyLoadError: it is absent, no regular file, too large, or cannot be read.
    """
    try:
        # A pipe may lie there by now, whatever was found before: it must not hold us up.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise PolicyLoadError(f"{path} is no regular file")
            if found.st_size <= limit:
                with open(descriptor, "rb", closefd=False) as file:
                    data = file.read(limit + 1)
                if len(data) <= limit:
                    return data
        finally:
            os.close(descriptor)
    except OSError as exc:
        raise PolicyLoadError(f"{path} cannot be read: {exc.strerror or exc}") from exc
    raise PolicyLoadError(f"{path} is larger than {limit} bytes, the most that is read")


def read_model(path: Path, sha256: str) -> bytes:
    """Read a model once and prove that it is the one the manifest means.

    Returns:
        The very bytes that were hashed. Load from these and never reopen the path: the file may
        be another one by then.

    Raises:
        PolicyLoadError: it cannot be read, or its hash is another.
    """
    data = read_file(path, MAX_MODEL_BYTES)
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise PolicyLoadError(
            f"{path} has sha256 {found}; its manifest expects {sha256}. The model was changed or "
            "cut short after it was exported: export it again, or restore the file"
        )
    return data
