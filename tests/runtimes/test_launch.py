"""How a program of a runtime is started: its environment, its programs, what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import isthmus
from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes import programs
from isthmus.runtimes import surroundings as surroundings_module
from isthmus.runtimes.launch import Launch, prepare
from isthmus.runtimes.locate import Located
from isthmus.runtimes.settings import EnvironSettings, RuntimeSettings
from isthmus.runtimes.state import StateFolder

PACKAGE = Path(isthmus.__file__).resolve().parent
CALLER = {"HOME": "/nowhere", "PATH": os.defpath, "LANG": "C.UTF-8"}


class Bench:
    """A project with one runtime, found where the test says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = StateFolder.beside(folder)
        self.python = Path(sys.executable)
        self.kind = "executable"
        self.environ: dict[str, str] = {}
        self.given: dict[str, str] = {}
        self.said: list[str] = []

    def locate(
        self,
        runtime: RuntimeSettings,
        state: StateFolder,
        environ: Mapping[str, str],
        say: Callable[[str], None],
        *,
        build: bool,
    ) -> Located:
        assert build
        self.given = dict(environ)
        return Located(
            python=self.python,
            kind=self.kind,
            origin="where the test put it",
            environ=self.environ,
            prefix_bin=self.python.parent,
        )

    def prepare(
        self,
        *command: str,
        caller: Mapping[str, str] | None = None,
        extra: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> Launch:
        runtime = RuntimeSettings("sim", ("whatever",), **settings)
        caller = {**CALLER, **(caller or {})}
        return prepare(
            runtime,
            command or ("python",),
            self.state,
            caller,
            self.said.append,
            extra=extra or {},
            cwd=self.folder,
        )


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(tmp_path)
    monkeypatch.setattr(surroundings_module, "locate", made.locate)
    return made


def run(launch: Launch, cwd: Path | None = None) -> str:
    """Start what was prepared, to its end; what it printed."""
    done = subprocess.run(
        launch.argv,
        executable=launch.executable,
        env=launch.environ,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def paths(launch: Launch, name: str = "PYTHONPATH") -> list[str]:
    return launch.environ[name].split(os.pathsep)


def test_the_environment_is_the_callers_with_ours_in_front(bench: Bench) -> None:
    launch = bench.prepare(
        caller={"PYTHONHOME": "/other", "DISPLAY": ":1", "PATH": "/a:/other/bin"}
    )
    package = bench.state.path
    assert launch.environ == {
        "HOME": "/nowhere",
        "LANG": "C.UTF-8",
        "DISPLAY": ":1",
        "PATH": f"{bench.state.programs('sim')}:{bench.python.parent}:/a",
        "PYTHONPATH": str(next(package.iterdir())),
        "PYTHONNOUSERSITE": "1",
        "ISTHMUS_RUNTIME": "sim",
    }
    assert [each.name for each in launch.dropped] == ["PATH", "PYTHONHOME"]
    assert "PYTHONHOME" not in bench.given  # what looks for an interpreter runs some


def test_order_of_pythonpath(bench: Bench) -> None:
    """Ours, the guard, the project's, then what python.sh asked for; no empty element."""
    bench.environ = {"PYTHONPATH": f":{bench.folder / 'kit'}:{bench.folder / 'exts'}"}
    launch = bench.prepare(
        pythonpath=(bench.folder / "src",),
        forbid_import=("torch", "omni"),
        caller={"PYTHONPATH": "/dropped"},
    )
    package, guard, *others = paths(launch)
    assert sorted(os.listdir(package)) == ["isthmus"]
    assert guard == f"{package}/isthmus/guard/startup"
    assert Path(guard).resolve() == PACKAGE / "guard" / "startup"
    assert others == [str(bench.folder / name) for name in ("src", "kit", "exts")]
    assert launch.environ["ISTHMUS_FORBID_IMPORT"] == "torch,omni"


def test_kept_variables_and_set_ones_and_extra_ones(bench: Bench) -> None:
    env = EnvironSettings(
        keep=("LD_PRELOAD", "PYTHONPATH", "CONDA_*"),
        set={"OMP_NUM_THREADS": "2", "PYTHONNOUSERSITE": "", "LANG": "de_DE"},
    )
    caller = {"LD_PRELOAD": "", "PYTHONPATH": str(bench.folder), "CONDA_SHLVL": "2"}
    launch = bench.prepare(env=env, caller=caller, extra={"LANG": "C", "ISTHMUS_RUN_ID": "7"})
    assert launch.environ["CONDA_SHLVL"] == "2"
    assert launch.environ["LD_PRELOAD"] == ""
    assert paths(launch)[-1] == str(bench.folder)
    assert launch.environ["OMP_NUM_THREADS"] == "2"
    assert launch.environ["PYTHONNOUSERSITE"] == ""
    assert launch.environ["LANG"] == "C"
    assert launch.environ["ISTHMUS_RUN_ID"] == "7"


def test_what_the_launcher_of_a_simulator_sets_is_set(bench: Bench) -> None:
    bench.environ = {
        "CARB_APP_PATH": "/isaac/kit",
        "LD_LIBRARY_PATH": ":/isaac",
        "PATH": "/isaac/x",
    }
    launch = bench.prepare(caller={"CARB_APP_PATH": "/stale/kit", "LD_LIBRARY_PATH": "/cuda"})
    assert launch.environ["CARB_APP_PATH"] == "/isaac/kit"
    assert launch.environ["LD_LIBRARY_PATH"] == ":/isaac"
    assert paths(launch, "PATH")[-1] == "/isaac/x"
    assert bench.given["LD_LIBRARY_PATH"] == "/cuda"


def test_the_libpython_of_another_build_is_not_found_first(bench: Bench) -> None:
    own, other = bench.folder / "own", bench.folder / "other"
    for folder in (own, other):
        (folder / "lib").mkdir(parents=True)
        (folder / "lib" / "libpython3.11.so.1.0").write_text("")
    (own / "bin").mkdir()
    bench.python = own / "bin" / "python"
    bench.python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    bench.python.chmod(0o755)
    launch = bench.prepare(caller={"LD_LIBRARY_PATH": f"{other / 'lib'}:{own / 'lib'}:/cuda"})
    assert paths(launch, "LD_LIBRARY_PATH") == [str(own / "lib"), "/cuda"]
    (dropped,) = launch.dropped
    assert dropped.value == str(other / "lib")
    assert str(other / "lib") in bench.given["LD_LIBRARY_PATH"]  # a search may need it


@pytest.mark.parametrize(
    ("kind", "name"), [("venv", "VIRTUAL_ENV"), ("made", "VIRTUAL_ENV"), ("conda", "CONDA_PREFIX")]
)
def test_tools_of_an_environment_find_it(bench: Bench, kind: str, name: str) -> None:
    bench.kind = kind
    launch = bench.prepare(caller={name: "/another"})
    assert launch.environ[name] == str(bench.python.parent.parent)


def test_ros_brings_its_packages_for_this_python(bench: Bench) -> None:
    minor = "{}.{}".format(*sys.version_info[:2])
    own, other = (f"/opt/ros/x/lib/python{each}/site-packages" for each in (minor, "3.4"))
    caller = {"PYTHONPATH": f"/elsewhere:{own}:{other}", "ROS_DISTRO": "x"}
    launch = bench.prepare(env=EnvironSettings(ros=True), caller=caller)
    assert paths(launch)[1:] == [own]
    assert launch.environ["ROS_DISTRO"] == "x"
    assert paths(bench.prepare(caller=caller))[1:] == []


def test_programs_of_the_system_stay_where_they_are(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.python = Path(os.path.realpath(sys.executable))
    monkeypatch.setattr(surroundings_module, "_SYSTEM_PROGRAMS", (str(bench.python.parent),))
    launch = bench.prepare(caller={"PATH": f"/first:{bench.python.parent}:/last"})
    assert paths(launch, "PATH")[1:] == ["/first", str(bench.python.parent), "/last"]
    launch = bench.prepare(caller={"PATH": "/first"})
    assert paths(launch, "PATH")[1:] == [str(bench.python.parent), "/first"]


def test_inside_another_runtime_its_programs_are_not_on_the_path(bench: Bench) -> None:
    outer = bench.prepare()
    inner = StateFolder(bench.folder / "another")
    runtime = RuntimeSettings("policy", ("whatever",))
    caller = {**outer.environ, "ISTHMUS_FORBID_IMPORT": "torch", "ISTHMUS_RUN_ID": "7"}
    launch = prepare(runtime, ["python"], inner, caller, print, cwd=bench.folder)
    assert paths(launch, "PATH")[:2] == [str(inner.programs("policy")), str(bench.python.parent)]
    assert str(bench.state.programs("sim")) not in paths(launch, "PATH")
    assert paths(launch) == [str(next(inner.path.iterdir()))]
    assert launch.environ["ISTHMUS_RUNTIME"] == "policy"
    assert launch.environ["ISTHMUS_RUN_ID"] == "7"
    assert "ISTHMUS_FORBID_IMPORT" not in launch.environ


@pytest.mark.parametrize("name", ["python", "python3", "python{}.{}".format(*sys.version_info[:2])])
def test_python_is_the_runtimes(bench: Bench, name: str) -> None:
    launch = bench.prepare(name, "-c", "import sys; print(sys.executable, sys.argv)", "--x", "")
    assert launch.executable == bench.python
    assert run(launch) == f"{bench.python} ['-c', '--x', '']\n"
    # And so it is for whoever looks it up later.
    text = f"command -v {name} && {name} -c 'import sys; print(sys.executable)' \"$0\""
    found, started = run(bench.prepare("sh", "-c", text)).splitlines()
    assert found == str(bench.state.programs("sim") / name)
    assert started == str(bench.python)


@pytest.mark.parametrize("name", ["python3.4", "python3.99"])
def test_the_python_of_another_version_is_refused(bench: Bench, name: str) -> None:
    with pytest.raises(EnvironmentSetupError, match=f"{name} is not the Python of runtime sim"):
        bench.prepare(name, "x.py")


def test_isthmus_is_this_one_in_the_runtimes_python(bench: Bench) -> None:
    (bench.folder / "isthmus").mkdir()  # a folder of this name, where it is started
    (bench.folder / "argparse.py").write_text("raise SystemError('shadowed')")
    expected = f"isthmus {isthmus.__version__}\n"
    launch = bench.prepare("isthmus", "--version")
    assert launch.executable == bench.python
    assert run(launch, bench.folder) == expected
    assert run(bench.prepare("sh", "-c", "isthmus --version"), bench.folder) == expected


def test_our_package_is_there_and_nothing_else_of_ours(bench: Bench) -> None:
    program = "import isthmus, json, os; print(json.dumps([isthmus.__file__, isthmus.__path__]))"
    where, folders = json.loads(run(bench.prepare("python", "-c", program)))
    assert Path(where).resolve() == PACKAGE / "__init__.py"
    assert Path(folders[0]).is_relative_to(bench.state.root)


def test_two_installations_do_not_take_the_package_from_each_other(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = paths(bench.prepare())[0]
    other = bench.folder / "other" / "isthmus"
    other.mkdir(parents=True)
    (other / "guard").mkdir()
    (other / "__init__.py").write_text("")
    monkeypatch.setattr(surroundings_module, "package_folder", lambda: other)
    second = paths(bench.prepare())[0]
    assert os.readlink(f"{first}/isthmus") == str(PACKAGE)
    assert os.readlink(f"{second}/isthmus") == str(other)


def test_a_link_that_was_tampered_with_is_mended(bench: Bench) -> None:
    link = Path(paths(bench.prepare())[0]) / "isthmus"
    link.unlink()
    link.symlink_to("/nowhere")
    bench.prepare()
    assert os.readlink(link) == str(PACKAGE)
    assert sorted(os.listdir(link.parent)) == ["isthmus"]


def test_a_package_inside_an_archive_is_refused(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "__file__", "/app/bundle.pyz/isthmus/runtimes/programs.py")
    with pytest.raises(EnvironmentSetupError, match="inside an archive"):
        bench.prepare()


def test_programs_follow_a_runtime_that_got_another_python(bench: Bench) -> None:
    bench.prepare()
    folder = bench.state.programs("sim")
    minor = "python{}.{}".format(*sys.version_info[:2])
    assert sorted(os.listdir(folder)) == ["isthmus", "python", "python3", minor]
    (folder / "python3.4").write_text("#!/bin/sh\nexec /elsewhere/python3.4\n")
    bench.python = bench.folder / "it's new" / "python"
    bench.python.parent.mkdir()
    bench.python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    bench.python.chmod(0o755)
    launch = bench.prepare("sh", "-c", "python3 -c 'print(1)'")
    assert sorted(os.listdir(folder)) == ["isthmus", "python", "python3", minor]
    assert "it'\"'\"'s new" in (folder / "python3").read_text()
    assert run(launch) == "1\n"


def test_a_second_start_writes_and_runs_nothing(bench: Bench) -> None:
    bench.prepare(must_import=("json",))
    before = snapshot(bench.state.root)
    bench.python = bench.python.absolute()
    assert bench.prepare(must_import=("json",)).examination is not None
    assert snapshot(bench.state.root) == before


def snapshot(root: Path) -> dict[str, tuple[int, int]]:
    found = [path for path in root.rglob("*") if not path.is_symlink()]
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


def test_what_is_not_there_keeps_its_bare_name(bench: Bench) -> None:
    launch = bench.prepare("no-such-program", "x")
    assert launch.executable == Path("no-such-program")
    assert launch.argv == ("no-such-program", "x")


def test_other_programs_are_found_on_the_childs_path(bench: Bench) -> None:
    assert bench.prepare("sh").executable in (Path("/bin/sh"), Path("/usr/bin/sh"))
    tool = bench.folder / "tools" / "tool"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    assert bench.prepare("./tools/tool").executable == tool
    assert bench.prepare("tool", caller={"PATH": "tools"}).executable == tool
    assert bench.prepare("/abs/tool").executable == Path("/abs/tool")


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "version": ({"requires_python": "<3.10"}, "requires-python is <3.10, and this is"),
    "import": ({"must_import": ("absent",)}, "absent cannot be imported: ModuleNotFoundError"),
    "specifier": ({"requires_python": "new"}, "new"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_runtime_asks_for_and_is_not_there_is_refused(bench: Bench, case: str) -> None:
    settings, expected = REFUSED[case]
    with pytest.raises(EnvironmentSetupError) as caught:
        bench.prepare(**settings)
    assert expected in str(caught.value)


def test_all_that_is_wrong_is_said_at_once(bench: Bench) -> None:
    foreign = bench.folder / "lib" / "python3.4" / "site-packages"
    foreign.mkdir(parents=True)
    with pytest.raises(EnvironmentSetupError) as caught:
        bench.prepare(
            requires_python=">=4", must_import=("absent", "missing"), pythonpath=(foreign,)
        )
    text = str(caught.value)
    for part in ("[runtime.sim]", str(bench.python), "where the test put it", ">=4", "absent"):
        assert part in text
    assert f"{foreign} is on its import path: packages of Python 3.4" in text
    assert "missing" in text


def test_forbidden_modules_that_are_installed_are_the_guards_affair(bench: Bench) -> None:
    launch = bench.prepare(forbid_import=("wave",))
    assert launch.examination is not None
    assert launch.examination.present_forbidden == ("wave",)


def test_a_state_folder_that_cannot_be_written(bench: Bench) -> None:
    bench.state.root.write_text("a file")
    with pytest.raises(EnvironmentSetupError, match="expected to write into"):
        bench.prepare()


def test_a_folder_that_cannot_be_on_a_path(bench: Bench) -> None:
    with pytest.raises(EnvironmentSetupError, match="a:b/c cannot be on .*Rename the folder 'a:b'"):
        bench.prepare(pythonpath=(bench.folder / "a:b" / "c",))


def test_nothing_to_start(bench: Bench) -> None:
    with pytest.raises(EnvironmentSetupError, match="expected a command"):
        prepare(RuntimeSettings("sim", ()), [], bench.state, CALLER, print)


class TestOutsideEveryRuntime:
    """A program of the caller's own gets the caller's environment as it is."""

    def prepare(self, bench: Bench, *command: str, caller: Mapping[str, str]) -> Launch:
        extra = {"ISTHMUS_RUN_ID": "7"}
        return prepare(None, command, bench.state, caller, print, extra=extra, cwd=bench.folder)

    def test_nothing_is_dropped_and_nothing_made(self, bench: Bench) -> None:
        caller = {"PATH": os.defpath, "PYTHONPATH": "/x", "ROS_DISTRO": "jazzy"}
        launch = self.prepare(bench, "sh", "-c", "true", caller=caller)
        assert launch.environ == {**caller, "ISTHMUS_RUN_ID": "7"}
        assert launch.argv == ("sh", "-c", "true")
        assert launch.executable.is_absolute()
        assert launch.examination is None
        assert not bench.state.root.exists()

    def test_isthmus_is_still_this_one(self, bench: Bench) -> None:
        caller = {"PATH": "", "PYTHONHOME": "/broken", "PYTHONPATH": str(bench.folder)}
        launch = self.prepare(bench, "isthmus", "--version", caller=caller)
        assert run(launch) == f"isthmus {isthmus.__version__}\n"
