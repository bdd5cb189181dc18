"""Asking a program: its words, how it ended, and that nothing of it stays."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from isthmus.runtimes.asking import Answer, ask


def test_what_it_said_and_how_it_ended() -> None:
    program = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    answer = ask([sys.executable, "-I", "-c", program], None, 60)
    assert answer == Answer(3, "out\n", "err\n")
    assert answer.ending == "status 3"
    assert answer.last_words() == "out\nerr"


def test_it_gets_the_environment_it_is_given_and_no_input() -> None:
    program = "import os, sys; print(os.environ['ONLY'], len(sys.stdin.read()))"
    assert ask([sys.executable, "-I", "-c", program], {"ONLY": "this"}, 60).stdout == "this 0\n"


@pytest.mark.parametrize(
    ("status", "ending"),
    [(0, "status 0"), (127, "status 127"), (-11, "signal 11 (SIGSEGV)"), (-35, "signal 35")],
)
def test_how_it_ended_in_words(status: int, ending: str) -> None:
    assert Answer(status, "", "").ending == ending


def test_bytes_that_are_no_text() -> None:
    program = "import sys; sys.stdout.buffer.write(b'a\\xffb')"
    assert ask([sys.executable, "-I", "-c", program], None, 60).stdout == "a\ufffdb"


def test_only_the_last_words() -> None:
    many = "\n".join(map(str, range(100)))
    assert Answer(1, many, "\n\nlast\n").last_words(2) == "99\nlast"
    assert Answer(1, "x" * 1000, "").last_words() == f"{'x' * 237}..."


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ask([tmp_path / "nothing"], None, 60)


def test_one_that_hangs_ends_with_what_it_started(tmp_path: Path) -> None:
    """The child has our pipe: without its end, this test would not end either."""
    program = "import subprocess; subprocess.run(['sleep', '1000'])"
    with pytest.raises(TimeoutError, match="no answer in 0.5 s"):
        ask([sys.executable, "-I", "-c", program], None, 0.5)


def test_what_it_leaves_running_is_not_waited_for(tmp_path: Path) -> None:
    """It holds what the program printed to, and a second descriptor tells when it is gone."""
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    script = f"(exec 3<>{fifo}; echo >&3; exec sleep 600) & read line < {fifo}; echo asked"
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert ask(["/bin/sh", "-c", script], None, 60) == Answer(0, "asked\n", "")
        os.set_blocking(reader, True)
        assert os.read(reader, 1) == b""
    finally:
        os.close(reader)


def test_ours_is_not_its_process_group() -> None:
    answer = ask([sys.executable, "-I", "-c", "import os; print(os.getpgrp())"], None, 60)
    assert int(answer.stdout) != os.getpgrp()
