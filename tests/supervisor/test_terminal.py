from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest

from isthmus.supervisor.terminal import MAX_WAITING, MAX_WAITING_SIZE, OWN, Terminal, wants_colour

from ..support.waiting import until


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        try:
            os.close(descriptor)
        except OSError:
            pass


def terminal(out: int, *, err: int | None = None, colour: bool = False) -> Terminal:
    made = Terminal(
        ["sim", "gateway"], {"sim": "logs/sim.log"},
        colour=colour, out=out, err=out if err is None else err,
    )  # fmt: skip
    made.start()
    return made


def everything(reading: int, writing: int) -> str:
    os.close(writing)
    with open(reading, encoding="utf-8", closefd=False) as file:
        return file.read()


def test_lines_stand_behind_their_names(pipe: tuple[int, int]) -> None:
    shown = terminal(pipe[1])
    shown.show("sim", "one")
    shown.show("gateway", "two")
    shown.show(OWN, "three")
    shown.close()
    assert everything(*pipe) == "sim     | one\ngateway | two\nisthmus | three\n"


def test_a_terminal_gets_colours(pipe: tuple[int, int]) -> None:
    shown = terminal(pipe[1], colour=True)
    shown.show("sim", "one")
    shown.close()
    assert everything(*pipe) == "\x1b[36msim     |\x1b[0m one\n"


def test_a_file_gets_none_while_a_terminal_does(pipe: tuple[int, int]) -> None:
    shown = Terminal(["a"], {}, colour=True, own_colour=False, out=pipe[1], err=pipe[1])
    shown.start()
    shown.show("a", "one")
    shown.show(OWN, "two")
    shown.close()
    assert everything(*pipe) == "\x1b[36ma       |\x1b[0m one\nisthmus | two\n"


def test_what_processes_say_and_what_we_say_go_different_ways(pipe: tuple[int, int]) -> None:
    reading, writing = os.pipe()
    shown = terminal(pipe[1], err=writing)
    shown.show("sim", "one")
    shown.show(OWN, "two")
    shown.close()
    assert everything(*pipe) == "sim     | one\n"
    assert everything(reading, writing) == "isthmus | two\n"
    os.close(reading)


def test_a_blocked_terminal_is_not_waited_for_and_what_is_missing_is_said(
    pipe: tuple[int, int],
) -> None:
    reading, writing = pipe
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"." * 4096)
    except BlockingIOError:
        os.set_blocking(writing, True)
    shown = terminal(writing)
    shown.show(OWN, "the one in the writer's hands")
    until(lambda: not shown._waiting[OWN])
    for number in range(MAX_WAITING + 12):
        shown.show("sim", str(number))
    assert shown.full("sim")
    assert not shown.full("gateway")
    shown.miss("sim", 3)
    shown.show("gateway", "is heard all the same")

    got = b""
    while b"not shown" not in got:
        got += os.read(reading, 1 << 16)
    shown.show("sim", "again")
    shown.close()
    lines = (got.decode() + everything(*pipe)).lstrip(".").splitlines()
    assert lines[1 : MAX_WAITING + 1] == [f"sim     | {i}" for i in range(MAX_WAITING)]
    assert lines[MAX_WAITING + 1 :] == [
        "gateway | is heard all the same",
        "sim     | ... 15 lines not shown, see logs/sim.log",
        "sim     | again",
    ]


def test_what_waits_is_bounded_also_in_size() -> None:
    shown = Terminal(["a", "b"], {}, colour=False)  # nobody takes from it
    long = "x" * 16_000
    for _ in range(MAX_WAITING):
        shown.show_all("a", [long, long])
    assert shown.full("a")
    assert not shown.full("b")
    waiting = sum(len(text) for _, text in shown._lines)
    assert MAX_WAITING_SIZE <= waiting <= MAX_WAITING_SIZE + len(long)
    assert len(shown._lines) + shown._missed["a"] == 2 * MAX_WAITING


def test_a_closed_terminal_is_given_up(pipe: tuple[int, int]) -> None:
    os.close(pipe[0])
    shown = terminal(pipe[1])
    for number in range(3 * MAX_WAITING):
        shown.show("sim", str(number))
    until(lambda: not shown._lines)
    shown.close()
    assert not shown._thread.is_alive()


def test_a_full_disk_loses_what_does_not_fit_and_goes_on() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    shown = terminal(full)
    shown.show("sim", "one")
    shown.close()
    os.close(full)
    assert not shown._thread.is_alive()


def test_a_pipe_that_somebody_made_nonblocking_is_waited_for(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.set_blocking(writing, False)
    shown = terminal(writing)
    expected = 0
    for number in range(MAX_WAITING):
        shown.show("sim", f"{number} " + "x" * 100)
        expected += len(f"sim     | {number} ") + 101
    got = 0
    while got < expected:
        got += len(os.read(reading, 1 << 16))
    shown.close()
    assert got == expected


SAYS = """
    import logging, os, sys
    from isthmus.supervisor.terminal import Terminal
    terminal = Terminal(["sim"], {}, colour=False)
    terminal.start()
    for number in range(int(sys.argv[1])):
        logging.getLogger("asyncio").warning(f"it took long: {number}" + "." * 1000)
    terminal.close()
    print("afterwards", file=sys.stderr, flush=True)
    print("done", flush=True)
    os._exit(0)
"""


def test_what_python_says_takes_the_same_way_and_never_waits(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    command = [sys.executable, "-I", "-c", textwrap.dedent(SAYS)]
    for count in (1, 1000):
        done = subprocess.run(
            [*command, str(count)], stdout=subprocess.PIPE, stderr=writing, timeout=60
        )
        assert done.stdout == b"done\n"
    lines = everything(reading, writing).splitlines()
    assert lines[0] == "isthmus | it took long: 0" + "." * 1000
    assert lines[1] == "afterwards"
    assert "afterwards" not in lines[2:]


def test_colour_is_for_terminals_that_want_it() -> None:
    ours, theirs = os.openpty()
    try:
        assert wants_colour({"TERM": "xterm"}, theirs)
        assert not wants_colour({"TERM": "xterm", "NO_COLOR": "1"}, theirs)
        assert not wants_colour({"TERM": "dumb"}, theirs)
    finally:
        os.close(ours)
        os.close(theirs)
    with open(os.devnull) as nowhere:
        assert not wants_colour({"TERM": "xterm"}, nowhere.fileno())
