r"""What a process writes, made into lines that can do a terminal no harm. Pure.

Bytes become lines at `\n`. Of a line that was rewritten with `\r`, as progress bars do, the last
state counts. Escape sequences are taken out, colours kept where the terminal has them; of other
control characters a replacement is shown, so that binary output is seen for what it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["MAX_LINE", "Lines", "all_printable", "printable"]

MAX_LINE = 1 << 14
"""Bytes; a longer line is cut into several, so that memory is bounded."""

_ESCAPE = re.compile(
    r"\x1b\[(?P<sgr>[0-9;:]*m)"  # colours
    r"|\x1b\[[0-?]*[ -/]*[@-~]?"  # other control sequences
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)"  # strings: titles, links, clipboards
    r"|\x1b[ -/]*[0-~]?"
)
# Control characters but the tab, and those that reorder text.
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_REPLACEMENT = "\ufffd"
_RESET = "\x1b[0m"


class Lines:
    """Cuts a stream of bytes into lines; holds the last, unfinished one."""

    def __init__(self) -> None:
        self._rest = b""
        self._shown = False

    @property
    def pending(self) -> bool:
        """True if there is an unfinished line."""
        return bool(self._rest)

    def skip(self, data: bytes, most: int) -> tuple[int, bytes]:
        """Leave out all but the last `most` lines of what came; how many, and what is to be fed."""
        if data.count(b"\n") <= most:
            return 0, data
        head, *kept = data.rsplit(b"\n", most + 1)
        only_an_end = self._shown and not self._rest and head[:1] in (b"\n", b"")
        self._rest, self._shown = b"", False
        return head.count(b"\n") + 1 - only_an_end, b"\n".join(kept)

    def feed(self, data: bytes) -> list[bytes]:
        """Take what came; the lines that are finished by it, without their ends."""
        *whole, rest = (self._rest + data).split(b"\n")
        if b"\r" in data or b"\r" in self._rest or max(map(len, whole), default=0) > MAX_LINE:
            lines = [part for line in whole for part in _cut(_last_state(line).rstrip(b"\r"))]
        else:
            lines = list(whole)
        if lines and self._shown and not lines[0]:
            del lines[0]  # only the end of what `flush` gave
        if whole:
            self._shown = False
        *long, self._rest = _cut(_last_state(rest))
        return lines + long

    def flush(self) -> list[bytes]:
        """Give the unfinished line as it is, if there is one."""
        if not self._rest:
            return []
        line, self._rest, self._shown = self._rest, b"", True
        return [line.rstrip(b"\r")]


def printable(line: bytes, *, colour: bool) -> str:
    """Make one line safe to show.

    Args:
        line: as `Lines` gives it.
        colour: keep colours; they end with the line.
    """
    text = line.decode("utf-8", "replace")
    if "\x1b" in text:
        text = _ESCAPE.sub(lambda found: _kept(found) if colour else "", text)
    parts = text.split("\x1b[") if colour else [text]
    safe = "\x1b[".join(_CONTROL.sub(_REPLACEMENT, part) for part in parts)
    return safe + _RESET if len(parts) > 1 else safe


def all_printable(lines: Sequence[bytes], *, colour: bool) -> list[str]:
    """Make many lines safe to show; as `printable`, at a fraction of its price."""
    joined = b"\n".join(lines)
    if not lines or b"\x1b" in joined:
        return [printable(line, colour=colour) for line in lines]
    parts = joined.decode("utf-8", "replace").split("\n")
    return [_CONTROL.sub(_REPLACEMENT, part) for part in parts]


def _kept(found: re.Match[str]) -> str:
    return found[0] if found["sgr"] else ""


def _last_state(line: bytes) -> bytes:
    """Take what a rewritten line says last; a final CR stays until the line is finished."""
    if b"\r" not in line:
        return line
    return line[line.rstrip(b"\r").rfind(b"\r") + 1 :]


def _cut(line: bytes) -> list[bytes]:
    line_end = len(line) or 1
    return [line[start : start + MAX_LINE] for start in range(0, line_end, MAX_LINE)]
