"""Who set a variable: the process, the line of a start-up file, the script known by its value."""

from __future__ import annotations

from pathlib import Path

import pytest

from isthmus.doctor.ancestors import ancestors, setter_of
from isthmus.doctor.origins import Origins, Places
from isthmus.doctor.startup_files import find_lines, startup_files

from .conftest import write_process

KIT = "/home/user/isaacsim/kit/python/lib/python3.11"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    folder = tmp_path / "proc"
    write_process(folder, 1, 0, "init", {})
    write_process(folder, 10, 1, "login", {"A": "1"})
    write_process(folder, 20, 10, "bash", {"A": "1"})
    write_process(folder, 30, 20, "isthmus", {"A": "1", "PYTHONPATH": KIT})
    return folder


def test_ancestors_are_listed_from_the_nearest(proc: Path) -> None:
    assert [(each.pid, each.name) for each in ancestors(proc, 30)] == [
        (20, "bash"),
        (10, "login"),
        (1, "init"),
    ]


def test_the_setter_is_the_nearest_that_was_started_without_it(proc: Path) -> None:
    parents = ancestors(proc, 30)
    setter = setter_of("PYTHONPATH", KIT, parents)
    assert setter is not None and str(setter) == "bash (process 20)"
    setter = setter_of("A", "1", parents)
    assert setter is not None and setter.pid == 1
    # Another value counts as not having it.
    setter = setter_of("A", "2", parents)
    assert setter is not None and setter.pid == 20


def test_what_cannot_be_read_is_not_guessed(tmp_path: Path) -> None:
    write_process(tmp_path, 10, 0, "sshd", None)
    write_process(tmp_path, 20, 10, "bash", {"A": "1"})
    write_process(tmp_path, 30, 20, "isthmus", {})
    assert setter_of("A", "1", ancestors(tmp_path, 30)) is None
    places = Places(tmp_path, tmp_path, tmp_path, tmp_path, 30)
    text = Origins({"A": "1"}, places).of("A").text
    assert text == "set above sshd (process 10), whose environment is not ours to read"


def test_a_damaged_chain_of_parents_ends(tmp_path: Path) -> None:
    write_process(tmp_path, 30, 31, "a", {})
    write_process(tmp_path, 31, 30, "b", {})
    assert len(ancestors(tmp_path, 30)) <= 64
    assert ancestors(tmp_path / "nowhere", 30) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("export PYTHONPATH=/x", True),
        ("PYTHONPATH=/x python a.py", True),
        ("export A=1 PYTHONPATH=/x", True),
        ("PYTHONPATH+=:/x", True),
        ("[ -d /x ] && export PYTHONPATH=/x", True),
        ("set -gx PYTHONPATH /x", True),
        ("PYTHONPATH DEFAULT=/x", True),
        ("PYTHONPATH /x", False),
        ("# export PYTHONPATH=/x", False),
        ("export MYPYTHONPATH=/x", False),
        ("export PYTHONPATH_OLD=/x", False),
        ("echo $PYTHONPATH", False),
    ],
)
def test_lines_that_set_a_variable(tmp_path: Path, text: str, found: bool) -> None:
    file = tmp_path / ".bashrc"
    file.write_text(f"\n{text}\n", encoding="utf-8")
    lines = find_lines([file], "PYTHONPATH")
    assert [(line.number, line.text) for line in lines] == ([(2, text)] if found else [])


def test_start_up_files_of_every_shell_login_and_folder(tmp_path: Path) -> None:
    home, system, folder = tmp_path / "home", tmp_path / "etc", tmp_path / "a" / "b"
    names = [home / ".zshrc", home / ".config/fish/config.fish", system / "profile.d/ros.sh"]
    names += [system / "environment", tmp_path / "a" / ".envrc", tmp_path / "script.sh"]
    for name in names:
        name.parent.mkdir(parents=True, exist_ok=True)
        name.touch()
    folder.mkdir(parents=True)
    environ = {"BASH_ENV": str(tmp_path / "script.sh")}
    assert set(startup_files(environ, home, system, folder)) == set(names)


def test_an_unreadable_file_and_one_that_is_no_text_are_passed_over(tmp_path: Path) -> None:
    binary = tmp_path / "profile"
    binary.write_bytes(b"\xff\xfe\x00" * 100)
    assert find_lines([binary, tmp_path / "gone"], "A") == []


RECOGNISED = {
    ("PYTHONPATH", KIT): "set by Isaac Sim's setup_python_env.sh, ",
    ("LD_PRELOAD", "/x/kit/libcarb.so"): "set by Isaac Sim's setup_python_env.sh, ",
    ("ISAAC_PATH", "/x"): "set by Isaac Sim's setup_conda_env.sh, ",
    ("CONDA_PREFIX", "/opt/conda"): "set by conda activate, ",
    ("PYTHONPATH", "/opt/ros/humble/lib/python3.10/site-packages"): "set by ROS's setup script, ",
    ("AMENT_PREFIX_PATH", "/ws/install"): "set by a ROS setup script, ",
    ("VIRTUAL_ENV", "/x/.venv"): "set by a virtual environment's activate script, ",
    ("PYTHONHOME", "/x"): "set in bash",
}


@pytest.mark.parametrize(("name", "value"), RECOGNISED)
def test_well_known_scripts_are_known_by_what_they_set(
    proc: Path, tmp_path: Path, name: str, value: str
) -> None:
    places = Places(proc, tmp_path / "etc", tmp_path, tmp_path, 30)
    text = Origins({name: value}, places).of(name).text
    assert text.startswith(RECOGNISED[name, value])
    assert text.endswith("in bash (process 20)")


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("source /opt/ros/humble/setup.bash", "ROS_DISTRO", "humble"),
        ("conda activate sim", "CONDA_PREFIX", "/opt/conda/envs/sim"),
        ("""__conda_setup="$('/opt/conda/bin/conda' 'shell.bash' 'hook')" """, "CONDA_EXE", "/c"),
        (". ~/isaacsim/setup_python_env.sh", "PYTHONPATH", KIT),
        ("source ~/project/.venv/bin/activate", "VIRTUAL_ENV", "/home/user/project/.venv"),
    ],
)
def test_the_line_that_calls_the_script_is_found(
    proc: Path, tmp_path: Path, line: str, name: str, value: str
) -> None:
    (tmp_path / ".bashrc").write_text(f"alias x=y\n{line}\n", encoding="utf-8")
    places = Places(proc, tmp_path / "etc", tmp_path, tmp_path, 30)
    origin = Origins({name: value}, places).of(name)
    assert origin.text == f"set by ~/.bashrc:2: {line.strip()}"
    assert origin.line is not None and origin.line.number == 2


def test_of_several_lines_the_one_with_the_value_is_named(proc: Path, tmp_path: Path) -> None:
    text = "export PYTHONPATH=/other\nexport PYTHONPATH=$HOME/kit:$PYTHONPATH\n"
    (tmp_path / ".bashrc").write_text(text, encoding="utf-8")
    places = Places(proc, tmp_path / "etc", tmp_path, tmp_path, 30)
    origins = Origins({"PYTHONPATH": f"{tmp_path}/kit:/x"}, places)
    assert "~/.bashrc:2:" in origins.of("PYTHONPATH").text


def test_a_list_that_many_set_names_no_line_without_the_element(proc: Path, tmp_path: Path) -> None:
    (tmp_path / ".profile").write_text('PATH="$HOME/bin:$PATH"\n', encoding="utf-8")
    places = Places(proc, tmp_path / "etc", tmp_path, tmp_path, 30)
    origin = Origins({"PATH": "/opt/x/bin:/bin"}, places).of("PATH", "/opt/x/bin")
    assert origin.line is None
