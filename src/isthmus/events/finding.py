"""Which log is meant by a folder or a file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ..errors import EventLogError
from .log import DEFAULT_NAME
from .reader import LogLine, LogReader

__all__ = ["find_log", "is_part", "log_name", "newest_log", "read_log"]

_PART = re.compile(r"(?P<name>.+)\.\d{8}T\d{6}Z(?:-\d+)?(?:\.gz)?")
_SUFFIX = ".jsonl"


def is_part(path: Path) -> bool:
    """Tell whether a name is that of a file that was put aside."""
    return _PART.fullmatch(path.name) is not None


def log_name(path: Path) -> str:
    """Name the log that a file belongs to: its own name, or what a part was called before."""
    part = _PART.fullmatch(path.name)
    return part["name"] if part else path.name


def read_log(reader: LogReader) -> Iterator[LogLine]:
    """Read what `find_log` found: a whole log, or the one part that was named.

    Raises:
        EventLogError: it cannot be read.
    """
    return reader.read_file(reader.live) if is_part(reader.live) else reader.read()


def find_log(path: Path) -> Path:
    """Find the log in a folder: its own, or in `logs` inside it, as in the folder of a run.

    Args:
        path: a folder, or a file, which is taken as it is.

    Returns:
        The live file, which need not be there while older ones are.

    Raises:
        EventLogError: there is none, or several of which none has the default name.
    """
    try:
        if not path.is_dir():
            if path.exists() or _names_of(path.parent) & {path.name}:
                return path
            raise EventLogError(f"{path}: there is no such folder or file; name that of a log")
        for folder in (path, path / "logs"):
            names = _names_of(folder)
            if DEFAULT_NAME in names:
                return folder / DEFAULT_NAME
            if len(names) == 1:
                return folder / names.pop()
            if names:
                raise EventLogError(f"{folder}: name one of {', '.join(sorted(names))}")
    except OSError as error:
        raise EventLogError(f"cannot look into {path}: {error.strerror}") from error
    raise EventLogError(
        f"{path}: there is no event log here; expected {DEFAULT_NAME}, as `isthmus serve` writes"
    )


def newest_log(folder: Path, runs: Path) -> Path:
    """Find the log that is meant where none is named: in `folder`, or of the newest run.

    Args:
        folder: such as `logs`.
        runs: folder of runs, whose names sort by their start.

    Raises:
        EventLogError: there is none.
    """
    candidates = [folder]
    if runs.is_dir():
        candidates += sorted((run for run in runs.iterdir() if run.is_dir()), reverse=True)
    for candidate in candidates:
        try:
            return find_log(candidate)
        except EventLogError:
            continue
    raise EventLogError(
        f"there is no event log in {folder}/ nor in a run under {runs}/; name a folder or a file"
    )


def _names_of(folder: Path) -> set[str]:
    """List the logs in a folder, by their names."""
    if not folder.is_dir():
        return set()
    names = set()
    for path in folder.iterdir():
        name = log_name(path)
        if name.endswith(_SUFFIX) and not name.startswith("."):
            names.add(name)
    return names
