"""Environments made on demand, from a folder of packages: by uv, by pip, and not again."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes.interpreters import Interpreter, probe
from isthmus.runtimes.locate import Located, locate
from isthmus.runtimes.making import folders, made, tools
from isthmus.runtimes.making.installers import PipInstaller, UvInstaller, has_hashes
from isthmus.runtimes.making.requirements import read_lock, read_requirements
from isthmus.runtimes.settings import RuntimeSettings
from isthmus.runtimes.state import StateFolder

from ..support.pythons import executable, make_wheel, only_from, real_uv

__all__ = ["real_uv"]  # a fixture

THIS = "{}.{}".format(*sys.version_info[:2])


class Project:
    """A project whose runtime requires packages of a folder."""

    def __init__(self, root: Path, uv: Path | None) -> None:
        self.folder = root / "project"
        self.folder.mkdir()
        self.packages = root / "packages"
        for version in ("1.0", "1.1", "2.0"):
            make_wheel(self.packages, "tiny", version)
        make_wheel(self.packages, "other", "1.0")
        self.bin = root / "bin"
        self.bin.mkdir()
        if uv is not None:
            self.log = root / "uv.log"
            executable(
                self.bin / "uv", f"#!/bin/sh\necho \"$1 $2\" >> '{self.log}'\nexec '{uv}' \"$@\"\n"
            )
        self.environ = {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "HOME": str(root),
            "UV_CACHE_DIR": str(root / "cache"),
            **only_from(self.packages),
        }
        self.state = StateFolder.beside(self.folder)
        self.said: list[str] = []
        self.runtime = RuntimeSettings(
            "sim", (str(Path(sys.executable).resolve()),), ("tiny<2",), folder=self.folder
        )

    @property
    def lock(self) -> Path:
        return self.runtime.lock or self.folder / "isthmus-locks" / "sim.txt"

    def locate(self, *, build: bool = True, **changes: object) -> Located:
        self.runtime = replace(self.runtime, **changes)  # type: ignore[arg-type]
        self.said.clear()
        return locate(self.runtime, self.state, self.environ, self.said.append, build=build)

    def refusal(self, **changes: object) -> str:
        with pytest.raises(EnvironmentSetupError) as raised:
            self.locate(**changes)  # type: ignore[arg-type]
        return str(raised.value)

    def version(self, located: Located, module: str = "tiny") -> str:
        program = f"import {module}; print({module}.VERSION)"
        return subprocess.check_output([located.python, "-I", "-c", program], text=True).strip()

    def uv_calls(self) -> list[str]:
        """What uv was asked for since the last time."""
        calls = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return calls


@pytest.fixture
def project(tmp_path: Path, real_uv: Path) -> Project:
    return Project(tmp_path, real_uv)


class TestByUv:
    def test_locked_and_made_once(self, project: Project) -> None:
        located = project.locate()
        assert located.kind == "made"
        assert located.python == project.state.environments / "sim" / "bin" / "python"
        assert located.prefix_bin == located.python.parent
        assert project.version(located) == "1.1"
        assert not folders.is_unfinished(project.state.environments / "sim")
        assert project.uv_calls() == ["pip compile", "venv --quiet", "pip sync"]
        assert [line.split()[0] for line in project.said] == ["locking", "building"]
        # From here on without uv, an index, or anything else on PATH.
        project.environ = {"PATH": "/nowhere", "HOME": "/nowhere"}
        assert project.locate() == located
        assert (project.uv_calls(), project.said) == ([], [])

    def test_two_at_once_make_one(self, project: Project) -> None:
        runtime, said = project.runtime, project.said

        def start() -> Located:
            return locate(runtime, project.state, project.environ, said.append)

        with ThreadPoolExecutor(2) as both:
            one, two = both.submit(start), both.submit(start)
            assert one.result() == two.result()
        assert sorted(project.uv_calls()) == ["pip compile", "pip sync", "venv --quiet"]

    def test_the_lock_has_hashes_and_no_place(self, project: Project) -> None:
        project.locate()
        text = project.lock.read_text(encoding="utf-8")
        assert has_hashes(project.lock)
        assert "tiny==1.1" in text and f"# valid-for: >={THIS}" in text
        assert str(project.folder) not in text and str(project.packages) not in text
        assert "://" not in text

    def test_a_lock_that_came_with_the_project_is_used(self, project: Project) -> None:
        project.locate()
        shutil.rmtree(project.state.root)
        make_wheel(project.packages, "tiny", "1.2")
        project.uv_calls()
        assert project.version(project.locate()) == "1.1"
        assert "pip compile" not in project.uv_calls()

    def test_changed_requirements_are_locked_again_and_the_rest_stays(
        self, project: Project
    ) -> None:
        project.locate()
        make_wheel(project.packages, "tiny", "1.2")
        located = project.locate(requirements=("tiny<2", "other"))
        assert (project.version(located), project.version(located, "other")) == ("1.1", "1.0")
        assert project.version(project.locate(requirements=("tiny>=2",))) == "2.0"

    @pytest.mark.parametrize("gone", ["tiny.py", "tiny-1.1.dist-info"])
    def test_a_package_that_was_taken_away_is_put_back(self, project: Project, gone: str) -> None:
        located = project.locate()
        (site,) = located.prefix_bin.parent.glob("lib/python3*/site-packages")
        lost = site / gone
        shutil.rmtree(lost) if lost.is_dir() else lost.unlink()
        assert project.locate(build=False) == located
        (said,) = project.said
        assert f"out of date ({gone} is gone from it)" in said
        assert project.version(project.locate()) == "1.1" and lost.exists()
        assert [line.split()[0] for line in project.said] == ["building"]
        # More than was built is nobody's matter.
        (site / "mine.py").touch()
        project.locate()
        assert project.said == [] and (site / "mine.py").exists()

    def test_a_removed_lock_moves_to_newer_versions(self, project: Project) -> None:
        project.locate()
        make_wheel(project.packages, "tiny", "1.2")
        project.lock.unlink()
        assert project.version(project.locate()) == "1.2"

    def test_somebodys_own_lock_is_used_as_it_is(self, project: Project) -> None:
        own = project.folder / "requirements.txt"
        own.write_text("# pinned by hand\ntiny==1.0\n", encoding="utf-8")
        assert project.version(project.locate(lock=own)) == "1.0"
        project.locate(requirements=("tiny<2", "other"))
        assert own.read_text(encoding="utf-8") == "# pinned by hand\ntiny==1.0\n"

    def test_a_tampered_package_is_refused(self, project: Project) -> None:
        project.locate()
        shutil.rmtree(project.state.root)
        shutil.rmtree(project.environ["UV_CACHE_DIR"])
        make_wheel(project.packages, "other", "3.0").replace(
            project.packages / "tiny-1.1-py3-none-any.whl"
        )
        assert "tiny" in project.refusal()

    def test_requirements_that_cannot_be_met(self, project: Project) -> None:
        refusal = project.refusal(requirements=("tiny>=9",))
        assert refusal.startswith("[runtime.sim] no exact versions found for its requirements: ")
        assert "tiny" in refusal.splitlines()[-1]
        assert not project.lock.exists()

    def test_it_stays_with_the_python_it_was_made_from(self, project: Project) -> None:
        located = project.locate(python=(THIS, ">=3.10"))
        newer = '{"executable": "/new", "version": [3, 98, 0], "release": true, "has_venv": true'
        newer += ', "implementation": "CPython", "soabi": "cpython-398-x"}'
        executable(project.bin / "python3.98", f"#!/bin/sh\necho '{newer}'\n")
        assert project.locate(python=(">=3.10",)) == located
        assert project.said == []

    def test_without_building_nothing_is_made(self, project: Project) -> None:
        assert "not built yet: `isthmus run sim -- ...`" in project.refusal(build=False)
        assert project.uv_calls() == []
        located = project.locate()
        assert project.locate(build=False) == located and project.said == []
        assert project.locate(build=False, requirements=("other",)).python == located.python
        assert project.said == [
            "the environment of sim is out of date; the next start brings it up to date"
        ]

    @pytest.mark.parametrize("kind", ["venv", "conda"])
    def test_an_environment_has_packages_of_its_own(self, project: Project, kind: str) -> None:
        folder = project.folder / "env"
        (folder / "bin").mkdir(parents=True)
        (folder / {"venv": "pyvenv.cfg", "conda": "conda-meta"}[kind]).touch()
        (folder / "bin" / "python").symlink_to(sys.executable)
        assert "packages of its own" in project.refusal(python=("env",))

    def test_a_program_that_is_no_python(self, project: Project) -> None:
        executable(project.bin / "mypython", "#!/bin/sh\nexit 3\n")
        assert "no CPython of at least 3.10" in project.refusal(python=("mypython",))

    def test_a_lock_that_cannot_be_written(self, project: Project) -> None:
        nowhere = Path("/proc/isthmus/sim.txt")
        assert "cannot write the lock of [runtime.sim]" in project.refusal(lock=nowhere)
        (project.folder / "file").touch()
        beyond = project.folder / "file" / "sim.txt"
        assert "cannot read the lock" in project.refusal(lock=beyond)


class TestByPip:
    @pytest.mark.slow
    def test_without_uv_the_same_for_this_python_alone(self, tmp_path: Path) -> None:
        project = Project(tmp_path, None)  # a registry without uv
        located = project.locate()
        assert "uv could not be installed" in "".join(project.said)
        assert project.version(located) == "1.1"
        lock = read_lock(project.lock)
        assert lock is not None and has_hashes(project.lock)
        assert lock.body.startswith("tiny==1.1 \\\n    --hash=sha256:")
        this = probe(Path(sys.executable))
        assert this is not None and lock.valid_for == this.soabi
        assert project.locate() == located
        assert project.said == []


class TestUv:
    def test_on_path_first(self, project: Project) -> None:
        assert tools.find_uv(project.state, project.environ) == project.bin / "uv"

    def test_then_the_projects_own(self, tmp_path: Path) -> None:
        state = StateFolder.beside(tmp_path)
        assert tools.find_uv(state, {"PATH": ""}) is None
        own = executable(state.environments / ".uv" / "bin" / "uv", "")
        assert tools.find_uv(state, {"PATH": ""}) == own

    def test_one_that_is_being_installed_is_not_there_yet(self, tmp_path: Path) -> None:
        state = StateFolder.beside(tmp_path)
        folders.empty_folder(state.environments / ".uv")
        own = executable(state.environments / ".uv" / "bin" / "uv", "")
        assert tools.find_uv(state, {"PATH": ""}) is None
        folders.finish(state.environments / ".uv")
        assert tools.find_uv(state, {"PATH": ""}) == own

    def test_else_installed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """By pip, as a package without a version: the newest that the index has."""
        asked: list[str] = []

        def create(self: PipInstaller, interpreter: Interpreter, folder: Path) -> None:
            asked.append(folder.name)

        def install(self: PipInstaller, folder: Path, lock: Path) -> None:
            asked.append(lock.read_text(encoding="utf-8"))
            executable(folder / "bin" / "uv", "")

        monkeypatch.setattr(PipInstaller, "create", create)
        monkeypatch.setattr(PipInstaller, "install", install)
        said: list[str] = []
        python = Interpreter(Path("/python3"), (3, 11, 7), "CPython", "cp", True, "PATH")
        state = StateFolder.beside(tmp_path)
        installer = tools.get_installer(state, python, {"PATH": ""}, said.append)
        assert isinstance(installer, UvInstaller)
        assert asked == [".uv", "uv\n"]
        assert said == ["uv is not on PATH: installing it for this project"]


class TestRequirements:
    def test_lines_mean_the_same_wherever_the_project_lies(self, tmp_path: Path) -> None:
        lines = ("numpy>=1.24  # arrays", "", "  six ; sys_platform == 'linux'", "# a comment")
        one = read_requirements(lines, tmp_path / "a")
        two = read_requirements(("numpy>=1.24", "six ; sys_platform == 'linux'"), tmp_path / "b")
        assert one.text == "numpy>=1.24\nsix ; sys_platform == 'linux'\n"
        assert one.digest == two.digest
        assert read_requirements(("numpy>=1.25",), tmp_path).digest != one.digest

    def test_a_file_with_the_files_it_names(self, tmp_path: Path) -> None:
        base = tmp_path / "requirements" / "base.in"
        base.parent.mkdir()
        base.write_text("numpy\n", encoding="utf-8")
        limits = tmp_path / "limits.txt"
        limits.write_text("numpy<2\n", encoding="utf-8")
        file = tmp_path / "requirements" / "sim.in"
        file.write_text("-r base.in\n-c ../limits.txt\nsix\n", encoding="utf-8")
        first = read_requirements(file, tmp_path)
        assert first.text.splitlines()[0] == "numpy" and first.text.splitlines()[2] == "six"
        assert first.text.splitlines()[1] == f"-c {tmp_path}/requirements/../limits.txt"
        digests = {first.digest}
        for changed in (base, limits, file):
            changed.write_text(changed.read_text(encoding="utf-8") + "colorama\n", encoding="utf-8")
            digests.add(read_requirements(file, tmp_path).digest)
        assert len(digests) == 4

    def test_a_file_that_names_itself(self, tmp_path: Path) -> None:
        file = tmp_path / "sim.in"
        file.write_text("--requirement=sim.in\n", encoding="utf-8")
        with pytest.raises(EnvironmentSetupError, match="includes itself"):
            read_requirements(file, tmp_path)

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(EnvironmentSetupError, match="cannot read the requirements .*sim.in"):
            read_requirements(tmp_path / "sim.in", tmp_path)

    @pytest.mark.parametrize(
        "line",
        [
            *(
                "-e .",
                "--editable=./pkg",
                ".",
                "..",
                ".[dev]",
                "./pkg",
                "../pkg[extra]",
                "/opt/pkg.whl",
            ),
            *("file:///opt/pkg.whl", "pkg @ file:///opt/pkg.whl", "pkg @ ./pkg"),
        ],
    )
    def test_folders_of_this_machine_are_refused(self, tmp_path: Path, line: str) -> None:
        with pytest.raises(EnvironmentSetupError, match="no exact version can be kept"):
            read_requirements((line,), tmp_path)

    @pytest.mark.parametrize(
        ("line", "says"),
        [
            ("six --hash=sha256:00", "has --hash, .* write a lock"),
            ("six==1.0 \\\n    --hash=sha256:00", "has --hash, .* write a lock"),
            ("--require-hashes", "has --require-hashes"),
            ("six --config-settings=a=b", "has --config-settings, .* write a lock"),
            ("six -C a=b", "has -C"),
            ("--index-url https://example.org", "has --index-url, .*UV_INDEX"),
            ("-f https://example.org", "has -f, "),
        ],
    )
    def test_options_that_a_lock_cannot_keep(self, tmp_path: Path, line: str, says: str) -> None:
        file = tmp_path / "sim.in"
        file.write_text(f"numpy\n{line}\n", encoding="utf-8")
        for given in (file, tuple(line.split("\n"))):
            with pytest.raises(EnvironmentSetupError, match=says):
                read_requirements(given, tmp_path)

    def test_options_that_it_need_not_keep_pass(self, tmp_path: Path) -> None:
        lines = ("--pre", "six[a-b]>=1 ; python_version >= '3.11'", "x--y-i", "a -- b")
        assert read_requirements(lines, tmp_path).text.splitlines() == list(lines)

    @pytest.mark.parametrize(
        "line", ["pkg @ https://example.org/pkg-1.0-py3-none-any.whl", "pkg[extra]~=1.0", "a.b"]
    )
    def test_packages_from_elsewhere_are_not(self, tmp_path: Path, line: str) -> None:
        assert read_requirements((line,), tmp_path).text == f"{line}\n"


def test_where_the_lock_is(tmp_path: Path) -> None:
    state = StateFolder.beside(tmp_path)
    runtime = RuntimeSettings("sim", (), ("six",))
    assert made.lock_of(runtime, state) == tmp_path / "isthmus-locks" / "sim.txt"
    assert made.lock_of(replace(runtime, lock=tmp_path / "x.txt"), state) == tmp_path / "x.txt"
