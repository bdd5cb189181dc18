"""From what `python` says to one interpreter: each kind, each way not to be there."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes import interpreters
from isthmus.runtimes.locate import KINDS, Located, locate
from isthmus.runtimes.settings import RuntimeSettings
from isthmus.runtimes.state import StateFolder

from ..support.fake_isaac import FakeIsaac, fake_isaac, make_fake_isaac
from ..support.pythons import executable, fake_python, times_asked

__all__ = ["fake_isaac", "make_fake_isaac"]  # fixtures


class Machine:
    """A machine of its own: a home, a PATH, and a project."""

    def __init__(self, root: Path) -> None:
        self.bin = root / "bin"
        self.home = root / "home"
        self.project = root / "project"
        for folder in (self.bin, self.home, self.project):
            folder.mkdir()
        self.state = StateFolder.beside(self.project)
        self.environ = {"PATH": str(self.bin), "HOME": str(self.home)}
        self.said: list[str] = []

    def locate(self, *python: str, build: bool = True, **settings: object) -> Located:
        runtime = RuntimeSettings("sim", python, folder=self.project)
        runtime = replace(runtime, **settings)  # type: ignore[arg-type]
        return locate(runtime, self.state, self.environ, self.said.append, build=build)

    def refusal(self, *python: str, **settings: object) -> str:
        with pytest.raises(EnvironmentSetupError) as raised:
            self.locate(*python, **settings)  # type: ignore[arg-type]
        return str(raised.value)

    def pyenv(self, version: str, **facts: object) -> Path:
        name = f"python{version.rpartition('.')[0]}"
        folder = self.home / ".pyenv" / "versions" / version / "bin"
        return fake_python(folder / name, version, **facts)

    def environment(self, marker: str, name: str = "env") -> Path:
        """Make a folder that looks like an environment around the running Python."""
        folder = self.project / name
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").symlink_to(sys.executable)
        (folder / marker).touch()
        return folder


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    # What else this machine has is not the test's.
    monkeypatch.setattr(interpreters, "_STANDARD_FOLDERS", ())
    monkeypatch.setattr(sys, "executable", os.path.realpath(sys.executable))
    return Machine(tmp_path)


class TestPaths:
    def test_an_executable(self, machine: Machine) -> None:
        python = executable(machine.bin / "mypython", "#!/bin/sh\n")
        located = machine.locate(str(python))
        assert located == Located(python, "executable", "named by its path", {}, machine.bin)

    @pytest.mark.parametrize("text", ["../bin/mypython", "${BIN}/mypython", "~/../bin/mypython"])
    def test_paths_are_the_manifests(self, machine: Machine, text: str) -> None:
        python = executable(machine.bin / "mypython", "#!/bin/sh\n")
        machine.environ["BIN"] = str(machine.bin)
        assert machine.locate(text).python.resolve() == python

    def test_variables_that_a_clean_environment_does_not_have(self, machine: Machine) -> None:
        folder = machine.environment("conda-meta")
        runtime = RuntimeSettings("sim", ("${CONDA_PREFIX}",))
        located = locate(
            runtime,
            machine.state,
            machine.environ,
            machine.said.append,
            variables={"CONDA_PREFIX": str(folder)},
        )
        assert located.kind == "conda"
        assert "CONDA_PREFIX, which is not set" in machine.refusal("${CONDA_PREFIX}")

    def test_a_project_that_may_not_be_written_is_said(self, machine: Machine) -> None:
        machine.state = StateFolder(Path("/proc/isthmus"))
        expected = "[runtime.sim] expected to write into /proc/isthmus, got: "
        assert machine.refusal("3.11").startswith(expected)

    def test_a_name_is_looked_up_on_path(self, machine: Machine) -> None:
        python = executable(machine.bin / "mypython", "#!/bin/sh\n")
        assert machine.locate("mypython").python == python

    def test_the_name_of_a_version_is_that_version(self, machine: Machine) -> None:
        executable(machine.bin / "python3.11", "#!/bin/sh\necho 'not switched on'; exit 127\n")
        python = machine.pyenv("3.11.7")
        assert machine.locate("python3.11").python == python

    @pytest.mark.parametrize(("kind", "marker"), [("venv", "pyvenv.cfg"), ("conda", "conda-meta")])
    def test_an_environment_by_its_folder_or_its_interpreter(
        self, machine: Machine, kind: str, marker: str
    ) -> None:
        folder = machine.environment(marker)
        by_folder, by_file = machine.locate("env"), machine.locate("env/bin/python")
        # The link is how the Python knows where it is: it must not be followed.
        assert by_folder.python == by_file.python == folder / "bin" / "python"
        assert by_folder.kind == by_file.kind == kind
        assert by_folder.prefix_bin == folder / "bin"
        assert str(folder) in by_folder.origin

    def test_an_environment_whose_python_is_gone_is_broken_not_absent(
        self, machine: Machine
    ) -> None:
        python = machine.environment("pyvenv.cfg") / "bin" / "python"
        python.unlink()
        python.symlink_to("/gone/python3.11")
        refusal = machine.refusal("env", str(executable(machine.bin / "other", "")))
        assert "is broken" in refusal and "leads to /gone/python3.11" in refusal

    def test_an_environment_with_a_project_file_is_an_environment(self, machine: Machine) -> None:
        (machine.environment("pyvenv.cfg") / "pyproject.toml").touch()
        assert machine.locate("env").kind == "venv"

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("/no/such/python", "there is no /no/such/python"),
            ("nosuchprogram", "there is no "),
            ("${NOT_SET}/python", "variable NOT_SET, which is not set"),
            ("", "it is empty"),
            ("plain.txt", "no executable file"),
            ("dangling", "leads to /gone, which is not there"),
            ("empty", "holds none of python.sh, pyvenv.cfg, conda-meta, pyproject.toml"),
            ("outer", "name "),
            ("checkout", "not built yet: run its build.sh"),
        ],
    )
    def test_what_is_not_there_and_why(self, machine: Machine, text: str, why: str) -> None:
        (machine.project / "plain.txt").touch()
        (machine.project / "dangling").symlink_to("/gone")
        (machine.project / "empty").mkdir()
        machine.environment("pyvenv.cfg", "outer/.venv")
        (machine.project / "checkout" / "source").mkdir(parents=True)
        (machine.project / "checkout" / "build.sh").touch()
        refusal = machine.refusal(text)
        assert refusal.startswith(f'[runtime.sim] python = "{text}": ')
        assert why in refusal


class TestWords:
    """What is neither a range nor a path that leads anywhere."""

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("py3.12", 'did you mean "3.12"?'),
            ("python-3.11", 'did you mean "3.11"?'),
            ("latest", "expected a version range such as 3.12"),
            ("conda:sim", "named by its folder"),
        ],
    )
    def test_what_is_taken_is_said(self, machine: Machine, text: str, says: str) -> None:
        said = machine.refusal(text, where="isthmus.toml:7")
        assert said.startswith(f'isthmus.toml:7: [runtime.sim] python = "{text}": there is no ')
        assert says in said

    def test_an_option_is_called_by_its_name(self, machine: Machine) -> None:
        assert (
            machine.refusal("/nosuch", where="--python")
            == '--python "/nosuch": there is no /nosuch'
        )

    def test_a_broken_environment_says_whose_it_is(self, machine: Machine) -> None:
        folder = machine.environment("pyvenv.cfg")
        (folder / "bin" / "python").unlink()
        said = machine.refusal("env", where="isthmus.toml:7")
        assert said.startswith("isthmus.toml:7: [runtime.sim] the virtual environment")

    def test_a_missing_file_of_requirements_says_whose_it_is(self, machine: Machine) -> None:
        machine.pyenv("3.11.7")
        file = machine.project / "no.txt"
        said = machine.refusal("3.11", requirements=file, where="isthmus.toml:7")
        assert said.startswith("isthmus.toml:7: [runtime.sim] requirements: cannot read ")


class TestAlternatives:
    def test_the_first_that_is_there(self, machine: Machine) -> None:
        machine.environment("pyvenv.cfg")
        machine.pyenv("3.11.7")
        assert machine.locate("/nowhere", "${NOT_SET}", "env", "3.11").kind == "venv"
        assert machine.locate("/nowhere", "3.11", "env").kind == "found"

    def test_none_is_there_each_with_its_reason(self, machine: Machine) -> None:
        machine.pyenv("3.12.1")
        lines = machine.refusal("/nowhere", "3.11", "${NOT_SET}").splitlines()
        assert lines[0] == "[runtime.sim] python: none of the 3 is there:"
        assert lines[1] == '  "/nowhere": there is no /nowhere'
        assert "3.12.1 (pyenv)" in lines[2] and "uv python install 3.11" in lines[2]
        assert "NOT_SET" in lines[3]

    def test_none_named_is_any(self, machine: Machine) -> None:
        newest = machine.pyenv("3.99.1")
        assert machine.locate().python == newest


class TestIsaac:
    @pytest.fixture(autouse=True)
    def programs(self, machine: Machine) -> None:
        """Its script needs those of the system."""
        machine.environ["PATH"] += ":/usr/bin:/bin"

    def test_its_folder_or_its_script(self, machine: Machine, fake_isaac: FakeIsaac) -> None:
        for text in (str(fake_isaac.root), str(fake_isaac.python_sh)):
            located = machine.locate(text)
            assert located.kind == "isaac"
            assert located.python == fake_isaac.python
            assert located.prefix_bin == fake_isaac.python.parent
            assert located.environ["ISAAC_PATH"] == str(fake_isaac.home)

    def test_a_source_build_by_its_checkout(
        self, machine: Machine, make_fake_isaac: Callable[..., FakeIsaac]
    ) -> None:
        built = make_fake_isaac(layout="source")
        assert machine.locate(str(built.root)).python == built.python

    def test_an_isaac_lab_checkout_by_its_link(
        self, machine: Machine, fake_isaac: FakeIsaac
    ) -> None:
        (machine.project / "_isaac_sim").symlink_to(fake_isaac.root)
        (machine.project / "pyproject.toml").touch()
        assert machine.locate(".").kind == "isaac"

    def test_one_that_is_broken_is_not_passed_over(
        self, machine: Machine, fake_isaac: FakeIsaac
    ) -> None:
        fake_isaac.python.unlink()
        machine.pyenv("3.11.7")
        assert "installation is not complete" in machine.refusal(str(fake_isaac.root), "3.11")


class TestRanges:
    def test_the_newest_that_fits(self, machine: Machine) -> None:
        for version in ("3.10.13", "3.11.2", "3.11.10", "3.12.1"):
            machine.pyenv(version)
        located = machine.locate(">=3.10,<3.12")
        assert located.python.parent.parent.name == "3.11.10"
        assert located.kind == "found"
        assert located.origin == 'range ">=3.10,<3.12", found by pyenv'

    def test_what_the_runtime_requires_counts_too(self, machine: Machine) -> None:
        for version in ("3.10.13", "3.11.2", "3.12.1"):
            machine.pyenv(version)
        located = machine.locate(">=3.10", requires_python="<3.12")
        assert located.python.parent.parent.name == "3.11.2"

    def test_it_is_said_when_requires_python_excludes_what_is_there(self, machine: Machine) -> None:
        machine.pyenv("3.11.7")
        said = machine.refusal("3.11", requires_python=">=3.12")
        assert 'requires-python = ">=3.12" excludes CPython 3.11.7' in said
        assert said.endswith("change one of the two")
        said = machine.refusal("3.11", requires_python=">=3.11.9")
        assert "excludes CPython 3.11.7" in said and "uv python install 3.11" in said

    def test_a_free_threaded_build_only_where_there_is_no_other(self, machine: Machine) -> None:
        machine.pyenv("3.98.1")
        machine.pyenv("3.98.2", soabi="cpython-398t-x86_64-linux-gnu")
        machine.pyenv("3.99.2", soabi="cpython-399t-x86_64-linux-gnu")
        assert machine.locate("3.98").python.parent.parent.name == "3.98.1"
        assert machine.locate("3.99").python.parent.parent.name == "3.99.2"

    def test_a_second_look_runs_nothing(self, machine: Machine) -> None:
        pythons = [machine.pyenv(version) for version in ("3.10.13", "3.98.2")]
        first = machine.locate("3.98")
        assert [times_asked(each) for each in pythons] == [1, 1]
        assert machine.locate("3.98") == first
        assert machine.locate("3.10").python == pythons[0]
        assert [times_asked(each) for each in pythons] == [1, 1]

    def test_another_file_under_the_name_is_asked_again(self, machine: Machine) -> None:
        python = machine.pyenv("3.98.2")
        machine.locate("3.98")
        fake_python(python, "3.98.10")
        assert machine.locate("3.98.10").python == python
        assert times_asked(python) == 2

    def test_one_that_failed_is_asked_again_when_it_is_needed(self, machine: Machine) -> None:
        switch = machine.home / "mended"
        python = machine.pyenv("3.98.2")
        answer = python.read_text(encoding="utf-8").splitlines()[-1]
        executable(python, f"#!/bin/sh\ntest -e '{switch}' || exit 127\n{answer}\n")
        machine.pyenv("3.99.1")
        assert machine.locate(">=3.98").python.name == "python3.99"
        assert "3.98" not in machine.refusal("3.98").partition("among")[2].partition(";")[0]
        switch.touch()
        assert machine.locate("3.98").python == python

    @pytest.mark.parametrize("damage", ["", "{", "[]", '{"version": 1, "interpreters": {"x": 3}}'])
    def test_a_damaged_memory_is_made_again(self, machine: Machine, damage: str) -> None:
        python = machine.pyenv("3.98.2")
        machine.locate("3.98")
        (kept,) = machine.state.probes.glob("interpreters.json")
        kept.write_text(damage, encoding="utf-8")
        assert machine.locate("3.98").python == python
        assert times_asked(python) == 2

    @pytest.mark.parametrize("text", ["3.9", "<3.10", ">=3.12,<3.11", "2.7"])
    def test_a_range_in_which_nothing_can_be(self, machine: Machine, text: str) -> None:
        assert "(3.10 or newer) is in that range" in machine.refusal(text)

    def test_what_is_no_range(self, machine: Machine) -> None:
        assert "cannot read '3.x'" in machine.refusal("3.x")

    def test_no_interpreter_at_all(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "executable", "")
        assert "none at all" in machine.refusal("3.11")

    def test_the_kinds_are_the_ones_that_are_promised(self) -> None:
        assert KINDS == ("executable", "venv", "conda", "isaac", "project", "made", "found")


class TestDownload:
    def uv(self, machine: Machine, program: str) -> Path:
        log = machine.home / "uv.log"
        executable(machine.bin / "uv", f"#!/bin/sh\necho \"$@\" >> '{log}'\n{program}")
        return log

    def test_uv_gets_one_when_none_fits(self, machine: Machine) -> None:
        built = fake_python(machine.home / "built", "3.98.2")
        target = machine.home / ".local/share/uv/python/cpython-3.98.2/bin"
        log = self.uv(
            machine,
            f"/bin/mkdir -p '{target}' && /bin/cp '{built}' '{target}/python3.98'\n",
        )
        located = machine.locate("/nowhere", ">=3.98,<3.99")
        assert located.python.name == "built"  # as it says of itself
        assert log.read_text() == "python install >=3.98,<3.99,>=3.10\n"
        assert "asking uv for one" in machine.said[0]
        machine.locate("/nowhere", ">=3.98,<3.99")
        assert len(log.read_text().splitlines()) == 1

    def test_uv_that_cannot_is_quoted(self, machine: Machine) -> None:
        # As uv does, which says nothing of it when it is to be quiet.
        said = "case $* in *--quiet*) ;; *) echo 'error: no route to host' >&2;; esac; exit 2\n"
        self.uv(machine, said)
        refusal = machine.refusal("3.98")
        assert "no such Python among" in refusal
        assert "uv could not download one" in refusal and "no route to host" in refusal

    def test_another_alternative_comes_before_a_download(self, machine: Machine) -> None:
        log = self.uv(machine, "exit 2\n")
        machine.environment("pyvenv.cfg")
        assert machine.locate("3.98", "env").kind == "venv"
        assert not log.exists()

    def test_nothing_is_downloaded_by_a_mere_look(self, machine: Machine) -> None:
        log = self.uv(machine, "exit 2\n")
        machine.refusal("3.98", build=False)
        machine.refusal("3.9")
        assert not log.exists()
