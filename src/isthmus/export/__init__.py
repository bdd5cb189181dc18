"""Foreign policies turned into ONNX and a manifest, without running what is in their files."""

from __future__ import annotations

from .export import Exported, Options, export_policy
from .fields import Naming
from .prepare import FOREIGN_SUFFIXES, cache_folder, prepare

__all__ = [
    "FOREIGN_SUFFIXES",
    "Exported",
    "Naming",
    "Options",
    "cache_folder",
    "export_policy",
    "prepare",
]
