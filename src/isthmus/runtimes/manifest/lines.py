"""Where in a TOML text each key and each element of an array stands; the parser does not say.

The text has been parsed before, so it is well formed: what is read here is only how far each thing
reaches. Strings and comments are skipped whole; what is in them is no key.
"""

from __future__ import annotations

import re

from isthmus import tomltext

__all__ = ["Lines", "Place"]

Place = tuple["str | int", ...]
"""Keys from the top, and positions in arrays: ("process", "sim", "command", 1)."""

_SPACE = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^],}#\n]+")


class Lines:
    """The lines of one document.

    Args:
        text: well-formed TOML.
    """

    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n")
        self._at = 0
        self._found: dict[Place, int] = {}
        self._document()

    def __contains__(self, place: Place) -> bool:
        """Tell whether the text has this very key or element."""
        return place in self._found

    def of(self, place: Place) -> int:
        """Number the line, from 1, of a key or element; of what holds it, where it is not there."""
        while place and place not in self._found:
            place = place[:-1]
        return self._text.count("\n", 0, self._found.get(place, 0)) + 1

    def _document(self) -> None:
        table: Place = ()
        self._skip()
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip()

    def _header(self) -> Place:
        # [[NAME]] too: nothing in a manifest is an array of tables, so its name's place is enough.
        start = self._at
        self._at += 2 if self._text.startswith("[[", start) else 1
        table = self._key((), start)
        self._at = self._text.index("]", self._at) + 1
        self._at += self._text.startswith("]", self._at)
        return table

    def _pair(self, table: Place) -> None:
        place = self._key(table, self._at)
        self._at += 1  # the equals sign
        self._value(place)

    def _key(self, place: Place, start: int) -> Place:
        """Read a dotted key, and note each of its parts where it stands first."""
        while True:
            self._skip()
            place = (*place, self._part())
            self._found.setdefault(place, start)
            self._skip()
            if not self._text.startswith(".", self._at):
                return place
            self._at += 1

    def _part(self) -> str:
        bare = _BARE.match(self._text, self._at)
        if bare:
            self._at = bare.end()
            return bare[0]
        quoted = self._take(_STRING)
        return str(tomltext.loads(f"key = {quoted}")["key"])

    def _value(self, place: Place) -> None:
        self._skip()
        first = self._text[self._at]
        if first == "[":
            self._array(place)
        elif first == "{":
            self._inline(place)
        else:
            self._take(_STRING if first in "\"'" else _SCALAR)

    def _array(self, place: Place) -> None:
        count = 0
        while not self._closed("]"):
            element = (*place, count)
            self._found[element] = self._at
            self._value(element)
            count += 1

    def _inline(self, place: Place) -> None:
        while not self._closed("}"):
            self._pair(place)

    def _closed(self, bracket: str) -> bool:
        """Step over an opening bracket or a comma, and tell whether the closing one follows."""
        self._skip()
        if self._text[self._at] in "[{,":
            self._at += 1
            self._skip()
        closed = self._text[self._at] == bracket
        self._at += closed
        return closed

    def _skip(self) -> None:
        self._at = self._take_end(_SPACE)

    def _take(self, pattern: re.Pattern[str]) -> str:
        start, self._at = self._at, self._take_end(pattern)
        return self._text[start : self._at]

    def _take_end(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise ValueError(f"no well-formed TOML at character {self._at}")
        return found.end()
