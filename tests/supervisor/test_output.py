"""What processes print, on the terminal and in the logs; and terminals that do not play along."""

from __future__ import annotations

import os
import select
import shlex
import signal
import subprocess
import sys
import threading

from ..support.waiting import until
from .project import ISTHMUS, Project

WAITS = "import signal; signal.pause()"


def test_an_unfinished_line_is_shown_and_ends_with_the_process(project: Project) -> None:
    up = project.process("a", "print('no newline', end='')").done()
    assert "a       | no newline\n" in up.output
    assert up.log("a") == "no newline"


def test_a_prompt_is_shown_while_it_waits(project: Project) -> None:
    code = "import signal\nprint('go on? ', end='', flush=True)\nsignal.pause()"
    with project.process("a", code).up() as up:
        up.wait_for("a       | go on? \n")
        up.interrupt()
        up.end()


def test_a_progress_bar_is_shown_by_its_last_state(project: Project) -> None:
    up = project.process("a", "print('10%\\r50%\\r100%', end='\\r', flush=True)").done()
    assert "a       | 100%\n" in up.output
    assert "10%" not in up.output.replace("100%", "")
    assert up.log("a") == "10%\r50%\r100%\r"


def test_binary_output_and_escapes_do_a_terminal_no_harm(project: Project) -> None:
    code = "import os; os.write(1, bytes(range(256)) + b'\\x1b[2J\\x1b]0;owned\\x07fine\\n')"
    up = project.process("a", code).done()
    lines = [line for line in up.output.splitlines() if "fine" in line]
    assert len(lines) == 1
    assert not [c for c in lines[0] if ord(c) < 32 and c != "\t"]
    assert "owned" not in up.output
    raw = (up.folder / "logs" / "a.log").read_bytes()
    assert raw == bytes(range(256)) + b"\x1b[2J\x1b]0;owned\x07fine\n"


def test_a_flood_is_in_the_log_whole_and_ends_when_asked(project: Project) -> None:
    code = "import os\nfor n in range(200): os.write(1, b'%04d' % n + b'x' * 99995 + b'\\n')"
    up = project.process("a", code).done()
    assert up.status == 0
    log = (up.folder / "logs" / "a.log").read_bytes()
    assert len(log) == 200 * 100_000
    assert log.count(b"\n") == 200


def test_an_endless_flood_can_be_stopped_and_others_are_heard(project: Project) -> None:
    project.process("flood", "import os\nwhile True: os.write(1, b'all work and no play\\n' * 100)")
    project.process("quiet", f"print('here I am', flush=True)\n{WAITS}", depends_on=["flood"])
    with project.up() as up:
        up.wait_for("quiet   | here I am")
        up.interrupt()
        assert up.end() == 130
    assert up.nothing_is_left()


def test_a_process_is_ready_with_its_last_breath_after_a_flood(project: Project) -> None:
    flood = "import os\nfor _ in range(20): os.write(1, b'y\\n' * 50_000)\nos.write(1, b'READY')"
    project.process("flood", flood, ready={"line": "^READY$"})
    up = project.process("a", "print('here I am')", depends_on=["flood"]).done()
    assert up.status == 0
    assert up.how("flood") == "ended with status 0"
    assert up.log("a") == "here I am\n"


def test_a_value_that_is_printed_in_parts_is_taken_whole(project: Project) -> None:
    code = f"""
        import time
        print("listening tcp://127.0.0.1:51", end="", flush=True)
        time.sleep(1.5)  # so that the terminal shows what there is
        print("234", flush=True)
        {WAITS}
    """
    project.process("gateway", code, ready={"line": r"^listening (?P<tcp>tcp://\S+)"})
    program = "import sys; print(sys.argv[1])"
    project.process("sim", program, "{gateway.tcp}", depends_on=["gateway"])
    up = project.run("demo", main="sim").done()
    assert up.log("sim") == "tcp://127.0.0.1:51234\n"
    assert "gateway | listening tcp://127.0.0.1:51\n" in up.output


def test_a_blocked_terminal_stalls_nobody(project: Project) -> None:
    """Nobody reads what `up` prints: a million lines of one, and the other is not held up."""
    reading, writing = os.pipe()
    try:
        flood = "import os\nfor _ in range(200): os.write(1, b'all work and no play\\n' * 5000)"
        project.process("a", flood)
        project.process("b", "print('done')", depends_on=["a"])
        with project.up(stdout=writing) as up:
            assert up.end() == 0
        assert up.log("a").count("\n") == 1_000_000
        assert up.log("b") == "done\n"
    finally:
        os.close(reading)
        os.close(writing)


def test_a_slow_terminal_is_told_how_much_it_missed(project: Project) -> None:
    reading, writing = os.pipe()
    flood = "import os\nfor _ in range(20): os.write(1, b'all work and no play\\n' * 5000)"
    with project.process("a", f"{flood}\n{WAITS}").up(stdout=writing) as up:
        os.close(writing)
        until(lambda: up.log("a").count("\n") == 100_000)
        got = b""
        while b"not shown" not in got:
            got += os.read(reading, 1 << 16)
        up.interrupt()
        with open(reading, "rb") as rest:
            got += rest.read()
        up.end()
    notes = [line for line in got.splitlines() if b"not shown" in line]
    assert got.count(b"all work") + sum(int(note.split()[3]) for note in notes) == 100_000
    assert f"see runs/{up.run_id}/logs/a.log".encode() in got


def test_a_closed_terminal_ends_nothing(project: Project) -> None:
    reading, writing = os.pipe()
    code = f"for n in range(50): print(n, flush=True)\nopen('done', 'w').close()\n{WAITS}"
    with project.process("a", code).up(stdout=writing, stderr=writing) as up:
        os.close(writing)
        os.close(reading)
        until((project.folder / "done").exists)
        until(lambda: up.log("a").splitlines() == [str(n) for n in range(50)])
        up.interrupt(signal.SIGTERM)
        assert up.end() == 143
    assert up.nothing_is_left()


def test_without_any_standard_descriptor_it_runs_all_the_same(project: Project) -> None:
    project.process("a", "print('said')").write()
    command = f"exec {shlex.join([*ISTHMUS, 'up'])} <&- >&- 2>&-"
    assert (
        subprocess.run(["/bin/sh", "-c", command], cwd=project.folder, timeout=60).returncode == 0
    )
    (log,) = project.folder.glob("runs/*/logs/a.log")
    assert log.read_text(encoding="utf-8") == "said\n"
    assert sorted(each.name for each in project.folder.glob(".isthmus/up/*")) == []


def test_a_full_disk_under_a_log_does_not_end_the_run(project: Project) -> None:
    fills = """
        import os
        os.symlink("/dev/full", os.environ["ISTHMUS_RUN_DIR"] + "/logs/b.log")
    """
    project.process("a", fills)
    project.process("b", "print('said', flush=True)", depends_on=["a"])
    project._processes["a"]["ready"] = {"line": "linked"}
    (project.folder / "a.py").write_text(
        (project.folder / "a.py").read_text(encoding="utf-8")
        + f"print('linked', flush=True)\n{WAITS}"
    )
    up = project.run("demo", main="b").done()
    assert up.status == 0
    assert "b       | said" in up.output
    assert "b.log: No space left on device; its output is not kept" in up.output
    assert "5 bytes are missing at the end of" in up.output


class Terminal:
    """A pseudo-terminal with `isthmus up` as its foreground job."""

    def __init__(self, project: Project) -> None:
        self.ours, self.theirs = os.openpty()
        self.got = b""
        self._woken, self._wake = os.pipe()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def options(self) -> dict[str, object]:
        theirs = self.theirs

        def take_terminal() -> None:
            import fcntl
            import termios

            fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

        return {"stdin": theirs, "stdout": theirs, "stderr": theirs, "preexec_fn": take_terminal}

    def type(self, keys: bytes) -> None:
        os.write(self.ours, keys)

    def shows(self, text: bytes) -> None:
        until(lambda: text in self.got, f"{text!r}")

    def hang_up(self) -> None:
        os.close(self._wake)  # a terminal that somebody reads from is not closed
        self._reader.join()
        for descriptor in (self._woken, self.theirs, self.ours):
            os.close(descriptor)

    def _read(self) -> None:
        while self._woken not in select.select([self.ours, self._woken], [], [])[0]:
            try:
                self.got += os.read(self.ours, 1 << 16)
            except OSError:  # nobody has it open at the other end
                return


def test_ctrl_c_on_a_terminal_stops_in_order(project: Project) -> None:
    """The terminal tells the foreground group; the processes are told by us, once."""
    code = """
        import signal, sys
        def say(number, frame):
            print("got", signal.Signals(number).name, flush=True)
            sys.exit(0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, say)
        print("here", flush=True)
        while True:
            signal.pause()
    """
    slow = code.replace("sys.exit", "__import__('time').sleep(0.1); sys.exit")
    project.process("b", slow, depends_on=["a"])
    terminal = Terminal(project)
    environ = {**os.environ, "TERM": "xterm"}
    environ.pop("NO_COLOR", None)
    project.process("a", code, ready={"line": "here"})
    with project.up(**terminal.options(), env=environ) as up:
        terminal.shows(b"a       |\x1b[0m here")
        terminal.shows(b"b       |\x1b[0m here")
        terminal.type(b"\x03")
        assert up.end() == 130
    assert up.log("a") == up.log("b") == "here\ngot SIGTERM\n"
    ended = {name: up.facts["processes"][name]["ended_ns"] for name in "ab"}
    assert ended["a"] > ended["b"]
    terminal.shows(b"logs: ")
    terminal.hang_up()


def test_a_terminal_that_hangs_up_stops_the_run(project: Project) -> None:
    terminal = Terminal(project)
    code = f"print('here', flush=True)\n{WAITS}"
    with project.process("a", code).up(**terminal.options()) as up:
        terminal.shows(b"here")
        terminal.hang_up()
        assert up.end() == 129
    assert up.facts["why"] == "SIGHUP came (its terminal was closed)"
    assert up.nothing_is_left()


def test_ctrl_s_stalls_nobody(project: Project) -> None:
    terminal = Terminal(project)
    flood = "import os, signal\nprint('here', flush=True)\nsignal.sigwait([signal.SIGUSR1])\n"
    flood = f"import signal\nsignal.pthread_sigmask(0, [signal.SIGUSR1])\n{flood}"
    flood += "for _ in range(20): os.write(1, b'all work and no play\\n' * 5000)"
    with project.process("a", flood).up(**terminal.options()) as up:
        terminal.shows(b"here")
        terminal.type(b"\x13")  # the terminal's output is stopped from here
        os.kill(up.pid("a"), signal.SIGUSR1)
        assert up.end() == 0
    assert up.log("a").count("\n") == 100_001
    terminal.hang_up()


def test_nothing_holds_up_the_exit_at_a_terminal_that_nobody_reads(project: Project) -> None:
    """In Python's development mode asyncio says that the farewell took long; on a full terminal."""
    flood = "import os\nfor _ in range(20): os.write(1, b'all work and no play\\n' * 5000)"
    project.process("a", flood).write()
    ours, theirs = os.openpty()
    try:
        command = [sys.executable, "-X", "dev", *ISTHMUS[1:], "up"]
        done = subprocess.run(
            command, cwd=project.folder, stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0
    finally:
        os.close(ours)
        os.close(theirs)
