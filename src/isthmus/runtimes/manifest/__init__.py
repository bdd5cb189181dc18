"""`isthmus.toml`: its keys, how it is read, and how one is written.

`keys` is the table that reader, JSON Schema, reference page and `isthmus init` are drawn from.
"""

from __future__ import annotations

from .load import FILE_NAME, MAX_TEXT, find_manifest, load_manifest, read_manifest

__all__ = ["FILE_NAME", "MAX_TEXT", "find_manifest", "load_manifest", "read_manifest"]
