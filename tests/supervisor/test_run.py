"""`isthmus up` from outside: processes that behave, and processes that do not."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from isthmus.runtimes import Environment
from isthmus.supervisor import patience
from isthmus.supervisor.readiness import LineWatch
from isthmus.supervisor.registry import strays

from ..support.waiting import until
from .project import READY, SERVES, Project

WAITS = """
    import signal
    signal.pause()
"""
DAEMON = """
    import os, sys, time
    def detach():
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                signal_free()
                open(sys.argv[1], "w").write(str(os.getpid()))
                time.sleep(1000)
            os._exit(0)
    def signal_free():
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    detach()
    while not os.path.exists(sys.argv[1]) or not open(sys.argv[1]).read():
        time.sleep(0.001)
"""


def two_sides(project: Project, main: str, *arguments: str, **settings: object) -> Project:
    project.process("gateway", SERVES, ready=READY)
    project.process("sim", main, *arguments, depends_on=["gateway"], **settings)
    return project.run("demo", main="sim")


def test_dependents_start_when_ready_and_see_values(project: Project) -> None:
    program = "import os, sys; print(*sys.argv[1:], os.environ['PLACE'])"
    two_sides(
        project, program,
        "{gateway.tcp}", "{gateway.pid}", "{run_id}", "{run}", "{sockets}", "{{}}",
        env={"PLACE": "{run}/here"},
    )  # fmt: skip
    up = project.done("demo", "--", "more", "{braces}")
    assert up.status == 0, up.output
    said = up.log("sim").split()
    facts = up.facts
    assert said[0] == "tcp://127.0.0.1:4711"
    assert said[1].isdigit()
    assert said[2:] == [
        up.run_id, str(up.folder), facts["sockets"], "{}", "more", "{braces}", f"{up.folder}/here",
    ]  # fmt: skip
    assert f"sim     | {up.log('sim')}" in up.output
    assert f"gateway | {up.log('gateway').splitlines()[0]}" in up.output


def test_every_child_knows_its_run(project: Project) -> None:
    names = ("ISTHMUS_RUN_ID", "ISTHMUS_RUN_DIR", "ISTHMUS_PROCESS")
    program = f"import os; print(*(os.environ[name] for name in {names}))"
    up = project.process("solo", program).done()
    assert up.log("solo").split() == [up.run_id, str(up.folder), "solo"]


def test_the_main_process_ends_the_run_with_its_status(project: Project) -> None:
    up = two_sides(project, "raise SystemExit(7)").done()
    assert up.status == 7
    assert up.how("gateway") == "stopped: ended by SIGTERM"
    assert up.how("sim") == "ended with status 7"
    assert up.nothing_is_left()
    assert os.listdir(project.folder / ".isthmus" / "up") == []


def test_a_main_process_that_a_signal_ends_is_said_as_a_shell_would(project: Project) -> None:
    up = two_sides(project, "import os; os.kill(os.getpid(), 11)").done()
    assert up.status == 128 + 11
    assert "sim ended by SIGSEGV" in up.output


def test_processes_are_stopped_in_order_dependents_first(project: Project) -> None:
    program = """
        import os, signal, sys, time
        def stop(*_):
            time.sleep(0.05)
            open(sys.argv[1], "a").write(sys.argv[2])
            sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        print("ready", flush=True)
        while True:
            signal.pause()
    """
    order = project.folder / "order"
    ready = {"line": "^ready$"}
    project.process("a", program, str(order), "a", ready=ready)
    project.process("b", program, str(order), "b", ready=ready, depends_on=["a"])
    project.process("c", program, str(order), "c", ready=ready, depends_on=["b"])
    with project.up() as up:
        up.wait_for_state("c", "running")
        up.interrupt()
        assert up.end() == 130
    assert order.read_text(encoding="utf-8") == "cba"
    assert up.facts["why"] == "SIGINT came (Ctrl-C)"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_other_signals_stop_it_too(project: Project, number: int, status: int) -> None:
    with two_sides(project, WAITS).up() as up:
        up.wait_for_state("sim", "running")
        up.interrupt(number)
        assert up.end() == status
    assert up.how("sim") == "stopped: ended by SIGTERM"
    assert up.nothing_is_left()


def test_a_run_without_a_main_lasts_until_all_have_ended(project: Project) -> None:
    up = project.process("a", "print('a')").process("b", "print('b')").done()
    assert up.status == 0
    assert "every process has ended" in up.output


def test_a_crash_stops_the_run_and_shows_the_last_words(project: Project) -> None:
    crash = """
        import sys
        print("ready", flush=True)
        sys.stdin.read()
        raise RuntimeError("the bearings are hot")
    """
    project.process("gateway", crash, ready={"line": "ready"})
    project.process("sim", WAITS, depends_on=["gateway"]).run("demo", main="sim")
    with (project.folder / "own").open("wb") as own:
        up = project.done(stderr=own)
    assert up.status == 3
    said = (project.folder / "own").read_text(encoding="utf-8")
    assert "isthmus | gateway ended with status 1; its last words:" in said
    assert "isthmus |     RuntimeError: the bearings are hot" in said
    assert "isthmus" not in up.output
    assert up.facts["why"] == "gateway failed"
    assert up.nothing_is_left()


def test_a_known_fault_is_named(project: Project) -> None:
    words = "AssertionError: SRE module mismatch"
    up = two_sides(project, "").process("gateway", f"print({words!r}); exit(1)", ready=READY).done()
    assert up.status == 3
    assert "gateway ended with status 1 before it was ready; its last words are above" in up.output
    assert f"    {words}" not in up.output
    assert "isthmus | known: " in up.output
    assert up.how("sim") == "was not started"


def test_one_that_never_becomes_ready_fails(project: Project) -> None:
    code = "print('almost', flush=True)\n" + "import signal; signal.pause()"
    project.process("gateway", code, ready={"line": "^ready$"}, ready_timeout=0.3)
    up = project.process("sim", WAITS, depends_on=["gateway"]).done()
    assert up.status == 3
    assert "gateway was not ready within 0.3 s: no line has matched '^ready$'" in up.output
    assert up.facts["why"] == "gateway was not ready"
    assert up.how("sim") == "was not started"
    assert up.nothing_is_left()


def test_last_words_that_other_lines_have_pushed_away_are_shown_again(project: Project) -> None:
    chats = "import signal; print('hello\\n' * 30 + 'ready', flush=True); signal.pause()"
    code = "import os; print('oh', flush=True); open(os.sys.argv[1]).read(); exit(1)"
    os.mkfifo(project.folder / "go")
    project.process("a", code, str(project.folder / "go"), ready={"line": "oh"})
    project.process("b", chats, depends_on=["a"])
    with project.up() as up:
        up.wait_for("| ready")
        (project.folder / "go").write_bytes(b"")
        assert up.end() == 3
    assert "its last words:\nisthmus |     oh\n" in up.output


def test_one_that_is_interrupted_before_it_is_ready_was_not_ready(project: Project) -> None:
    with project.process("a", WAITS, ready={"line": "never"}).up() as up:
        until(lambda: up.pid("a"))
        up.interrupt()
        assert up.end() == 130
    assert up.how("a") == "was not ready, stopped: ended by SIGTERM"


def test_it_is_said_now_and_then_what_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_WORD", 1e-6)
    said: list[str] = []

    async def wait() -> None:
        watch = LineWatch(("^redy$",))
        telling = asyncio.create_task(patience.tell_waiting("gateway", watch, 60.0, said.append))
        while len(said) < 3:
            await asyncio.sleep(0)
        telling.cancel()

    asyncio.run(wait())
    assert said[0] == "waiting for gateway: line '^redy$', 60 s left"


def test_a_stranger_who_listens_there_already_is_not_taken_for_the_process(
    project: Project,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        up = project.process("a", "print('here')", ready={"port": f"127.0.0.1:{port}"}).done()
    assert up.status == 3
    assert f"somebody listens at port 127.0.0.1:{port} already" in up.output
    assert up.log("a") == ""
    assert up.nothing_is_left()


def test_the_current_folder_may_go_during_a_run(project: Project) -> None:
    here = project.folder / "here"
    here.mkdir()
    with project.process("a", WAITS).up(cwd=here) as up:
        up.wait_for_state("a", "running")
        here.rmdir()
        up.interrupt()
        assert up.end() == 130, up.output
    assert "Traceback" not in up.output
    assert f"logs: {up.folder}/logs" in up.output
    assert list((project.folder / ".isthmus" / "up").iterdir()) == []


def test_a_state_folder_that_cannot_be_made_is_said(project: Project) -> None:
    (project.folder / ".isthmus").touch()
    up = project.process("a", WAITS).done()
    assert up.status == 2
    assert "isthmus: cannot make" in up.output and "Traceback" not in up.output
    assert not (project.folder / "runs").exists()


def test_what_the_supervisor_says_is_in_a_log_of_its_own(project: Project) -> None:
    up = project.process("a", "raise SystemExit(4)").process("b", WAITS).done()
    lines = [line.partition(" ") for line in up.log("isthmus").splitlines()]
    assert all(len(moment) == len("2026-01-01T00:00:00Z") for moment, _, _ in lines)
    told = [line for _, _, line in lines]
    assert told == [
        line.removeprefix("isthmus | ")
        for line in up.output.splitlines()
        if line.startswith("isthmus | ")
    ]
    assert "a ended with status 4, without a word" in told


def test_a_starter_that_ignores_the_end_of_children(project: Project) -> None:
    ignore = (
        "import os, signal, sys; signal.signal(17, signal.SIG_IGN); os.execv(*eval(sys.argv[1]))"
    )
    project.runtime("mine", python=sys.executable)  # it is asked, by a child
    project.process("a", "print('here')", runtime="mine").write()
    command = [sys.executable, "-I", "-m", "isthmus", "up"]
    done = subprocess.run(
        [sys.executable, "-I", "-c", ignore, repr((sys.executable, command))],
        cwd=project.folder, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "a       | here\n"), done.stderr


OWN_RUN = """
import asyncio, os, sys
from pathlib import Path
from isthmus.runtimes.launch import prepare
from isthmus.runtimes.manifest import load_manifest
from isthmus.runtimes.plan import plan
from isthmus.runtimes.state import StateFolder
from isthmus.supervisor import restarts
from isthmus.supervisor.run import Run
from isthmus.supervisor.terminal import Terminal

here = Path.cwd()
manifest = load_manifest(here / "isthmus.toml", os.environ)
run = Run(manifest, plan(manifest), StateFolder.beside(here), os.environ, prepare)
"""


def own_run(project: Project, code: str) -> subprocess.CompletedProcess[str]:
    project.write()
    return subprocess.run(
        [sys.executable, "-I", "-c", OWN_RUN + textwrap.dedent(code)],
        cwd=project.folder, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_wardens_of_earlier_lives_are_forgotten(project: Project) -> None:
    project.process("a", "raise SystemExit(1)", restart="on-failure", restart_limit=3)
    done = own_run(
        project,
        """
        restarts.FIRST_DELAY = 0.0
        assert asyncio.run(run.supervise()) == 1
        print(run.processes["a"].restarts.total, len(run._wards))
        """,
    )
    assert done.stdout == "3 1\n", done.stderr


def test_a_run_that_cannot_even_begin_leaves_no_lock(project: Project) -> None:
    project.process("a", "")
    done = own_run(
        project,
        """
        def start(terminal):
            raise RuntimeError("can't start new thread")
        Terminal.start = start
        asyncio.run(run.supervise())
        """,
    )
    assert "can't start new thread" in done.stderr.splitlines()[-1]
    assert list((project.folder / ".isthmus" / "up").iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "target", "missing"),
    [
        ("socket", "{sockets}/none", "No such file or directory"),
        ("port", "127.0.0.1:1", "Connect call failed"),
        ("http", "http://127.0.0.1:1/", "Connect call failed"),
        ("port", "127.0.0.1:70000", "expected a port from 1 to 65535"),
    ],
)
def test_what_cannot_be_reached_is_named(
    project: Project, kind: str, target: str, missing: str
) -> None:
    up = project.process("a", WAITS, ready={kind: target}, ready_timeout=0.2).done()
    assert up.status in (2, 3)
    assert missing in up.output


def test_a_missing_program_is_a_failure_of_its_own(project: Project) -> None:
    project.process("sim", "")
    project._processes["sim"]["command"] = ["/nowhere/sim"]
    up = project.done()
    assert up.status == 3
    assert "/nowhere/sim: No such file or directory" in up.output
    assert up.nothing_is_left()


def test_a_name_is_looked_for_on_path_only(project: Project) -> None:
    project.process("sim", "")
    project._processes["sim"]["command"] = ["sim.py"]
    up = project.done()
    assert up.status == 3
    assert "sim.py: command not found" in up.output


def test_one_that_ignores_its_stop_signal_is_killed(project: Project) -> None:
    stubborn = """
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("ready", flush=True)
        while True:
            signal.pause()
    """
    project.process("gateway", stubborn, ready={"line": "ready"}, stop_timeout=0.2)
    project.process("sim", "", depends_on=["gateway"]).run("demo", main="sim")
    up = project.done()
    assert up.status == 0
    assert up.how("gateway") == "stopped: did not stop in 0.2 s, killed"
    assert up.nothing_is_left()


def test_one_that_is_stopped_hears_of_its_end(project: Project) -> None:
    project.process("gateway", SERVES, ready=READY)
    project.process("sim", WAITS, depends_on=["gateway"])
    with project.up() as up:
        up.wait_for_state("sim", "running")
        os.kill(up.pid("gateway"), signal.SIGSTOP)
        up.interrupt()
        assert up.end() == 130
    assert up.how("gateway") == "stopped: ended by SIGTERM"


def test_a_second_interrupt_kills(project: Project) -> None:
    stubborn = """
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("ready", flush=True)
        while True:
            signal.pause()
    """
    project.process("a", stubborn, ready={"line": "ready"}, stop_timeout=1000)
    with project.up() as up:
        up.wait_for_state("a", "running")
        up.interrupt()
        up.wait_for("stopping")

        def insist() -> bool:
            if up.process.poll() is None:
                up.interrupt()
            return up.process.poll() is not None

        until(insist)
        assert up.end() == 130
    assert up.how("a") == "stopped: killed"
    assert up.nothing_is_left()


def test_daemons_do_not_outlive_their_process(project: Project) -> None:
    up = project.process("sim", DAEMON, str(project.folder / "daemon")).done()
    assert up.status == 0
    assert "sim left 1 process behind; ended" in up.output
    daemon = int((project.folder / "daemon").read_text(encoding="utf-8"))
    assert not os.path.exists(f"/proc/{daemon}")
    assert up.nothing_is_left()


def test_daemons_end_with_the_run(project: Project) -> None:
    code = DAEMON + "\n    import signal; signal.pause()\n"
    with project.process("sim", code, str(project.folder / "daemon")).up() as up:
        until((project.folder / "daemon").exists)
        up.interrupt()
        assert up.end() == 130
    assert up.nothing_is_left()


def test_restarts_until_the_limit_then_gives_up(project: Project) -> None:
    fails = "print('ready', flush=True); raise SystemExit(5)"
    up = project.process(
        "gateway", fails, ready={"line": "ready"}, restart="on-failure", restart_limit=1
    ).done()
    assert up.output.count("gateway | ready") == 2
    assert "gateway: restart in 0.5 s (1 of 1 in a row)" in up.output
    assert "gateway ended with status 5, after 1 restart" in up.output
    assert up.facts["processes"]["gateway"]["restarts"] == 1
    assert up.nothing_is_left()


def test_dependents_stay_when_what_they_need_is_restarted(project: Project) -> None:
    gateway = """
        import os, socket, signal, sys, time
        place = sys.argv[1] + "/socket"
        again = os.path.exists(sys.argv[1] + "/before")
        open(sys.argv[1] + "/before", "w").close()
        server = socket.socket(socket.AF_UNIX)
        server.bind(place + ("2" if again else ""))
        print("listening", 2 if again else 1, flush=True)
        signal.pause()
    """
    project.process(
        "gateway", gateway, "{sockets}",
        ready={"line": "listening (?P<number>.)"}, restart="on-failure",
    )  # fmt: skip
    project.process("sim", WAITS, "{gateway.number}", depends_on=["gateway"])
    with project.up() as up:
        up.wait_for_state("sim", "running")
        sim, first = up.pid("sim"), up.pid("gateway")
        os.kill(first, signal.SIGKILL)
        up.wait_for("{gateway.number} is now 2; who was told 1 is not told again")
        assert up.pid("sim") == sim
        assert up.pid("gateway") != first
        assert os.path.exists(up.facts["sockets"] + "/socket")
        up.interrupt()
        assert up.end() == 130
    assert "[isthmus: ended by SIGKILL; restart 1]" in up.log("gateway")
    assert up.nothing_is_left()


def test_a_first_start_that_fails_is_not_tried_again(project: Project) -> None:
    up = project.process("a", "raise SystemExit(1)", ready=READY, restart="always").done()
    assert up.facts["processes"]["a"]["restarts"] == 0


def test_a_killed_warden_takes_its_process_along_and_nothing_else_stays(project: Project) -> None:
    code = DAEMON + "\n    import signal; signal.pause()\n"
    project.process("sim", code, str(project.folder / "daemon"))
    with project.process("other", WAITS).up() as up:
        until((project.folder / "daemon").exists)
        warden = parent_of(up.pid("sim"))
        assert warden != up.process.pid
        os.kill(warden, signal.SIGKILL)
        assert up.end() == 3
    assert "its warden was killed" in up.output
    assert up.how("sim") == "ended by SIGKILL"
    assert up.nothing_is_left()


def test_what_a_killed_warden_leaves_is_ended_while_the_run_goes_on(project: Project) -> None:
    code = DAEMON + "\n    print('here', flush=True)\n    import signal; signal.pause()\n"
    daemon = project.folder / "daemon"
    project.process("sim", code, str(daemon), ready={"line": "here"}, restart="on-failure")
    with project.process("other", WAITS).up() as up:
        up.wait_for_state("sim", "running")
        other, first = up.pid("other"), int(daemon.read_text(encoding="utf-8"))
        os.kill(parent_of(up.pid("sim")), signal.SIGKILL)
        up.wait_for_state("sim", "restarting")
        assert not os.path.exists(f"/proc/{first}")
        up.wait_for_state("sim", "running")
        assert up.pid("other") == other
        up.interrupt()
        assert up.end() == 130
    assert up.nothing_is_left()


def test_a_killed_supervisor_leaves_nothing_but_the_last_words(project: Project) -> None:
    saves = """
        import signal, sys, time
        def save(*_):
            print("saved", flush=True)  # into a pipe that nobody reads any more
            sys.exit(0)
        signal.signal(signal.SIGTERM, save)
        print("ready", flush=True)
        while True:
            signal.pause()
    """
    with project.process("sim", saves, ready={"line": "ready"}).up() as up:
        up.wait_for_state("sim", "running")
        up.interrupt(signal.SIGKILL)
        assert up.end() == -signal.SIGKILL
        until(lambda: not strays(up.run_id))
        assert up.log("sim") == "ready\nsaved\n"
        assert not os.path.exists(up.facts["sockets"])


def test_two_runs_of_one_project_do_not_meet(project: Project) -> None:
    listens = """
        import socket, sys, signal
        server = socket.socket(socket.AF_UNIX)
        server.bind(sys.argv[1] + "/s")
        print("ready", flush=True)
        signal.pause()
    """
    project.process("a", listens, "{sockets}", ready={"line": "ready"})
    with project.up() as one:
        one.wait_for_state("a", "running")
        with project.up() as two:
            two.wait_for_state("a", "running")
            assert one.run_id != two.run_id
            two.interrupt()
            two.end()
        assert one.state("a") == "running"
        one.interrupt()
        one.end()
    assert one.nothing_is_left() and two.nothing_is_left()


WITHOUT_TOML = """
import asyncio, os, sys
from pathlib import Path
from isthmus.runtimes.launch import prepare
from isthmus.runtimes.plan import plan
from isthmus.runtimes.settings import ContractSettings, Manifest, ProcessSettings, Ready
from isthmus.runtimes.state import StateFolder
from isthmus.supervisor.run import Run

here = Path.cwd()
python = (sys.executable, "-I", "-S", "-c")
serves = "import signal; print('at 4711', flush=True); signal.pause()"
says = "import os, sys, time; print(*sys.argv[1:]); sys.stdout.flush(); os._exit(7)"
ready = Ready("line", lines=("at (?P<port>.*)",))
processes = {
    "gateway": ProcessSettings("gateway", (*python, serves), ready=ready),
    "sim": ProcessSettings(
        "sim", (*python, says, "{gateway.port}", "{sockets}"), depends_on=("gateway",)
    ),
}
manifest = Manifest(here / "isthmus.toml", here / "runs", {}, processes, {}, ContractSettings())
run = Run(manifest, plan(manifest), StateFolder.beside(here), os.environ, prepare)
sys.exit(asyncio.run(run.supervise()))
"""


@pytest.mark.cross_python
def test_under_every_python(other_python: Environment, tmp_path: Path, project_root: Path) -> None:
    """Without `isthmus.toml`, which needs a package to be read in Python 3.10."""
    python = str(project_root / other_python.python)
    command = [python, "-I", "-W", "error", "-X", "dev", "-c", WITHOUT_TOML]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3, done.stderr
    assert "Warning" not in done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    facts = json.loads((folder / "up.json").read_text(encoding="utf-8"))
    assert f"sim     | 4711 {facts['sockets']}\n" in done.stdout
    assert facts["why"] == "sim failed"
    assert strays(folder.name) == {}
    assert not os.path.exists(facts["sockets"])


def parent_of(pid: int) -> int:
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return int(file.read().rpartition(")")[2].split()[1])
