"""What the commands share: bounds of numbers, files to write, and where a user's code is found."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from isthmus.errors import Error
from isthmus.policy.load import names_code

__all__ = ["check_bounds", "check_writable", "find_code_here"]


def check_bounds(args: argparse.Namespace, bounds: Mapping[str, tuple[float, float]]) -> None:
    """Refuse the first number outside its bounds, by the option's name.

    Args:
        args: the command line; None stands for an option that was not given.
        bounds: option without its dashes -> smallest and largest value it takes.

    Raises:
        Error: a number is outside, or is none.
    """
    for option, (low, high) in bounds.items():
        value = getattr(args, option.replace("-", "_"))
        if value is not None and not low <= value <= high:
            wanted = f"at least {low}" if math.isinf(high) else f"from {low} to {high}"
            raise Error(f"--{option}: expected a number {wanted}, got {value}")


def check_writable(option: str, path: str | None, *, replaced: bool = False) -> None:
    """Refuse a file that could not be written, before the work whose result goes there.

    Args:
        option: by which it is named.
        path: the file; None if the option was not given.
        replaced: another file takes its place, so that it must be a regular one, or a free name.

    Raises:
        Error: its folder is missing, it is a folder, or writing is not permitted.
    """
    if path is None:
        return
    file = Path(path)
    if file.is_dir():
        raise Error(f"--{option}: {path} is a folder; name a file")
    if replaced and os.path.lexists(file) and (file.is_symlink() or not file.is_file()):
        raise Error(
            f"--{option}: {path} is no regular file, and would be replaced by one; name a file"
        )
    if not file.parent.is_dir():
        raise Error(f"--{option}: {path} cannot be written: there is no folder {file.parent}")
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise Error(f"--{option}: {path} cannot be written: permission denied")


def find_code_here(targets: Iterable[str]) -> None:
    """Let `pkg.mod:factory` be found in the current folder, as `python -m isthmus` does.

    A console script starts with its own folder on the path instead. Nothing is added where no
    target names code: a file that happens to lie here must not shadow a package of ours.
    """
    if any(map(names_code, targets)) and not {"", os.getcwd()} & set(sys.path):
        sys.path.insert(0, os.getcwd())
