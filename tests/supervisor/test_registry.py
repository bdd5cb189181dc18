"""Runs as another process sees them: `isthmus ps` and `isthmus down`."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from isthmus.errors import SupervisionError
from isthmus.supervisor.identity import send_signal, started_at
from isthmus.supervisor.records import RunLock, is_held, private_folder, write_json
from isthmus.supervisor.registry import DIED, ENDING, UP, known_runs, strays
from isthmus.supervisor.words import duration, how_it_ended

from ..support.waiting import until
from .project import READY, SERVES, Project

WAITS = "import signal; signal.pause()"
STUBBORN = """
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("ready", flush=True)
    while True:
        signal.pause()
"""


def records(project: Project) -> Path:
    return project.folder / ".isthmus" / "up"


def test_ps_shows_what_is_up(project: Project) -> None:
    project.process("gateway", SERVES, ready=READY)
    project.process("sim", WAITS, depends_on=["gateway"]).run("demo", main="sim")
    with project.up() as up:
        up.wait_for_state("sim", "running")
        shown = project.isthmus("ps").stdout.splitlines()
        (facts,) = json.loads(project.isthmus("ps", "--json").stdout)
        up.interrupt()
        up.end()
    assert shown[0].split() == [up.run_id, "demo", "up", str(up.folder)]
    assert shown[1].split() == ["NAME", "STATE", "PID", "UP", "RESTARTS", "ENDED"]
    name, state, pid, seconds, unit, restarts, ended = shown[2].split()
    assert (name, state, unit, restarts, ended) == ("gateway", "running", "s", "0", "-")
    assert pid == str(facts["processes"]["gateway"]["pid"])
    assert facts["state"] == "up"
    assert facts["run_id"] == up.run_id
    assert project.isthmus("ps").stderr == "nothing is up\n"
    assert json.loads(project.isthmus("ps", "--json").stdout) == []


def test_down_ends_it_in_order(project: Project) -> None:
    with project.process("sim", WAITS).up() as up:
        up.wait_for_state("sim", "running")
        done = project.isthmus("down")
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{up.run_id} is down; its directory: {up.folder}\n"
        assert not strays(up.run_id)
        assert up.end() == 143
    assert up.facts["why"] == "SIGTERM came"
    assert list(records(project).iterdir()) == []


def test_down_wants_to_know_which(project: Project) -> None:
    project.process("sim", WAITS)
    with project.up() as one, project.up() as two:
        one.wait_for_state("sim", "running")
        two.wait_for_state("sim", "running")
        done = project.isthmus("down")
        assert done.returncode == 2
        assert one.run_id in done.stderr and two.run_id in done.stderr
        assert project.isthmus("down", "2099").returncode == 2
        assert project.isthmus("down", two.run_id).returncode == 0
        assert two.end() == 143
        assert one.state("sim") == "running"
        assert project.isthmus("down", "--all").returncode == 0
        assert one.end() == 143
    assert project.isthmus("down").stderr == "nothing is up\n"


def test_down_kills_what_does_not_stop_in_time(project: Project) -> None:
    project.process("sim", STUBBORN, ready={"line": "ready"}, stop_timeout=0.5)
    with project.up() as up:
        up.wait_for_state("sim", "running")
        os.kill(up.process.pid, signal.SIGSTOP)  # a supervisor that hangs
        done = project.isthmus("down", "--timeout", "0")
        assert done.returncode == 0, done.stderr
        assert f"{up.run_id} did not stop in 0 s; killing it" in done.stderr
        assert not strays(up.run_id)
        assert up.end() == -signal.SIGKILL
    assert list(records(project).iterdir()) == []
    assert not os.path.exists(up.facts["sockets"])


def test_a_run_whose_supervisor_died_is_ending_until_its_wardens_are_done(
    project: Project,
) -> None:
    project.process("sim", STUBBORN, ready={"line": "ready"}, stop_timeout=2)
    with project.up() as up:
        up.wait_for_state("sim", "running")
        up.interrupt(signal.SIGKILL)
        up.end()
        (known,) = known_runs(records(project))
        assert known.state == ENDING
        assert " ending " in project.isthmus("ps").stdout
        done = project.isthmus("down", "--timeout", "0")
    assert done.returncode == 0, done.stderr
    assert not strays(up.run_id)
    assert known_runs(records(project)) == []


def test_a_run_of_which_all_died_is_shown_and_forgotten(project: Project) -> None:
    with project.process("sim", WAITS).up() as up:
        up.wait_for_state("sim", "running")
        up.interrupt(signal.SIGKILL)
        up.end()
        until(lambda: not is_held(records(project) / f"{up.run_id}.lock"))
    (known,) = known_runs(records(project))
    assert known.state == DIED
    shown = project.isthmus("ps").stdout.splitlines()
    assert shown[0].split()[:2] == [up.run_id, "died"]
    assert shown[2].split()[:3] == ["sim", "died", "-"]
    assert known_runs(records(project)) == []
    assert up.folder.exists()


def test_what_nobody_watches_any_more_is_found_and_ended(project: Project) -> None:
    """Supervisor and warden killed at once: only a detached process is left, and its name on it."""
    code = """
        import os, signal
        if os.fork() == 0:
            os.setsid()
            open("daemon", "w").close()
        signal.pause()
    """
    with project.process("sim", code).up() as up:
        until((project.folder / "daemon").exists)
        os.kill(up.process.pid, signal.SIGSTOP)
        for pid in strays(up.run_id):
            if "warden" in Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8"):
                os.kill(pid, signal.SIGKILL)
        os.kill(up.process.pid, signal.SIGKILL)
        up.end()
    until(lambda: len(strays(up.run_id)) == 1)
    assert "1 of its processes are left" in project.isthmus("ps").stderr
    assert len(known_runs(records(project))) == 1
    done = project.isthmus("down", up.run_id)
    assert done.returncode == 0, done.stderr
    assert strays(up.run_id) == {}
    assert not os.path.exists(up.facts["sockets"])


@pytest.mark.parametrize("has_pidfd", [True, False])
def test_a_number_that_was_given_again_is_not_signalled(
    has_pidfd: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_pidfd:
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    ticks = started_at(os.getpid())
    assert ticks is not None
    assert send_signal(os.getpid(), ticks, 0)
    assert not send_signal(os.getpid(), ticks + 1, signal.SIGKILL)
    assert started_at(2**22 + 1) is None
    assert not send_signal(2**22 + 1, 0, signal.SIGKILL)


def test_a_record_of_an_earlier_boot_is_of_a_run_that_died(tmp_path: Path) -> None:
    facts = {
        "supervisor": {"pid": os.getpid(), "ticks": started_at(os.getpid()), "boot_id": "old"},
        "processes": {},
    }
    lock = RunLock(tmp_path, "one")
    write_json(lock.record, facts)
    assert [known.state for known in known_runs(tmp_path)] == [ENDING]
    os.close(lock.descriptor)
    assert [known.state for known in known_runs(tmp_path)] == [DIED]


def test_a_held_lock_and_a_live_supervisor_are_up(tmp_path: Path) -> None:
    from isthmus.supervisor.identity import boot_id

    ticks = started_at(os.getpid())
    lock = RunLock(tmp_path, "one")
    found = {"pid": os.getpid(), "ticks": ticks, "boot_id": boot_id()}
    write_json(lock.record, {"supervisor": found, "processes": {}})
    assert [known.state for known in known_runs(tmp_path)] == [UP]
    lock.release()
    assert known_runs(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"supervisor": 1}'])
def test_a_damaged_record_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "one.json").write_text(text, encoding="utf-8")
    with pytest.raises(SupervisionError, match=r"one\.json is damaged"):
        known_runs(tmp_path)


def test_the_private_folder_is_where_a_socket_s_path_stays_short(tmp_path: Path) -> None:
    assert private_folder({}).startswith("/tmp/isthmus-")
    assert private_folder({"XDG_RUNTIME_DIR": "/nowhere"}).startswith("/tmp/isthmus-")
    assert private_folder({"XDG_RUNTIME_DIR": "relative"}).startswith("/tmp/isthmus-")
    assert private_folder({"XDG_RUNTIME_DIR": "/" + "x" * 90}).startswith("/tmp/isthmus-")
    assert private_folder({"XDG_RUNTIME_DIR": "/var/tmp"}).startswith("/var/tmp/isthmus-")
    assert private_folder({}) != private_folder({})


def test_words() -> None:
    assert how_it_ended(0) == "ended with status 0"
    assert how_it_ended(-11) == "ended by SIGSEGV"
    assert how_it_ended(-35) == "ended by signal 35"
    assert [duration(s) for s in (0.04, 9.94, 59.4, 59.6, 3599, 3600, 90_000)] == [
        "0.0 s", "9.9 s", "59 s", "1 min 0 s", "59 min 59 s", "1 h 0 min", "25 h 0 min",
    ]  # fmt: skip
