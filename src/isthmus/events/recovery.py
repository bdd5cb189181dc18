"""What a kill leaves behind, put right when a log is opened again.

A process that is killed may leave half a line at the end of the live file, and half a compressed
file. The half line is cut off and what it began with is reported; a line that lacks only its end
gets it. Half a compressed file is removed; the plain one it was made from is still there. Nothing
else is touched.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

from ..errors import EventLogError
from .encode import MAX_LINE
from .rotation import drafts, parts

__all__ = ["Torn", "mend", "tidy"]

_BLOCK = 1 << 16
_SHOWN = 200  # bytes of a half line that are reported


class Torn(NamedTuple):
    """Half a line that was cut off.

    Attributes:
        size: its bytes.
        text: how it began.
    """

    size: int
    text: str


def mend(descriptor: int, path: Path) -> Torn | None:
    """Let a log end with a whole line.

    Args:
        descriptor: the file, open for reading and appending.
        path: its name, for the error.

    Returns:
        What was cut off, None if the last line is whole.

    Raises:
        EventLogError: the file is so long without a line's end that it is no event log.
        OSError: it cannot be read or cut.
    """
    size = os.fstat(descriptor).st_size
    start = _start_of_last(descriptor, size)
    if start == size:
        return None
    if size - start > MAX_LINE:
        raise EventLogError(
            f"{path}: expected lines of JSON, found {size - start} bytes without a line's end; "
            "move that file away, or give the log another name"
        )
    tail = os.pread(descriptor, size - start, start)
    if _is_object(tail) and os.write(descriptor, b"\n") == 1:
        return None
    os.ftruncate(descriptor, start)
    return Torn(len(tail), tail[:_SHOWN].decode("utf-8", "backslashreplace"))


def tidy(live: Path) -> None:
    """Remove what compressing left half done, and plain files that are compressed already.

    A compressed file has its name only once it is whole, so the plain one beside it has served.

    Raises:
        OSError: the folder cannot be read, or a file not be removed.
    """
    for draft in drafts(live):
        draft.unlink(missing_ok=True)
    for part in parts(live):
        if not part.compressed and os.path.exists(f"{part.path}.gz"):
            part.path.unlink(missing_ok=True)


def _start_of_last(descriptor: int, size: int) -> int:
    """Find where what follows the last line's end begins; `size` if nothing follows it."""
    end = size
    while end > 0 and size - end <= MAX_LINE:
        begin = max(end - _BLOCK, 0)
        found = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return end


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
