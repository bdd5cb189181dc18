from __future__ import annotations

import pytest

from isthmus.supervisor.text import MAX_LINE, Lines, all_printable, printable


def fed(*pieces: bytes) -> list[bytes]:
    lines = Lines()
    return [line for piece in pieces for line in lines.feed(piece)] + lines.flush()


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ((b"one\ntwo\n",), [b"one", b"two"]),
        ((b"on", b"e\nt", b"wo"), [b"one", b"two"]),
        ((b"\n\n",), [b"", b""]),
        ((b"dos\r\n",), [b"dos"]),
        ((b"dos\r", b"\n"), [b"dos"]),
        ((b"10%\r20%\r", b"30%\r100%\n", b"done\n"), [b"100%", b"done"]),
        ((b"10%\r20%\r",), [b"20%"]),
        ((b"\r10%", b"\r20%"), [b"20%"]),
        ((b"a" * (MAX_LINE + 1) + b"\n",), [b"a" * MAX_LINE, b"a"]),
        ((b"a" * (2 * MAX_LINE + 1),), [b"a" * MAX_LINE, b"a" * MAX_LINE, b"a"]),
    ],
)
def test_bytes_become_lines(pieces: tuple[bytes, ...], lines: list[bytes]) -> None:
    assert fed(*pieces) == lines


def test_what_was_shown_unfinished_is_not_shown_again() -> None:
    lines = Lines()
    assert lines.feed(b"Password: ") == []
    assert lines.pending
    assert lines.flush() == [b"Password: "]
    assert not lines.pending
    assert lines.flush() == []
    assert lines.feed(b"\nthank you\n\n") == [b"thank you", b""]
    assert lines.feed(b"\n") == [b""]


def test_of_many_lines_the_last_are_left() -> None:
    lines = Lines()
    lines.feed(b"unfin")
    missed, rest = lines.skip(b"ished\n" + b"x\n" * 10 + b"y\nz\nmore", 2)
    assert (missed, rest) == (11, b"y\nz\nmore")
    assert lines.feed(rest) == [b"y", b"z"]
    assert lines.flush() == [b"more"]
    assert lines.skip(b"\na\nb\nc\n", 2) == (1, b"b\nc\n")
    assert lines.skip(b"a\nb\n", 2) == (0, b"a\nb\n")


@pytest.mark.parametrize("colour", [True, False])
def test_many_lines_are_made_harmless_as_one_is(colour: bool) -> None:
    lines = [bytes([first, 0xC3]) + b"x" for first in range(256) if first != 10] + [b"", b"\xe2"]
    for some in (lines, [line for line in lines if b"\x1b" not in line], [b""], []):
        expected = [printable(line, colour=colour) for line in some]
        assert all_printable(some, colour=colour) == expected


def test_memory_is_bounded_without_a_line_end() -> None:
    lines = Lines()
    for _ in range(100):
        lines.feed(b"\r" + b"x" * 1000)
    assert lines.flush() == [b"x" * 1000]


@pytest.mark.parametrize(
    ("line", "plain", "coloured"),
    [
        (b"\tplain", "\tplain", "\tplain"),
        ("Grüße".encode(), "Grüße", "Grüße"),
        (b"\x1b[31mred\x1b[0m", "red", "\x1b[31mred\x1b[0m\x1b[0m"),
        (b"\x1b[1;32mgreen", "green", "\x1b[1;32mgreen\x1b[0m"),
        (b"\x1b[2J\x1b[Hgone", "gone", "gone"),
        (b"\x1b]0;title\x07text", "text", "text"),
        (b"\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\", "link", "link"),
        (b"\x1b]52;c;unended", "", ""),
        (b"\x1bPq\x1b\\\x1b(0\x1bcx\x1b", "x", "x"),
        (b"\x00\xff\x07\x9b31m", "\ufffd" * 4 + "31m", "\ufffd" * 4 + "31m"),
        ("\x9b31m\u202egnp".encode(), "\ufffd31m\ufffdgnp", "\ufffd31m\ufffdgnp"),
        (b"\x1b\x1b[31m[2J", "[2J", "\x1b[31m[2J\x1b[0m"),
        (b"\x1b[31\x1b[32mx", "x", "\x1b[32mx\x1b[0m"),
    ],
)
def test_a_line_can_do_a_terminal_no_harm(line: bytes, plain: str, coloured: str) -> None:
    assert printable(line, colour=False) == plain
    assert printable(line, colour=True) == coloured


def test_any_bytes_are_made_harmless() -> None:
    everything = bytes(range(256)) * 3 + bytes(reversed(range(256)))
    for start in range(256):
        shown = printable(everything[start : start + 300], colour=False)
        assert not [c for c in shown if ord(c) < 32 and c != "\t" or 127 <= ord(c) < 160]
