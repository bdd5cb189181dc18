"""The package's version, at the bottom of the tree, so that anyone may say it."""

from __future__ import annotations

__all__ = ["VERSION"]

VERSION = "0.1.0"
