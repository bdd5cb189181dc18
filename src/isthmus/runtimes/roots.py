"""Find the folders on PATH and LD_LIBRARY_PATH that belong to some other Python, by looking.

What a variable names (`VIRTUAL_ENV`, `CONDA_PREFIX`) is known from the variable. What a program
left on PATH without one is recognised by what lies there: `pyvenv.cfg`, `conda-meta`, `python.sh`,
or a `libpython` of a build that is not the one to be started.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from isthmus.runtimes.cleaning import LIST_VARIABLES, ForeignRoot, is_shared

__all__ = ["find_foreign_libraries", "find_roots"]

# What all lies in a folder that belongs to somebody -> what that is.
_MARKS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("pyvenv.cfg",), "a virtual environment"),
    (("conda-meta",), "a conda environment"),
    (("python.sh", "setup_python_env.sh"), "an Isaac Sim"),
)


def find_roots(environ: Mapping[str, str]) -> tuple[ForeignRoot, ...]:
    """Find the environments, simulators and outer runtimes that PATH and its like lead into."""
    found: dict[str, ForeignRoot] = {}
    for name in LIST_VARIABLES:
        for element in environ.get(name, "").split(os.pathsep):
            if element.startswith("/"):
                for root in _roots_above(os.path.normpath(element), environ):
                    found.setdefault(root.path, root)
    return tuple(found.values())


def find_foreign_libraries(environ: Mapping[str, str], python: Path) -> tuple[ForeignRoot, ...]:
    """Find the folders of LD_LIBRARY_PATH with the `libpython` of another build.

    Such a folder goes before the one an interpreter was linked to look in, so that a shared build
    would run with another build's inside. Its own is left: it may not start without.

    Args:
        environ: LD_LIBRARY_PATH is read.
        python: the interpreter that is to be started.
    """
    own = Path(os.path.realpath(python)).parent.parent
    return tuple(
        ForeignRoot(os.path.normpath(element), "holds another Python's libpython")
        for element in environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
        if element and _has_libpython(element) and not _is_inside(element, own)
    )


def _roots_above(element: str, environ: Mapping[str, str]) -> Iterator[ForeignRoot]:
    if _is_programs_folder(Path(element)):
        yield ForeignRoot(element, "the programs of the runtime this shell was started in")
    for folder in (element, *map(str, Path(element).parents)):
        if is_shared(folder, environ):
            return  # and so is everything above
        for names, what in _MARKS:
            if all(os.path.lexists(os.path.join(folder, name)) for name in names):
                yield ForeignRoot(folder, f"inside {what}, {folder}")
                return


def _is_programs_folder(folder: Path) -> bool:
    """Recognise what `programs.write_programs` made, by its shape."""
    return (
        folder.parent.name == "bin"
        and os.path.isdir(folder.parent.parent / "path")
        and os.path.isfile(folder / "isthmus")
        and os.path.isfile(folder / "python3")
    )


def _has_libpython(folder: str) -> bool:
    try:
        return any(name.startswith("libpython") and ".so" in name for name in os.listdir(folder))
    except OSError:  # not there, or not ours to read: the loader finds nothing in it either
        return False


def _is_inside(element: str, own: Path) -> bool:
    return Path(os.path.realpath(element)).is_relative_to(own) and str(own) != "/"
