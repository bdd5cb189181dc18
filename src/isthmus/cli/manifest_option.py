"""`--manifest FILE`: another isthmus.toml than that of the current folder."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["add_manifest"]


def add_manifest(parser: argparse.ArgumentParser) -> None:
    """Add the option; it is None where it is not given."""
    parser.add_argument(
        "--manifest",
        type=Path,
        metavar="FILE",
        help="default: isthmus.toml here or in a folder above",
    )
