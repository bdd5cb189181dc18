"""Choosing uv or pip, and what is refused."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes import Interpreter, PipInstaller, UvInstaller, choose_installer
from isthmus.runtimes.making.installers import (
    clean_environ,
    has_hashes,
    remove_environment,
    run_tool,
)

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
    uv = tmp_path / "uv" / "bin" / "uv"
    uv.parent.mkdir(parents=True)
    uv.touch()
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


def test_a_failing_tool_is_reported_with_its_last_words() -> None:
    with pytest.raises(EnvironmentSetupError, match=r"status 3:\nno such package"):
        run_tool([str(BASE), "-c", "print('no such package'); exit(3)"], {})


def test_a_missing_tool_is_reported(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentSetupError, match="could not run"):
        run_tool([str(tmp_path / "uv")], {})


def test_foreign_python_settings_do_not_reach_a_tool() -> None:
    environ = {"PYTHONPATH": "/isaac", "PYTHONHOME": "/isaac", "PATH": "/bin", "LANG": "C"}
    assert clean_environ(environ) == {"PATH": "/bin", "LANG": "C"}


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
