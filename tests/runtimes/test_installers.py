"""Choosing uv or pip, and what is refused."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes import Interpreter, PipInstaller, UvInstaller, choose_installer
from isthmus.runtimes.making import folders
from isthmus.runtimes.making.folders import remove_environment
from isthmus.runtimes.making.installers import has_hashes, run_tool, uv_in

from ..support.pythons import executable

BASE = Path(sys.executable)


@pytest.fixture
def python() -> Interpreter:
    return Interpreter(BASE, (3, 12, 1), "CPython", "cpython-312", has_venv=True, found="running")


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "uv.txt"
    path.write_text("uv==0\n")
    return path


def test_uv_that_is_there_is_used(tmp_path: Path, lock: Path, python: Interpreter) -> None:
    executable(tmp_path / "uv" / "bin" / "uv", "#!/bin/sh\n")
    said: list[str] = []
    assert choose_installer(tmp_path / "uv", lock, python, {}, said.append).name == "uv"
    assert said == []


def test_without_uv_or_venv_the_uv_on_path(tmp_path: Path, lock: Path, python: Interpreter) -> None:
    on_path = tmp_path / "bin" / "uv"
    on_path.parent.mkdir()
    on_path.touch(mode=0o755)
    said: list[str] = []
    bare = replace(python, path=tmp_path / "python3", has_venv=False)
    environ = {"PATH": str(on_path.parent)}
    chosen = choose_installer(tmp_path / "uv", lock, bare, environ, said.append)
    assert isinstance(chosen, UvInstaller)
    assert str(on_path) in said[0]


def test_without_any_uv_pip(tmp_path: Path, lock: Path, python: Interpreter) -> None:
    said: list[str] = []
    bare = replace(python, path=tmp_path / "python3", has_venv=False)
    chosen = choose_installer(tmp_path / "uv", lock, bare, {"PATH": ""}, said.append)
    assert isinstance(chosen, PipInstaller)
    assert said[0].endswith("using pip")


BROKEN = {
    "empty": "",
    "half": "\x7fELF half of it",
    "dying": "#!/bin/sh\nexit 1\n",
    "not allowed": None,
    "unfinished": "#!/bin/sh\n",
}


@pytest.mark.parametrize("damage", BROKEN)
def test_a_uv_that_is_not_whole_is_installed_again(
    tmp_path: Path, lock: Path, monkeypatch: pytest.MonkeyPatch, python: Interpreter, damage: str
) -> None:
    """As its maker leaves it that was killed; from `folders` on the real code runs."""
    folder = tmp_path / "uv"
    text = BROKEN[damage]
    monkeypatch.setattr(PipInstaller, "create", lambda *_: folders.empty_folder(folder))

    def install(*_: object) -> None:
        assert uv_in(folder) is None
        executable(folder / "bin" / "uv", "#!/bin/sh\n")

    monkeypatch.setattr(PipInstaller, "install", install)
    if damage == "unfinished":
        folders.empty_folder(folder)
    uv = executable(folder / "bin" / "uv", text or "")
    (folder / "pyvenv.cfg").touch()
    if text is None:
        uv.chmod(0o644)
    assert (uv_in(folder) is None) == (damage in ("unfinished", "not allowed"))
    assert choose_installer(folder, lock, python, {}, print).name == "uv"
    assert uv_in(folder) == uv
    assert uv.read_text() == "#!/bin/sh\n"


_ONE_OF_SEVERAL = """
import fcntl, sys
from pathlib import Path
from isthmus.runtimes import Interpreter, PipInstaller, choose_installer

def flock(file, how, real=fcntl.flock):
    print("waiting", flush=True)
    real(file, how)

def created(self, interpreter, folder):
    print("creating", flush=True)

fcntl.flock = flock
PipInstaller.create = created
python = Interpreter(Path(sys.executable), (3, 12, 1), "CPython", "cp", True, "running")
print(choose_installer(Path(sys.argv[1]), Path(sys.argv[2]), python, {}, print).name)
"""


def test_of_several_at_once_one_installs_it(tmp_path: Path, lock: Path) -> None:
    folder = tmp_path / "uv"
    command = [sys.executable, "-c", _ONE_OF_SEVERAL, folder, lock]
    processes = []
    try:
        with folders.held(folder):
            for _ in range(3):
                started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
                processes.append(started)
            for each in processes:
                assert each.stdout is not None
                assert each.stdout.readline() == "waiting\n"
            executable(folder / "bin" / "uv", "#!/bin/sh\n")
        assert [each.communicate()[0] for each in processes] == ["uv\n"] * 3
    finally:
        for each in processes:
            with each:
                each.kill()


def test_a_tool_whose_starter_is_killed_keeps_the_folder_locked(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from isthmus.runtimes.making import folders, installers\n"
        "with folders.held(Path(sys.argv[1])):\n"
        "    installers.run_tool(['sh', '-c', 'echo on > started; read go < go'], {})\n"
    )
    for name in ("started", "go"):
        os.mkfifo(tmp_path / name)
    starter = subprocess.Popen([sys.executable, "-c", program, "there"], cwd=tmp_path)
    with starter:
        assert (tmp_path / "started").read_text() == "on\n"
        starter.kill()
    with (tmp_path / "there.lock").open("w") as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (tmp_path / "go").write_text("\n")
        fcntl.flock(file, fcntl.LOCK_EX)


def test_a_venv_module_that_was_installed_since_is_used(
    tmp_path: Path, python: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(
        "isthmus.runtimes.making.installers.run_tool",
        lambda command, *_, **__: commands.append(command),
    )
    PipInstaller({}).create(replace(python, has_venv=False), tmp_path / "environment")
    assert commands == [[str(BASE), "-m", "venv", str(tmp_path / "environment")]]


def test_pip_without_venv_says_what_to_install(tmp_path: Path, python: Interpreter) -> None:
    bare = replace(python, path=tmp_path / "python3", has_venv=False)
    with pytest.raises(EnvironmentSetupError, match="python3.12-venv"):
        PipInstaller({}).create(bare, tmp_path / "environment")


def test_a_folder_that_is_something_else_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(EnvironmentSetupError, match="found other files"):
        remove_environment(tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def test_an_environment_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "environment"
    folder.mkdir()
    (folder / "pyvenv.cfg").touch()
    remove_environment(folder)
    remove_environment(folder)
    assert not folder.exists()


def test_killed_while_it_removes_an_environment_it_goes_on_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "environment"
    (folder / "lib").mkdir(parents=True)
    (folder / "pyvenv.cfg").touch()

    def killed(there: Path, **_: object) -> None:
        (Path(there) / "pyvenv.cfg").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            folders.empty_folder(folder)
    assert len(os.listdir(tmp_path)) == 1
    folders.empty_folder(folder)
    folders.finish(folder)
    assert os.listdir(tmp_path) == ["environment"]
    assert os.listdir(folder) == []


def test_killed_while_it_makes_an_environment_it_makes_it_anew(tmp_path: Path) -> None:
    """A tool makes folders first and says last that they are an environment."""
    folder = tmp_path / "environment"
    folders.empty_folder(folder)
    (folder / "lib").mkdir()
    assert folders.is_unfinished(folder)
    folders.empty_folder(folder)
    assert os.listdir(folder) == []


def test_a_folder_in_place_of_a_half_made_one_is_not_removed(tmp_path: Path) -> None:
    folder = tmp_path / "environment"
    folders.empty_folder(folder)
    folder.rename(tmp_path / "moved")
    folder.mkdir()
    (folder / "thesis.tex").touch()
    assert not folders.is_unfinished(folder)
    with pytest.raises(EnvironmentSetupError, match="found other files"):
        folders.empty_folder(folder)
    assert (folder / "thesis.tex").exists()


def test_a_link_is_not_removed(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    (there / "pyvenv.cfg").touch()
    (tmp_path / "link").symlink_to(there)
    with pytest.raises(EnvironmentSetupError, match="found other files"):
        remove_environment(tmp_path / "link")
    assert (there / "pyvenv.cfg").exists()


def test_a_failing_tool_is_reported_with_its_last_words() -> None:
    with pytest.raises(EnvironmentSetupError, match=r"status 3:\nno such package"):
        run_tool([str(BASE), "-c", "print('no such package'); exit(3)"], {})


def test_a_missing_tool_is_reported(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentSetupError, match="could not run"):
        run_tool([str(tmp_path / "uv")], {})


def test_foreign_settings_do_not_reach_a_tool(tmp_path: Path, python: Interpreter) -> None:
    tool, seen = tmp_path / "uv", tmp_path / "seen"
    tool.write_text(f"#!/bin/sh\nenv > {seen}\nmkdir -p {tmp_path}/made\n", encoding="utf-8")
    tool.chmod(0o755)
    foreign = {"PYTHONPATH": "/isaac", "PYTHONHOME": "/isaac", "CONDA_PREFIX": "/conda"}
    environ = {**foreign, "LD_PRELOAD": "", "PATH": os.defpath, "MINE": "kept"}
    UvInstaller(tool, environ).create(python, tmp_path / "made")
    names = {line.split("=")[0] for line in seen.read_text(encoding="utf-8").splitlines()}
    assert names.isdisjoint({*foreign, "LD_PRELOAD"}) and "MINE" in names


@pytest.mark.parametrize(
    ("text", "pinned"),
    [
        ("a==1 \\\n    --hash=sha256:00\n", True),
        (
            "# why\n\na==1 --hash=sha256:00\nb==1 \\\n  --hash=sha256:1 \\\n  --hash=sha256:2\n",
            True,
        ),
        ("a==1 --hash=sha256:00\nb @ git+https://example.org/b@v1\n", False),
        ("a==1\n", False),
        ("", False),
    ],
)
def test_hashes_count_when_every_package_has_one(tmp_path: Path, text: str, pinned: bool) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(text)
    assert has_hashes(lock) is pinned


def test_every_lock_has_hashes_and_names_no_place(project_root: Path) -> None:
    locks = sorted((project_root / "requirements").glob("*.txt"))
    assert [each.stem for each in locks] == [
        "dev",
        "numpy1",
        "numpy2",
        "policy",
        "sim",
        "train",
        "uv",
    ]
    for each in locks:
        text = each.read_text(encoding="utf-8")
        assert "://" not in text, each
        assert has_hashes(each) == (each.stem != "train"), each


@pytest.mark.parametrize(
    ("side", "absent"),
    [
        ("sim", ("onnxruntime", "torch", "stable-baselines3")),
        ("policy", ("mujoco", "gymnasium", "torch")),
        ("dev", ("torch", "stable-baselines3")),
        ("numpy1", ("mujoco", "onnxruntime")),
    ],
)
def test_neither_side_gets_the_others_libraries(
    project_root: Path, side: str, absent: tuple[str, ...]
) -> None:
    lines = (project_root / "requirements" / f"{side}.txt").read_text(encoding="utf-8").splitlines()
    names = {line.split("==")[0] for line in lines if "==" in line}
    assert "numpy" in names
    assert names.isdisjoint(absent)
