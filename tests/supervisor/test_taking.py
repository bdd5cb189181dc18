"""What `Output` makes of bytes, without a process that writes them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from isthmus.supervisor import output
from isthmus.supervisor.logfile import LogFile
from isthmus.supervisor.output import Output
from isthmus.supervisor.terminal import Terminal


class Taking:
    """An output whose terminal is never written, and what has come of it."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "a.log"
        self.terminal = Terminal(["a"], {}, colour=False)
        self.output = Output("a", LogFile(self.log, print), self.terminal)
        self.heard: list[str] = []

    @property
    def shown(self) -> list[str]:
        return [text for _, text in self.terminal._lines]


@pytest.fixture
def taking(tmp_path: Path) -> Taking:
    return Taking(tmp_path)


def test_a_line_that_comes_in_parts_is_heard_whole(
    taking: Taking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "SHOW_AFTER", 0.0)
    taking.output.on_line = taking.heard.append

    async def live() -> None:
        taking.output.take(b"listening tcp://127.0.0.1:51")
        while not taking.shown:
            await asyncio.sleep(0)
        assert taking.heard == []
        taking.output.take(b"234\nlast")
        assert taking.heard == ["listening tcp://127.0.0.1:51234"]
        taking.output.take(b"")
        taking.output.take(b"")

    asyncio.run(live())
    assert taking.heard == ["listening tcp://127.0.0.1:51234", "last"]
    assert taking.shown == ["listening tcp://127.0.0.1:51", "234", "last"]
    taking.output.close()


def test_what_is_heard_has_no_colours(taking: Taking) -> None:
    taking.output.on_line = taking.heard.append
    taking.output.take(b"\x1b[32mready\x1b[0m\nbell\x07\n")
    assert taking.heard == ["ready", "bell\ufffd"]
    taking.output.close()


def test_a_life_does_not_begin_with_what_the_one_before_left(taking: Taking) -> None:
    taking.output.on_line = taking.heard.append

    async def live() -> None:
        taking.output.take(b"rea")
        taking.output.begin("restart 1")
        taking.output.take(b"dy\n")

    asyncio.run(live())
    assert taking.heard == ["dy"]
    taking.output.close()


def test_of_a_flood_the_last_lines_are_shown_and_all_are_heard_and_kept(taking: Taking) -> None:
    taking.output.on_line = taking.heard.append
    flood = b"".join(b"%d\n" % number for number in range(50_000))
    taking.output.take(flood)
    note, *lines = taking.shown
    assert note == "... 49000 lines not shown"
    assert lines == [str(number) for number in range(49_000, 50_000)]
    assert len(taking.heard) == 50_000
    taking.output.close()
    assert taking.log.read_bytes() == flood
