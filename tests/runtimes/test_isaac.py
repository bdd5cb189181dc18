"""What `python.sh` would start: asked once, kept while nothing changes, explained when it fails.

Against a fake installation (see its docstring): this shows that the layout is understood, not that
Kit starts.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes import Environment, isaac
from isthmus.runtimes.isaac import IsaacPython, ask_isaac, find_python_sh

from ..support.fake_isaac import FakeIsaac, fake_isaac, make_fake_isaac
from ..support.pythons import executable

__all__ = ["fake_isaac", "make_fake_isaac"]  # fixtures

MakeIsaac = Callable[..., FakeIsaac]


class Asker:
    """Asks with a clean environment and counts how often a script was really run."""

    def __init__(self, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.environ = {"PATH": "/usr/bin:/bin", "HOME": "/root"}
        self.kept = kept
        self.runs = 0
        real = isaac.ask

        def counted(*arguments: object) -> object:
            self.runs += 1
            return real(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(isaac, "ask", counted)

    def ask(self, there: FakeIsaac) -> IsaacPython:
        return ask_isaac(there.python_sh, self.environ, self.kept)

    def refusal(self, there: FakeIsaac) -> str:
        with pytest.raises(EnvironmentSetupError) as raised:
            self.ask(there)
        return str(raised.value)


@pytest.fixture
def asker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asker:
    return Asker(tmp_path / "probes", monkeypatch)


def run(
    there: IsaacPython, environ: Mapping[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [there.python, *arguments],
        env={**environ, **there.environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def is_running(pid: str) -> bool:
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
            != "Z"
        )
    except (FileNotFoundError, ProcessLookupError):
        return False


class TestTheFake:
    """What is said of the fake elsewhere is true of it."""

    def test_its_script_turns_every_failure_into_one(self, fake_isaac: FakeIsaac) -> None:
        program = "import isaacsim, omni.kit, carb, pxr, prebundled, sys; sys.exit(7)"
        done = subprocess.run(
            [fake_isaac.python_sh, "-c", program], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (1, "")
        assert done.stdout == "There was an error running python\n"

    def test_its_variables_break_every_other_python(
        self, make_fake_isaac: MakeIsaac, other_python: Environment
    ) -> None:
        there = make_fake_isaac()
        done = subprocess.run(
            [other_python.python, "-c", "import re; print(re.__file__)"],
            env=there.polluted({"PATH": "/usr/bin:/bin"}),
            capture_output=True,
            text=True,
            check=False,
        )
        if other_python.minor == there.minor:
            assert done.stdout.startswith(str(there.stdlib))  # no error, and the wrong one
        else:
            assert "SRE module mismatch" in done.stderr

    def test_its_python_is_one_of_its_own(self, fake_isaac: FakeIsaac) -> None:
        program = "import sys, os; print(sys.prefix); print(os.__file__)"
        printed = subprocess.check_output([fake_isaac.python, "-I", "-c", program], text=True)
        prefix, library = printed.split()
        assert Path(prefix) == fake_isaac.home / "kit" / "python"
        assert Path(library).parent == fake_isaac.stdlib


class TestAsking:
    def test_the_interpreter_itself_and_what_the_script_adds(
        self, asker: Asker, fake_isaac: FakeIsaac
    ) -> None:
        there = asker.ask(fake_isaac)
        assert there.python == fake_isaac.python
        assert set(there.environ) == {
            *("CARB_APP_PATH", "ISAAC_PATH", "EXP_PATH", "RESOURCE_NAME", "LD_PRELOAD"),
            *("PYTHONPATH", "LD_LIBRARY_PATH"),
        }
        # Without the empty element, which would be whatever folder the user is in; and without
        # the standard library, which the interpreter has anyway.
        assert there.environ["PYTHONPATH"].split(":") == [
            str(each) for each in fake_isaac.pythonpath if each != fake_isaac.stdlib
        ]

    def test_started_so_it_is_what_the_script_starts_and_its_status_is_its_own(
        self, asker: Asker, fake_isaac: FakeIsaac
    ) -> None:
        there = asker.ask(fake_isaac)
        program = "import isaacsim, omni.kit, carb, pxr, prebundled, sys; sys.exit(7)"
        done = run(there, asker.environ, "-c", program)
        assert (done.returncode, done.stdout, done.stderr) == (7, "", "")
        killed = run(there, asker.environ, "-c", "import os; os.kill(os.getpid(), 9)")
        assert killed.returncode == -9

    @pytest.mark.parametrize("version", ["4.5", "5.1", "6.0"])
    def test_another_python_that_a_program_starts_keeps_its_own_library(
        self, asker: Asker, make_fake_isaac: MakeIsaac, other_python: Environment, version: str
    ) -> None:
        there = asker.ask(make_fake_isaac(version=version))
        inner = "import re, json, sysconfig; print(re.__file__)"
        program = f"import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:] + [{inner!r}]))"
        done = run(there, asker.environ, "-c", program, str(other_python.python), "-c")
        assert (done.returncode, done.stderr) == (0, "")
        # A virtual environment's standard library is that of the Python it was made from.
        assert Path(done.stdout).is_relative_to(other_python.base.parent.parent)

    def test_what_the_user_installed_goes_before_what_the_simulator_brings(
        self, asker: Asker, fake_isaac: FakeIsaac
    ) -> None:
        own = fake_isaac.stdlib / "site-packages"
        (own / "prebundled.py").write_text("WHERE = __file__\n", encoding="utf-8")
        done = run(asker.ask(fake_isaac), asker.environ, "-c", "import prebundled as p; print(p)")
        assert str(own) in done.stdout

    def test_its_packages_are_left_out_where_that_makes_no_difference(
        self, asker: Asker, fake_isaac: FakeIsaac
    ) -> None:
        own = fake_isaac.stdlib / "site-packages"
        setup = fake_isaac.home / "setup_python_env.sh"
        setup.write_text(f"export PYTHONPATH=/mine:{fake_isaac.stdlib}:{own}\n", encoding="utf-8")
        there = asker.ask(fake_isaac)
        assert there.environ["PYTHONPATH"] == "/mine"
        (own / "installed.py").write_text("", encoding="utf-8")
        assert run(there, asker.environ, "-c", "import installed").returncode == 0

    def test_what_the_script_leaves_running_is_not_waited_for(
        self, asker: Asker, fake_isaac: FakeIsaac, tmp_path: Path
    ) -> None:
        fifo = tmp_path / "alive"
        os.mkfifo(fifo)
        script = fake_isaac.python_sh.read_text(encoding="utf-8")
        left = f"(exec 3<>{fifo}; echo >&3; exec sleep 600) &\nread line < {fifo}\n"
        executable(fake_isaac.python_sh, script.replace("set -e\n", f"set -e\n{left}"))
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        try:
            assert asker.ask(fake_isaac).python == fake_isaac.python
            os.set_blocking(reader, True)
            assert os.read(reader, 1) == b""  # and it is gone
        finally:
            os.close(reader)

    @pytest.mark.parametrize("version", ["4.5", "5.1", "6.0"])
    def test_what_the_user_preloads_stays_where_the_script_lets_it(
        self, asker: Asker, make_fake_isaac: MakeIsaac, version: str
    ) -> None:
        there = make_fake_isaac(version=version)
        carb = str(there.home / "kit" / "libcarb.so")
        asker.environ["LD_PRELOAD"] = carb
        added = asker.ask(there).environ.get("LD_PRELOAD")
        # 6.0 keeps what was there; before, it is the same as what was given, so nothing is added.
        assert added == (f"{carb}:{carb}" if version == "6.0" else None)

    def test_paths_the_user_has_stay_first(self, asker: Asker, fake_isaac: FakeIsaac) -> None:
        asker.environ["LD_LIBRARY_PATH"] = "/usr/local/cuda/lib64"
        libraries = asker.ask(fake_isaac).environ["LD_LIBRARY_PATH"].split(":")
        assert libraries[0] == "/usr/local/cuda/lib64"
        assert str(fake_isaac.home / "kit") in libraries

    def test_what_the_script_prints_besides_is_not_the_answer(
        self, asker: Asker, fake_isaac: FakeIsaac
    ) -> None:
        script = fake_isaac.python_sh.read_text(encoding="utf-8")
        noise = 'echo "vulkan: <isthmus-answer>"; echo "$@"; echo warning >&2; set -x\n'
        executable(fake_isaac.python_sh, script.replace("set -e\n", f"set -e\n{noise}"))
        assert asker.ask(fake_isaac).python == fake_isaac.python

    def test_a_value_of_any_shape(self, asker: Asker, fake_isaac: FakeIsaac) -> None:
        setup = fake_isaac.home / "setup_python_env.sh"
        with setup.open("a", encoding="utf-8") as file:
            file.write("export ODD=$'two\\nlines </isthmus-answer> \"and\" \\\\ ünïcode'\n")
        there = asker.ask(fake_isaac)
        assert there.environ["ODD"] == 'two\nlines </isthmus-answer> "and" \\ ünïcode'
        assert asker.ask(fake_isaac) == there

    def test_pythonexe_is_honoured(
        self, asker: Asker, fake_isaac: FakeIsaac, newest_python: Environment
    ) -> None:
        asker.environ["PYTHONEXE"] = str(newest_python.python)
        fake_isaac.python.unlink()
        assert asker.ask(fake_isaac).python == newest_python.python


class TestKeeping:
    def test_asked_once(self, asker: Asker, fake_isaac: FakeIsaac) -> None:
        first = asker.ask(fake_isaac)
        assert asker.ask(fake_isaac) == first
        assert asker.runs == 1

    @pytest.mark.parametrize("what", ["script", "setup", "interpreter", "variable"])
    def test_asked_again_when_something_changed(
        self, asker: Asker, fake_isaac: FakeIsaac, what: str
    ) -> None:
        asker.ask(fake_isaac)
        if what == "interpreter":
            facts = fake_isaac.python.stat()
            os.utime(fake_isaac.python, ns=(facts.st_atime_ns, facts.st_mtime_ns + 10**9))
        elif what == "variable":
            asker.environ["LD_LIBRARY_PATH"] = "/opt/mine"
        else:
            name = {"script": "python.sh", "setup": "setup_python_env.sh"}[what]
            script = fake_isaac.home / name
            executable(script, script.read_text(encoding="utf-8") + "# changed\n")
        asker.ask(fake_isaac)
        assert asker.runs == 2

    @pytest.mark.parametrize(
        "line",
        [
            'source "$here/more/ros.sh"',
            "if true; then . ${here}/more/ros.sh; fi",
            'source "$(dirname "${BASH_SOURCE[0]}")/more/ros.sh"',
            "source {root}/more/ros.sh",
            'eval "sour""ce $here/"beside.sh',
        ],
    )
    def test_asked_again_when_a_script_that_is_sourced_changed(
        self, asker: Asker, fake_isaac: FakeIsaac, line: str
    ) -> None:
        name = "beside.sh" if "beside" in line else "more/ros.sh"
        sourced = fake_isaac.add_module(name, "export COUNT=1\n")
        with (fake_isaac.home / "setup_python_env.sh").open("a", encoding="utf-8") as file:
            file.write(line.replace("{root}", str(fake_isaac.home)) + "\n")
        assert asker.ask(fake_isaac).environ["COUNT"] == "1"
        sourced.write_text("export COUNT=${ELSEWHERE:-22}\n", encoding="utf-8")
        assert asker.ask(fake_isaac).environ["COUNT"] == "22"
        if name == "more/ros.sh":
            asker.environ["ELSEWHERE"] = "333"
            assert asker.ask(fake_isaac).environ["COUNT"] == "333"

    def test_variables_the_scripts_do_not_read_change_nothing(
        self, asker: Asker, fake_isaac: FakeIsaac
    ) -> None:
        asker.ask(fake_isaac)
        asker.environ["TERM_SESSION"] = "another"
        assert "TERM_SESSION" not in asker.ask(fake_isaac).environ
        assert asker.runs == 1

    @pytest.mark.parametrize("damage", ["", "{", "[1]", "{}"])
    def test_a_damaged_memory_is_made_again(
        self, asker: Asker, fake_isaac: FakeIsaac, damage: str
    ) -> None:
        first = asker.ask(fake_isaac)
        (kept,) = asker.kept.iterdir()
        kept.write_text(damage, encoding="utf-8")
        assert asker.ask(fake_isaac) == first
        assert asker.runs == 2

    def test_two_installations_are_two(self, asker: Asker, make_fake_isaac: MakeIsaac) -> None:
        one, two = make_fake_isaac(), make_fake_isaac()
        assert asker.ask(one).python == one.python
        assert asker.ask(two).python == two.python
        assert asker.ask(one).python == one.python
        assert asker.runs == 2


class TestFailing:
    def broken(self, there: FakeIsaac, program: str) -> None:
        there.python.unlink()
        executable(there.python, f"#!/bin/sh\n{program}\n")

    @pytest.mark.parametrize(
        ("program", "really"),
        [
            ("echo 'error while loading libpython3.11.so' >&2; exit 127", "status 127"),
            ("exit 3", "status 3"),
            ("kill -SEGV $$", "signal 11 (SIGSEGV)"),
        ],
    )
    def test_the_real_status_and_the_real_words(
        self, asker: Asker, fake_isaac: FakeIsaac, program: str, really: str
    ) -> None:
        self.broken(fake_isaac, program)
        refusal = asker.refusal(fake_isaac)
        assert f"{fake_isaac.python} ends with {really}" in refusal
        assert str(fake_isaac.python_sh) in refusal
        assert ("libpython3.11.so" in refusal) == ("libpython" in program)

    def test_an_incomplete_installation(self, asker: Asker, fake_isaac: FakeIsaac) -> None:
        fake_isaac.python.unlink()
        assert "is not there: the installation is not complete" in asker.refusal(fake_isaac)
        fake_isaac.python.symlink_to("python3.99")
        assert re.search("leads to python3.99.* not complete", asker.refusal(fake_isaac))

    def test_a_script_that_is_wrong_itself(self, asker: Asker, fake_isaac: FakeIsaac) -> None:
        (fake_isaac.home / "setup_python_env.sh").unlink()
        refusal = asker.refusal(fake_isaac)
        assert "by itself" in refusal and "it is the script" in refusal
        assert "setup_python_env.sh" in refusal.splitlines()[-1]

    def test_a_folder_with_a_space(
        self, asker: Asker, fake_isaac: FakeIsaac, tmp_path: Path
    ) -> None:
        (tmp_path / "my isaac").symlink_to(fake_isaac.root)
        with pytest.raises(EnvironmentSetupError, match="with a space in its name; move it"):
            ask_isaac(tmp_path / "my isaac" / "python.sh", asker.environ, asker.kept)

    def test_a_script_that_may_not_be_started(self, asker: Asker, fake_isaac: FakeIsaac) -> None:
        fake_isaac.python_sh.chmod(0o644)
        assert f"chmod +x {fake_isaac.python_sh}" in asker.refusal(fake_isaac)

    def test_a_script_that_hangs_is_ended_with_all_it_started(
        self, asker: Asker, fake_isaac: FakeIsaac, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        pids = tmp_path / "pids"
        self.broken(fake_isaac, f"echo $$ >> '{pids}'; exec sleep 1000")
        timeout = 0.2
        while not pids.exists():  # until it got as far as to hang
            timeout *= 2
            monkeypatch.setattr(isaac, "_TIMEOUT", timeout)
            assert "did not start its Python in" in asker.refusal(fake_isaac)
        assert [pid for pid in pids.read_text(encoding="utf-8").split() if is_running(pid)] == []

    def test_nothing_is_kept_of_a_failure(self, asker: Asker, fake_isaac: FakeIsaac) -> None:
        working = fake_isaac.python.readlink()
        fake_isaac.python.unlink()
        asker.refusal(fake_isaac)
        fake_isaac.python.symlink_to(working)
        assert asker.ask(fake_isaac).python == fake_isaac.python


def test_where_the_script_is_found(fake_isaac: FakeIsaac, tmp_path: Path) -> None:
    assert find_python_sh(fake_isaac.root) == fake_isaac.python_sh
    assert find_python_sh(fake_isaac.python_sh) == fake_isaac.python_sh
    assert find_python_sh(fake_isaac.python) is None
    assert find_python_sh(tmp_path / "nowhere") is None
    assert find_python_sh(tmp_path) is None
