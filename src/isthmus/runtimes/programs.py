"""What is put in front of a program's PATH and PYTHONPATH: the right Python, and our package.

A runtime's `python` is a two-line shell script and no link: a Python that is started through a link
in another folder does not know the virtual environment it belongs to. Scripts and links are written
beside their place and moved into it, so of two starts at once either may win and none sees half.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes.state import StateFolder

__all__ = ["ISTHMUS", "PYTHONS", "package_folder", "place_package", "write_programs"]

PYTHONS = ("python", "python3")
ISTHMUS = "isthmus"

_PYTHON_SCRIPT = """\
#!/bin/sh
# Made by isthmus run: the interpreter of this runtime.
exec {python} "$@"
"""

# The shell reads it to `exec`; Python, which is given it as its program, takes that for a string.
# Started so, and not by `-m`, no folder with other files leads the import path.
_ISTHMUS_SCRIPT = """\
#!/bin/sh
''':'
# Made by isthmus run: isthmus, in the interpreter of this runtime.
exec "${0%/*}/python" "$0" "$@"
'''
import sys

from isthmus.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
"""


def package_folder() -> Path:
    """Say where the running isthmus package is, links followed.

    Raises:
        EnvironmentSetupError: it is no folder of files, so that no other Python could import it
            from there.
    """
    folder = Path(__file__).resolve().parent.parent
    if not (folder / "__init__.py").is_file():
        raise EnvironmentSetupError(
            f"expected isthmus itself in a folder of files, found {folder}: another Python cannot "
            "be given a package that is inside an archive; unpack it, or install isthmus by pip"
        )
    return folder


def place_package(state: StateFolder, package: Path) -> Path:
    """Make a folder that holds our package and nothing else, for PYTHONPATH.

    One for each place that the package was ever run from: two installations that start programs of
    one project at the same time do not take the package from under each other.

    Raises:
        EnvironmentSetupError: the state folder cannot be written.
    """
    key = hashlib.sha256(os.fsencode(package)).hexdigest()[:12]
    with _writing(state):
        folder = state.path / key
        folder.mkdir(exist_ok=True)
        link = folder / package.name
        if not link.is_symlink() or os.readlink(link) != os.fspath(package):
            beside = _beside(link)
            beside.symlink_to(package)
            os.replace(beside, link)
    return folder


def write_programs(
    state: StateFolder, name: str, python: Path, pythons: Iterable[str] = PYTHONS
) -> Path:
    """Write the programs of a runtime: its Python, by all its names, and isthmus in it.

    Args:
        state: where.
        name: of the runtime.
        python: what the Pythons start.
        pythons: its names, such as "python3.11"; what starts another Python is removed.

    Raises:
        EnvironmentSetupError: the state folder cannot be written.
    """
    script = _PYTHON_SCRIPT.format(python=shlex.quote(os.fspath(python)))
    wanted = {ISTHMUS: _ISTHMUS_SCRIPT, **dict.fromkeys(pythons, script)}
    with _writing(state):
        folder = state.programs(name)
        for program, text in wanted.items():
            _put_script(folder / program, text)
        for other in set(os.listdir(folder)) - set(wanted):
            if other.startswith("python") and _text_of(folder / other) != script:
                (folder / other).unlink(missing_ok=True)
    return folder


def _put_script(path: Path, text: str) -> None:
    if _text_of(path) == text:
        return
    beside = _beside(path)
    beside.write_text(text, encoding="utf-8", errors="surrogateescape")
    beside.chmod(0o755)
    os.replace(beside, path)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:  # not there yet, or removed by another start
        return ""


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.urandom(4).hex()}")


@contextmanager
def _writing(state: StateFolder) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise EnvironmentSetupError(
            f"expected to write into {state.root}, got: {exc.strerror or exc}. isthmus keeps what "
            "it makes there; make the folder writable, or a link to a folder that is"
        ) from exc
