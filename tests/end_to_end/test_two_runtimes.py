"""One Python's environment breaks another's programs; `isthmus run`, started in it, is not broken.

Every ordered pair of Pythons: first the fault is really made, then the same program is started in
the same shell by `isthmus run`. Then what a program must not notice of having been started so: its
exit status, signals, input, terminal, descriptors. The Isaac Sim here is a fake one: a layout, and
scripts that do to an environment what the real ones do.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from isthmus.runtimes import Environment, built_environments, find_interpreters

from ..support.fake_isaac import FakeIsaac, build_fake_isaac

pytestmark = pytest.mark.cross_python

ROOT = Path(__file__).resolve().parent.parent.parent
ISTHMUS = ROOT / "scripts" / "isthmus"
HOPELESS = 60.0  # seconds; says nothing about how long things take


@dataclass(frozen=True)
class Python:
    """A Python that environments are made from, not one of them.

    Attributes:
        path: the executable.
        minor: such as "3.11".
        prefix: its folder.
        library: its standard library.
    """

    path: Path
    minor: str
    prefix: Path
    library: Path

    @classmethod
    def at(cls, path: Path, minor: str) -> Python:
        prefix = path.parent.parent
        return cls(path, minor, prefix, prefix / "lib" / f"python{minor}")


def pythons() -> list[Python]:
    """List the Pythons that the environments `test-*` were made from, oldest first."""
    built = [each for each in built_environments(ROOT / ".envs").values() if "test-" in each.name]
    found = [Python.at(each.python.resolve(), each.minor) for each in built]
    return sorted(found, key=lambda each: int(each.minor.split(".")[1]))


PYTHONS = pythons()
PAIRS = list(permutations(PYTHONS, 2))
each_python = pytest.mark.parametrize("python", PYTHONS, ids=lambda each: each.minor)
each_pair = pytest.mark.parametrize(
    ("theirs", "ours"), PAIRS, ids=[f"{b.minor}-in-a-shell-for-{a.minor}" for a, b in PAIRS]
)


def test_there_are_pairs(oldest_python: Environment, newest_python: Environment) -> None:
    """Without environments the tests below would pass by being none."""
    if oldest_python.minor == newest_python.minor:
        pytest.skip("only one Python on this machine")
    assert PAIRS


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A user's shell, set up for nothing in particular; isthmus has a cache of its own there."""
    home = tmp_path_factory.mktemp("home")
    return {
        "HOME": str(home),
        "PATH": f"{os.defpath}:{Path(sys.executable).resolve().parent}",
        "LANG": "C.UTF-8",
        "XDG_CACHE_HOME": str(home / "cache"),
        "CUDA_VISIBLE_DEVICES": "3",
    }


def set_up_for(python: Python, shell: Mapping[str, str]) -> dict[str, str]:
    """Bring one Python's whole library along, as a simulator's setup script does."""
    library = python.library
    folders = (library, library / "lib-dynload", library / "site-packages")
    return {
        **shell,
        "PYTHONPATH": ":".join(map(str, folders)),
        "PATH": f"{python.path.parent}:{shell['PATH']}",
        "LD_LIBRARY_PATH": f"{python.prefix / 'lib'}:/usr/local/cuda/lib64",
    }


def start(
    command: Sequence[str | Path], environ: Mapping[str, str], **options: Any
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)),
        env=dict(environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=HOPELESS,
        **{"stdin": subprocess.DEVNULL, **options},
    )


def run_in(
    python: Python | Path, environ: Mapping[str, str], *command: str | Path, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Start a command by `isthmus run`, from a shell with this environment."""
    path = python.path if isinstance(python, Python) else python
    return start([ISTHMUS, "run", "--python", path, "--", *command], environ, **options)


# "or its like": which module breaks first depends on the two versions.
MISMATCH = re.compile(
    r"SRE module mismatch|cannot import name|has no attribute|No module named|invalid syntax|"
    r"undefined symbol|bad magic number|expected .* got|unknown opcode"
)
IMPORTS = "import re, json, subprocess, socket, ctypes, datetime"

# Says who it is, then starts others in every way that a program starts a Python.
FAMILY = f"""
{IMPORTS}
import os, sys
me = "{{}}.{{}}".format(*sys.version_info[:2])
depth = int(sys.argv[1])
if depth:
    own = [sys.executable, __file__, str(depth - 1)]
    ways = [own, ["python3", *own[1:]], ["sh", "-c", 'exec python "$@"', "sh", *own[1:]]]
    ways.append([f"python{{me}}", *own[1:]])
    ways.append(["/usr/bin/env", "python", *own[1:]])
    for way in ways[: 5 if depth == 2 else 1]:
        subprocess.run(way, check=True)
import isthmus
print(me, os.path.realpath(isthmus.__file__), flush=True)
if depth == 2:
    print(json.dumps(dict(os.environ)), json.__file__, sys.path, sep="\\n")
"""


@pytest.fixture(scope="session")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("programs") / "family.py"
    path.write_text(FAMILY)
    return path


@each_pair
def test_the_fault_is_real(theirs: Python, ours: Python, shell: dict[str, str]) -> None:
    broken = set_up_for(theirs, shell)
    done = start([ours.path, "-c", IMPORTS], broken)
    assert done.returncode == 1
    assert MISMATCH.search(done.stderr), done.stderr
    # Theirs works, as it would; and what it starts is broken. Its -E does not help its children.
    parent = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)"
    grandchild = [ours.path, "-c", IMPORTS]
    done = start([theirs.path, "-c", parent, *grandchild], broken)
    assert done.returncode == 1
    assert MISMATCH.search(done.stderr), done.stderr
    done = start([ours.path, "-E", "-c", parent, *grandchild], broken)
    assert done.returncode == 1
    assert MISMATCH.search(done.stderr), done.stderr
    # By its name it is another Python altogether.
    name = "import subprocess; subprocess.run(['python3', '-V'])"
    assert start([ours.path, "-E", "-c", name], broken).stdout.startswith(f"Python {theirs.minor}.")
    # PYTHONHOME kills before any code.
    done = start([ours.path, "-c", "pass"], {**shell, "PYTHONHOME": str(theirs.prefix)})
    assert done.returncode not in (0, 2)
    assert "<no Python frame>" in done.stderr


@each_pair
def test_isthmus_run_survives_it(
    theirs: Python, ours: Python, shell: dict[str, str], family: Path
) -> None:
    broken = {**set_up_for(theirs, shell), "PYTHONHOME": str(theirs.prefix)}
    done = run_in(ours, broken, "python", family, "2")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    *said, environ, library, path = done.stdout.splitlines()
    assert said == [f"{ours.minor} {ROOT / 'src' / 'isthmus' / '__init__.py'}"] * (5 * 2 + 1)
    assert Path(library).is_relative_to(ours.library)
    assert str(theirs.prefix) not in environ + path
    passed = json.loads(environ)
    assert passed["CUDA_VISIBLE_DEVICES"] == "3"
    assert passed["LD_LIBRARY_PATH"] == "/usr/local/cuda/lib64"
    assert passed["HOME"] == shell["HOME"]


@pytest.fixture(params=PYTHONS, ids=lambda each: each.minor)
def shadow(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Python, Path]:
    """A second library of the same minor version, with a module that tells them apart."""
    python: Python = request.param
    copy = tmp_path / "other" / "lib" / python.library.name
    copy.mkdir(parents=True)
    for entry in python.library.iterdir():
        (copy / entry.name).symlink_to(entry)
    (copy / "marker_module.py").write_text("")
    return python, copy


SHADOWED = "import json, importlib.util as u; print(json.__file__, u.find_spec('marker_module'))"


def test_a_library_of_the_same_minor_version_shadows_silently(
    shadow: tuple[Python, Path], shell: dict[str, str]
) -> None:
    python, copy = shadow
    broken = {**shell, "PYTHONPATH": str(copy)}
    done = start([python.path, "-c", SHADOWED], broken)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(str(copy)) >= 2  # no error at all, and everything is the copy's
    done = run_in(python, broken, "python", "-c", SHADOWED)
    assert (done.stdout, done.stderr) == (f"{python.library}/json/__init__.py None\n", "")


def test_two_real_pythons_of_the_same_minor_version(shell: dict[str, str]) -> None:
    found = [Python.at(each.path, each.minor) for each in find_interpreters()]
    twins = [(a, b) for a, b in permutations(found, 2) if a.minor == b.minor]
    if not twins:
        pytest.skip("no two Pythons of one minor version on this machine")
    for theirs, ours in twins:
        broken = set_up_for(theirs, shell)
        program = "import json; print(json.__file__)"
        assert str(theirs.library) in start([ours.path, "-c", program], broken).stdout
        done = run_in(ours, broken, "python", "-c", program)
        assert done.stdout == f"{ours.library}/json/__init__.py\n"


# What a program must not notice.


@pytest.fixture(scope="module")
def python() -> Python:
    """Any Python but the one that isthmus itself runs in."""
    return PYTHONS[0]


@pytest.mark.parametrize("status", [0, 1, 3, 255])
def test_exit_status(python: Python, shell: dict[str, str], status: int) -> None:
    done = run_in(python, shell, "python", "-c", f"raise SystemExit({status})")
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL", "SIGSEGV", "SIGPIPE"])
def test_death_by_signal(python: Python, shell: dict[str, str], name: str) -> None:
    done = run_in(python, shell, "sh", "-c", f"kill -{name[3:]} $$")
    assert done.returncode == -signal.Signals[name]


def test_input_output_arguments_and_descriptors(python: Python, shell: dict[str, str]) -> None:
    program = (
        "import os, sys; data = sys.stdin.buffer.read(); sys.stdout.buffer.write(data[::-1]);"
        "print(sys.argv[1:], os.read(int(sys.argv[1]), 9), sorted(os.listdir('/proc/self/fd')),"
        "file=sys.stderr)"
    )
    reader, writer = os.pipe()
    os.write(writer, b"inherited")
    os.close(writer)
    data = bytes(range(256)) * 1000
    try:
        done = subprocess.run(
            [ISTHMUS, "run", "--python", python.path, "--", "python", "-c", program]
            + [str(reader), "", "a b", "--", "-x", "\udcff"],
            input=data,
            env=shell,
            pass_fds=[reader],
            capture_output=True,
            check=False,
        )
    finally:
        os.close(reader)
    assert done.stdout == data[::-1]
    listed = sorted(["0", "1", "2", str(reader)])
    said = done.stderr.decode()
    assert f"['{reader}', '', 'a b', '--', '-x', '\\udcff'] b'inherited'" in said
    # One more is open while the folder is listed.
    assert len(set(re.findall(r"'(\d+)'", said.rsplit("[", 1)[1])) - set(listed)) == 1


@pytest.mark.parametrize("trap", ["", "trap '' INT HUP; "])
def test_dispositions_of_signals(python: Python, shell: dict[str, str], trap: str) -> None:
    """What the caller ignores (nohup, &) stays ignored; what our Python ignores does not."""
    look = ["grep", "SigIgn\\|SigBlk", "/proc/self/status"]
    command = f'{trap}exec "$@"'
    by_hand = start(["sh", "-c", command, "sh", *look], shell)
    by_us = start(
        ["sh", "-c", command, "sh", ISTHMUS, "run", "--python", python.path, "--", *look], shell
    )
    assert by_us.stdout == by_hand.stdout != ""


def test_a_reader_that_leaves_ends_the_program(python: Python, shell: dict[str, str]) -> None:
    process = subprocess.Popen(
        [ISTHMUS, "run", "--python", python.path, "--", "yes"],
        env=shell,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"y\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(HOPELESS) == -signal.SIGPIPE


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_stay_closed(python: Python, shell: dict[str, str], closed: str) -> None:
    command = f'exec "$@" {closed}'
    program = ["sh", "-c", "exit 5"]
    run = [ISTHMUS, "run", "--python", python.path, "--", *program]
    done = start(["sh", "-c", command, "sh", *run], shell)
    assert (done.returncode, done.stdout, done.stderr) == (5, "", "")


# Written past the streams: the signal may come while one of them is still being flushed.
READY = """
import os, signal, sys
def handle(number, frame):
    os.write(1, (signal.Signals(number).name + "\\n").encode())
    os._exit(7)
signal.signal(signal.SIGINT, handle)
signal.signal(signal.SIGTERM, handle)
os.write(1, b"ready\\n")
while True:
    signal.pause()
"""


@pytest.fixture
def waiting(python: Python, shell: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A program that says "ready" and waits for signals."""
    with subprocess.Popen(
        [ISTHMUS, "run", "--python", str(python.path), "--", "python", "-c", READY],
        env=shell,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


@pytest.mark.parametrize(
    ("sent", "status", "said"),
    [("SIGINT", 7, "SIGINT\n"), ("SIGTERM", 7, "SIGTERM\n"), ("SIGKILL", -9, "")],
)
def test_signals_are_the_programs(
    waiting: subprocess.Popen[str], sent: str, status: int, said: str
) -> None:
    waiting.send_signal(signal.Signals[sent])
    assert waiting.wait(HOPELESS) == status
    assert waiting.stdout is not None
    assert waiting.stdout.read() == said


# Makes its standard input the terminal of a new session, as a terminal emulator does.
ON_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_a_terminal_is_the_programs(python: Python, shell: dict[str, str]) -> None:
    """It is a terminal, the same one, and Ctrl-C there reaches the program."""
    program = (
        "import os; print([os.isatty(fd) for fd in range(3)], os.ttyname(0), "
        f"os.tcgetpgrp(0) == os.getpgrp(), input('name? '), flush=True)\n{READY}"
    )
    command = [ISTHMUS, "run", "--python", python.path, "--", "python", "-c", program]
    terminal, end = os.openpty()
    try:
        name = os.ttyname(end)
        with subprocess.Popen(
            [sys.executable, "-c", ON_TERMINAL, *map(str, command)],
            env={**shell, "TERM": "dumb"},
            stdin=end,
            stdout=end,
            stderr=end,
        ) as process:
            os.close(end)
            read_until(terminal, b"name? ")
            os.write(terminal, b"ada\n")
            said = read_until(terminal, b"ready")
            assert f"[True, True, True] {name} True ada".encode() in said
            os.write(terminal, b"\x03")
            read_until(terminal, b"SIGINT")
            assert process.wait(HOPELESS) == 7
    finally:
        os.close(terminal)


def read_until(terminal: int, expected: bytes) -> bytes:
    said = b""
    while expected not in said:
        ready, _, _ = select.select([terminal], [], [], HOPELESS)
        assert ready, said
        try:
            said += os.read(terminal, 4096)
        except OSError as error:
            raise AssertionError(said) from error
    return said


def test_many_first_starts_at_once(python: Python, shell: dict[str, str], tmp_path: Path) -> None:
    environ = {**shell, "XDG_CACHE_HOME": str(tmp_path / "new")}
    program = "import isthmus, subprocess; subprocess.run(['python3', '-c', 'import isthmus'])"
    command = [ISTHMUS, "run", "--python", str(python.path), "--", "python", "-c", program]
    started = [
        subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) for _ in range(6)
    ]
    said = [process.communicate(timeout=HOPELESS)[1] for process in started]
    assert [(process.returncode, text) for process, text in zip(started, said, strict=True)] == [
        (0, "")
    ] * 6
    left = [path for path in (tmp_path / "new").rglob(".*") if path.name != ".gitignore"]
    assert left == []


def test_a_second_start_examines_nothing(
    python: Python, shell: dict[str, str], tmp_path: Path
) -> None:
    hook = tmp_path / "hook"
    hook.mkdir()
    text = "import os\nwith open(os.environ['STARTS'], 'a') as file: file.write('x\\n')\n"
    (hook / "sitecustomize.py").write_text(text)
    (tmp_path / "isthmus.toml").write_text(
        f'[runtime.sim]\npython = "{python.path}"\npythonpath = ["hook"]\nmust_import = ["json"]\n'
    )
    starts = tmp_path / "starts"
    counts = []
    for _ in range(3):
        command = [ISTHMUS, "run", "sim", "--", "python", "-c", "pass"]
        done = start(command, {**shell, "STARTS": str(starts)}, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        counts.append(len(starts.read_text().splitlines()))
    assert counts == [2, 3, 4]


def test_nothing_is_written_into_the_childs_environment(
    oldest_python: Environment, shell: dict[str, str]
) -> None:
    def contents() -> dict[str, tuple[int, int]]:
        found = {
            path: path.lstat() for path in folder.rglob("*") if "__pycache__" not in path.parts
        }
        return {
            str(path): (stat.st_size, stat.st_mtime_ns)
            for path, stat in found.items()
            if not path.is_dir()
        }

    folder = oldest_python.python.parent.parent
    before = contents()
    program = "import numpy, isthmus; print(numpy.__version__)"
    done = run_in(oldest_python.python, shell, "python", "-c", program)
    assert done.returncode == 0, done.stderr
    assert contents() == before


# A simulator that comes with its own Python, and a shell that is set up for something else.


@pytest.fixture(scope="module")
def isaac(tmp_path_factory: pytest.TempPathFactory) -> FakeIsaac:
    return build_fake_isaac(tmp_path_factory.mktemp("isaac") / "isaac-sim")


@pytest.fixture
def poisoned(isaac: FakeIsaac, shell: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Conda active, another Python's library, a PYTHONHOME, a user site with a trap in it."""
    theirs = next(each for each in reversed(PYTHONS) if each.minor != isaac.minor)
    conda = tmp_path / "conda" / "envs" / "train"
    (conda / "conda-meta").mkdir(parents=True)
    (conda / "bin").mkdir()
    trap = conda / "bin" / "python3"
    trap.write_text("#!/bin/sh\necho the wrong python\nexit 99\n")
    trap.chmod(0o755)
    site = tmp_path / "home" / ".local" / "lib" / f"python{isaac.minor}" / "site-packages"
    site.mkdir(parents=True)
    (site / "users_own.py").write_text("")
    broken = set_up_for(theirs, shell)
    return {
        **broken,
        "HOME": str(tmp_path / "home"),
        "PATH": f"{conda / 'bin'}:{broken['PATH']}",
        "CONDA_PREFIX": str(conda),
        "PYTHONHOME": str(theirs.prefix),
        "PYTHONEXE": str(theirs.path),
        "LD_PRELOAD": "/nowhere/libother.so",
        "ISAAC_PATH": "/stale/isaac",
    }


INSIDE = """
import importlib.util, json, os, sys
import isaacsim, omni, pxr, carb, prebundled, isthmus
print(json.dumps({
    "version": "{}.{}".format(*sys.version_info[:2]),
    "prefix": sys.prefix,
    "preload": os.environ["LD_PRELOAD"],
    "carb": os.environ["CARB_APP_PATH"],
    "pythonpath": os.environ["PYTHONPATH"].split(":"),
    "users_own": importlib.util.find_spec("users_own") is not None,
    "conda": os.environ.get("CONDA_PREFIX"),
    "isthmus": isthmus.__file__,
}))
sys.exit(3)
"""


def test_a_program_of_the_simulator(
    isaac: FakeIsaac, poisoned: dict[str, str], shell: dict[str, str], tmp_path: Path
) -> None:
    program = tmp_path / "tool.py"
    program.write_text(INSIDE)
    done = run_in(isaac.root, poisoned, "python", program)
    assert done.returncode == 3, done.stderr
    assert "wrong python" not in done.stdout
    said = json.loads(done.stdout)
    assert said["version"] == isaac.minor
    assert said["prefix"] == str(isaac.python.parent.parent)
    assert said["preload"] == str(isaac.home / "kit" / "libcarb.so")
    assert said["carb"] == str(isaac.home / "kit")
    ours, *theirs = said["pythonpath"]
    assert said["isthmus"].startswith(ours)
    library = isaac.python.parent.parent / "lib" / f"python{isaac.minor}"  # it has that anyway
    assert theirs == [str(folder) for folder in isaac.pythonpath if folder != library]
    assert said["users_own"] is False
    assert said["conda"] is None


def test_what_python_sh_does_without_us(
    isaac: FakeIsaac, poisoned: dict[str, str], tmp_path: Path
) -> None:
    """Why the program above is not started by it: any failure is 1, and the user site is open."""
    clean = {"HOME": poisoned["HOME"], "PATH": os.defpath}
    done = start([isaac.python_sh, "-c", "import users_own; raise SystemExit(3)"], clean)
    assert done.returncode == 1
    assert "There was an error running python" in done.stdout
    broken = {name: value for name, value in poisoned.items() if name != "PYTHONEXE"}
    done = start([isaac.python_sh, "-c", IMPORTS], broken)
    assert done.returncode == 1


def test_a_simulators_program_dies_by_its_own_signal(
    isaac: FakeIsaac, poisoned: dict[str, str]
) -> None:
    program = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    done = run_in(isaac.root, poisoned, "python", "-c", program)
    assert done.returncode == -signal.SIGSEGV
    assert start([isaac.python_sh, "-c", program], {"PATH": os.defpath}).returncode == 1


def test_the_simulators_program_starts_the_policys(
    isaac: FakeIsaac, poisoned: dict[str, str], tmp_path: Path
) -> None:
    """A grandchild in the other Python is whole, started plainly or by `isthmus run`."""
    other = next(each for each in PYTHONS if each.minor != isaac.minor)
    policy = f"{IMPORTS}, sys; print(*sys.version_info[:2], sep='.')"
    sim = (
        "import subprocess, sys\n"
        f"plain = subprocess.run([{str(other.path)!r}, '-c', {policy!r}], capture_output=True)\n"
        "print(plain.returncode, flush=True)\n"
        f"run = ['isthmus', 'run', '--python', {str(other.path)!r}, '--', 'python', '-c']\n"
        f"sys.exit(subprocess.run([*run, {policy!r}]).returncode)\n"
    )
    done = run_in(isaac.root, poisoned, "python", "-c", sim)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"0\n{other.minor}\n"


def test_isthmus_itself_starts_in_every_python(other_python: Environment, tmp_path: Path) -> None:
    """`isthmus` of an environment, in a shell that is set up for another Python."""
    bin_folder = tmp_path / "environment" / "bin"
    bin_folder.mkdir(parents=True)
    (bin_folder / "isthmus").write_bytes(ISTHMUS.read_bytes())
    (bin_folder / "isthmus").chmod(0o755)
    (bin_folder / "python3").write_text(f'#!/bin/sh\nexec {other_python.python} "$@"\n')
    (bin_folder / "python3").chmod(0o755)
    theirs = next(each for each in PYTHONS if each.minor != other_python.minor)
    broken = {**set_up_for(theirs, {"PATH": os.defpath}), "PYTHONHOME": str(theirs.prefix)}
    done = start([bin_folder / "isthmus", "--version"], broken)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("isthmus ")
