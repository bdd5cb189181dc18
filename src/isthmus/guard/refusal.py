"""The error of a forbidden import: what was imported, why it is refused, who imported whom.

Loaded when the first import is refused, so that the hook itself stays small.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from types import FrameType

from isthmus.errors import ForbiddenImportError

__all__ = ["refusal", "too_late"]

_LONGEST_CHAIN = 16
_IMPORT_SYSTEM = ("importlib", "_frozen_importlib", "_frozen_importlib_external")


def refusal(frame: FrameType, name: str, origin: str | None, why: str) -> ForbiddenImportError:
    """Build the error of one import.

    Args:
        frame: of the import system, within that import.
        name: the module that Python asked for.
        origin: its file, where it is installed.
        why: who forbids what.
    """
    wanted, importers = _trace(frame, name)
    # `from omni import isaac` makes another, less clear error of one that names the submodule.
    told = None if _is_from_import(frame) else name
    arrows = "\n  -> "
    return ForbiddenImportError(
        f"{wanted} must not be imported in this process: {why}.\n"
        f"  {arrows.join([*importers, wanted])}\n"
        "Import it in the program it belongs to, and send over the link what is needed of it.\n"
        "If this program needs it after all, allow it where it is forbidden.",
        name=told,
        path=origin,
    )


def too_late(loaded: Sequence[str], by: str) -> ForbiddenImportError:
    """Build the error of a guard that comes after the imports."""
    return ForbiddenImportError(
        f"{', '.join(loaded)} must not be imported in this process, and is already: {by} forbids "
        "it.\nInstall the guard before anything imports it.",
        name=loaded[0],
    )


def _trace(frame: FrameType | None, name: str) -> tuple[str, list[str]]:
    """Read the stack: the name as the program has it, and the importers from the program down.

    `import omni.usd` asks for `omni` first, so that is what the finder sees; the whole name is in
    the outermost frame of this import. Of the frames between two imports two say who imported:
    the innermost, and the outermost where it belongs to another module.
    """
    chain: list[str] = []
    ends: list[FrameType] = []
    for each in _outwards(frame):
        if _top(each) in _IMPORT_SYSTEM:
            if each.f_code.co_name == "_find_and_load":
                if not chain and not ends:
                    name = _longer(name, each.f_locals.get("name"))
                chain, ends = chain + _spoken(ends), []
        elif not _is_standard(each):
            ends = [*ends[:1], each]
    chain = [*chain, *_spoken(ends)][::-1]
    if len(chain) > _LONGEST_CHAIN:
        half = _LONGEST_CHAIN // 2
        chain = [*chain[:half], f"({len(chain) - 2 * half} more)", *chain[-half:]]
    return name, chain


def _is_from_import(frame: FrameType) -> bool:
    """Whether this import is of a name in `from PACKAGE import NAME`, tried as a submodule."""
    for each in _outwards(frame):
        if _top(each) not in _IMPORT_SYSTEM:
            return False
        if each.f_code.co_name == "_handle_fromlist":
            return True
    return False


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _longer(name: str, wanted: object) -> str:
    return wanted if isinstance(wanted, str) and wanted.startswith(name + ".") else name


def _top(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__")).partition(".")[0]


def _is_standard(frame: FrameType) -> bool:
    """Whether it is Python's own code: threads, runpy and the like say nothing about who asks."""
    return _top(frame) in getattr(sys, "stdlib_module_names", ())


def _spoken(ends: Sequence[FrameType]) -> list[str]:
    if len(ends) == 2 and ends[0].f_globals is ends[1].f_globals:
        ends = ends[:1]
    return [f"{_name_of(end)} ({end.f_code.co_filename}:{end.f_lineno})" for end in ends]


def _name_of(frame: FrameType) -> str:
    module = str(frame.f_globals.get("__name__"))
    if module == "__main__":
        module = frame.f_code.co_filename.rpartition("/")[2]
    function = frame.f_code.co_name
    return module if function.startswith("<") else f"{module}, in {function}"
