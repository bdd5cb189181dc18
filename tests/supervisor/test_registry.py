"""Runs as another process sees them: `isthmus ps` and `isthmus down`."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from isthmus.cli.down import chosen
from isthmus.cli.ps import described
from isthmus.errors import SupervisionError
from isthmus.supervisor import registry
from isthmus.supervisor.identity import boot_id, send_signal, started_at
from isthmus.supervisor.records import RunLock, is_held, private_folder, write_json
from isthmus.supervisor.registry import DIED, ENDING, UP, Known, known_runs, strays
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


def known(folder: Path) -> list[Known]:
    warnings: list[str] = []
    runs = known_runs(folder, warnings.append)
    assert warnings == []
    return runs


def record(**changes: Any) -> dict[str, Any]:
    """What a supervisor writes, as far as it is read; it is this process."""
    supervisor = {"pid": os.getpid(), "ticks": started_at(os.getpid()), "boot_id": boot_id()}
    return {"folder": "/runs/one", "supervisor": supervisor, "processes": {}, **changes}


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
    assert up.facts["why"] == "SIGTERM came (isthmus down)"
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
        (found,) = known(records(project))
        assert found.state == ENDING
        assert " ending " in project.isthmus("ps").stdout
        done = project.isthmus("down", "--timeout", "0")
    assert done.returncode == 0, done.stderr
    assert not strays(up.run_id)
    assert known(records(project)) == []


def test_a_run_of_which_all_died_is_shown_and_forgotten(project: Project) -> None:
    with project.process("sim", WAITS).up() as up:
        up.wait_for_state("sim", "running")
        up.interrupt(signal.SIGKILL)
        up.end()
        until(lambda: not is_held(records(project) / f"{up.run_id}.lock"))
    (found,) = known(records(project))
    assert found.state == DIED
    shown = project.isthmus("ps").stdout.splitlines()
    assert shown[0].split()[:2] == [up.run_id, "died"]
    assert shown[2].split()[:3] == ["sim", "died", "-"]
    assert known(records(project)) == []
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
    assert len(known(records(project))) == 1
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
    lock = RunLock(tmp_path, "one")
    facts = record()
    facts["supervisor"]["boot_id"] = "old"
    write_json(lock.record, facts)
    assert [each.state for each in known(tmp_path)] == [ENDING]
    os.close(lock.descriptor)
    assert [each.state for each in known(tmp_path)] == [DIED]


def test_a_held_lock_and_a_live_supervisor_are_up(tmp_path: Path) -> None:
    lock = RunLock(tmp_path, "one")
    write_json(lock.record, record())
    assert [each.state for each in known(tmp_path)] == [UP]
    lock.release()
    assert known(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


PROCESS = {"state": "running", "pid": 1, "started_ns": 1, "restarts": 0, "how": None}
ODD: list[Any] = [
    [],
    {},
    {"supervisor": 1},
    record(folder=None),
    record(stop_seconds=float("nan")),
    record(stop_seconds="long"),
    record(processes=[]),
    record(processes={"a": None}),
    record(processes={"a": {}}),
    record(processes={"a": {**PROCESS, "pid": "1"}}),
    record(processes={"a": {**PROCESS, "started_ns": 1 << 80}}),
    record(supervisor={"pid": None, "ticks": 1, "boot_id": ""}),
]


@pytest.mark.parametrize("text", ["", "{", "\udcff", "[" * 100_000, *map(json.dumps, ODD)])
def test_a_damaged_record_is_named_and_hides_no_other(tmp_path: Path, text: str) -> None:
    (tmp_path / "damaged.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    write_json(tmp_path / "well.json", record(processes={"a": PROCESS}))
    warnings: list[str] = []
    (found,) = known_runs(tmp_path, warnings.append)
    assert found.run_id == "well"
    (warning,) = warnings
    assert "damaged.json is of no use (" in warning


def test_a_record_with_gaps_stops_neither_ps_nor_down(project: Project) -> None:
    project.write()
    records(project).mkdir(parents=True)
    (records(project) / "0-odd.json").write_text("{}", encoding="utf-8")
    dead = record(processes={"a": {**PROCESS, "started_ns": None}})
    dead["supervisor"]["boot_id"] = "old"
    write_json(records(project) / "1-dead.json", dead)
    shown = project.isthmus("ps", "--json")
    assert shown.returncode == 0, shown.stderr
    assert "0-odd.json is of no use" in shown.stderr
    assert [each["state"] for each in json.loads(shown.stdout)] == ["died"]
    write_json(records(project) / "1-dead.json", dead)
    done = project.isthmus("down")
    assert (done.returncode, done.stdout) == (0, "1-dead is down; its directory: /runs/one\n")


def test_plain_down_means_the_run_that_lives(tmp_path: Path) -> None:
    runs = [Known(str(n), state, {}, tmp_path) for n, state in enumerate((DIED, UP, DIED))]
    assert chosen(runs, None) is runs[1]
    with pytest.raises(SupervisionError, match=r"several runs are up: 0 \(died\), 2 \(died\);"):
        chosen([runs[0], runs[2]], None)
    others = Known("3", UP, {}, tmp_path, "eve")
    assert chosen([others, runs[1]], None) is runs[1]
    with pytest.raises(SupervisionError, match=r"up: 3 \(of user eve\)"):
        chosen([others], "4")


def test_another_user_s_run_is_shown_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = RunLock(tmp_path, "one")
    write_json(lock.record, record())
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    monkeypatch.setattr(registry, "is_held", not_permitted)  # its lock has the mode 0600
    (found,) = known(tmp_path)
    assert found.state == UP
    assert found.owner == pwd.getpwuid(os.getuid()).pw_name
    assert f"up, of user {found.owner}" in described(found, 0)
    with pytest.raises(SupervisionError, match=f"belongs to another user, {found.owner}"):
        registry.end(found, 0.0, print)
    registry.sweep(tmp_path)
    monkeypatch.undo()
    assert known(tmp_path)[0].owner == ""
    lock.release()


def not_permitted(path: Path) -> bool:
    raise PermissionError(13, "Permission denied", str(path))


def test_what_a_supervisor_left_that_had_no_record_yet_is_swept(tmp_path: Path) -> None:
    held, left = RunLock(tmp_path, "held"), RunLock(tmp_path, "left")
    os.close(left.descriptor)
    old, new = tmp_path / ".one.json.abcd", tmp_path / ".two.json.abcd"
    for file in (old, new):
        file.touch()
    os.utime(old, (0, 0))
    registry.sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == [new, held.path]
    held.release()


@pytest.mark.parametrize("command", ["ps", "down"])
def test_who_looks_makes_no_folder(project: Project, command: str) -> None:
    project.write()
    assert project.isthmus(command).stderr == "nothing is up\n"
    assert not (project.folder / ".isthmus").exists()
    (project.folder / ".isthmus").touch()
    assert project.isthmus(command).stderr == "nothing is up\n"


HOLDS = """
import fcntl, os, signal, sys
lock = os.open(sys.argv[1], os.O_RDWR)
fcntl.flock(lock, fcntl.LOCK_EX)
signal.signal(signal.SIGCONT, lambda *_: os._exit(0) if "wakes" in sys.argv else None)
print("held", flush=True)
while True:
    signal.pause()
"""


@pytest.mark.parametrize("how", ["wakes", "hangs"])
def test_down_ends_a_warden_that_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """One that goes on ends by itself; one that still does not is killed."""
    monkeypatch.setattr(registry, "_AFTER_KILL", 0.0 if how == "hangs" else 30.0)
    (tmp_path / "one.lock").touch()
    write_json(tmp_path / "one.json", record())
    run_id = f"run-of-{tmp_path.name}-{os.getpid()}"
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", HOLDS, str(tmp_path / "one.lock"), how],
        stdout=subprocess.PIPE,
        env={"ISTHMUS_RUN_ID": run_id},
    ) as warden:
        assert warden.stdout is not None
        warden.stdout.readline()
        warden.send_signal(signal.SIGSTOP)
        said: list[str] = []
        registry.end(Known(run_id, ENDING, record(), tmp_path / "one.json"), 0.0, said.append)
        assert warden.wait() == (0 if how == "wakes" else -signal.SIGKILL)
    assert any("killing all that is left" in line for line in said) == (how == "hangs")
    assert list(tmp_path.iterdir()) == []


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
