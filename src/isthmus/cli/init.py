"""Write a commented isthmus.toml into the current folder, for what is found on this machine.

The simulator's Python is an Isaac Sim where there is one (ISAAC_SIM_ROOT, _isaac_sim, ~/isaacsim)
or sim/.venv, the policy's is this folder's environment (policy/.venv, .venv, uv project) or the
active conda environment; where neither is found, versions of the Pythons of this machine stand in,
with the packages that their side needs. Nothing else is changed.
"""

from __future__ import annotations

import argparse
import os
from functools import cache
from pathlib import Path

from isthmus.errors import ManifestError
from isthmus.runtimes.interpreters import choose_pair, find_interpreters
from isthmus.runtimes.manifest import FILE_NAME, read_manifest
from isthmus.runtimes.manifest.findings import find_policy, find_sim, given
from isthmus.runtimes.manifest.starter import quoted, starter_text

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add = parser.add_argument
    python = "an interpreter, an environment, Isaac Sim's folder, or a version range; by default "
    add("--sim", metavar="PYTHON", help=f"the simulator's Python: {python}what is found")
    add("--policy", metavar="PYTHON", help=f"the policy's Python: {python}what is found")
    add("--schema", metavar="FILE", help="also write the JSON Schema of isthmus.toml there, for "
        "editors, and point to it")  # fmt: skip
    add("--force", action="store_true", help="replace files that are there")


def run(args: argparse.Namespace) -> int:
    """Look around, write, and say what was found."""
    folder, environ = Path.cwd(), os.environ
    for name in filter(None, (FILE_NAME, args.schema)):
        _refuse_to_replace(folder / name, args.force)
    pair = cache(lambda: choose_pair(find_interpreters(environ)))  # asked of once, if at all
    sim, policy = (
        given(f"--{side}", python, folder, environ) if python else find(folder, environ, pair)
        for side, python, find in (
            ("sim", args.sim, find_sim),
            ("policy", args.policy, find_policy),
        )
    )
    text = starter_text(sim, policy, args.schema or "")
    # Before anything is written: what a user named may be no value for the file.
    read_manifest(text, Path(FILE_NAME), environ)
    if args.schema:
        from isthmus.runtimes.manifest.schema import manifest_schema_text

        _write(folder / args.schema, manifest_schema_text())
    _write(folder / FILE_NAME, text)
    print(f"wrote {FILE_NAME}")
    for name, found in (("sim", sim), ("policy", policy)):
        print(f"  {name:8}python = {quoted(found.python)}\n          {found.said}")
        if found.here:
            print(f"          {found.here}")
    print("next: isthmus run policy -- python -V")
    return 0


def _refuse_to_replace(path: Path, force: bool) -> None:
    if os.path.lexists(path) and not force:
        raise ManifestError(f"{path} is there already; edit it, or replace it with --force")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ManifestError(f"{path} cannot be written: {error.strerror or error}") from error
