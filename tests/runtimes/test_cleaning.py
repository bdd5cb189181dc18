"""What is dropped from a caller's environment, element by element, and what passes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from isthmus.runtimes.cleaning import (
    LIST_VARIABLES,
    ROS_RULES,
    RULES,
    ForeignRoot,
    Rule,
    clean,
    ros_pythonpath,
)
from isthmus.runtimes.roots import find_foreign_libraries, find_roots

# A user's own, each of which some clean-up somewhere takes away.
OWN = {
    "HOME": "/home/ada",
    "USER": "ada",
    "SHELL": "/bin/bash",
    "TERM": "xterm-256color",
    "LANG": "C.UTF-8",
    "DISPLAY": ":0",
    "WAYLAND_DISPLAY": "wayland-0",
    "XAUTHORITY": "/home/ada/.Xauthority",
    "SSH_AUTH_SOCK": "/run/user/1000/keyring/ssh",
    "CUDA_VISIBLE_DEVICES": "1",
    "NVIDIA_VISIBLE_DEVICES": "all",
    "OMP_NUM_THREADS": "4",
    "HTTPS_PROXY": "http://proxy:3128",
    "PIP_INDEX_URL": "https://example.invalid/simple",
    "SSL_CERT_FILE": "/etc/ssl/cert.pem",
    "PYTHONUNBUFFERED": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONWARNINGS": "error",
    "OMNI_KIT_ACCEPT_EULA": "YES",
    "ISAAC_SIM_ROOT": "/opt/isaac-sim",
    "PYENV_ROOT": "/home/ada/.pyenv",
    "ISTHMUS_RUN_ID": "20261123-1",
    "RESOURCE_NAME": "my-window",
    "ENV": "production",
    "EMPTY": "",
    "PATH": "/home/ada/bin:/usr/local/bin:/usr/bin:/bin",
    "LD_LIBRARY_PATH": "/usr/local/cuda/lib64",
}


def names_of(rule: Rule) -> list[str]:
    """Name variables that a rule is about."""
    if "*" not in rule.pattern:
        return [rule.pattern]
    return [rule.pattern.replace("*", end) for end in ("", "X", "LONG_NAME")]


def test_a_users_own_environment_passes_as_it_is() -> None:
    cleaned = clean(OWN)
    assert cleaned.environ == OWN
    assert cleaned.dropped == ()


@pytest.mark.parametrize("rule", [*RULES, *ROS_RULES], ids=lambda rule: rule.pattern)
def test_every_rule_drops_what_it_names_and_says_why(rule: Rule) -> None:
    for name in names_of(rule):
        value = rule.value.replace("*", "x") or "/somewhere/else"
        cleaned = clean({**OWN, name: value})
        assert name not in cleaned.environ
        (dropped,) = cleaned.dropped
        assert (dropped.name, dropped.value) == (name, value)
        assert dropped.why
        assert cleaned.environ == {key: OWN[key] for key in OWN if key != name}


@pytest.mark.parametrize("rule", [*RULES, *ROS_RULES], ids=lambda rule: rule.pattern)
def test_every_rule_can_be_overruled(rule: Rule) -> None:
    for name in names_of(rule):
        given = {**OWN, name: rule.value.replace("*", "x") or "/somewhere/else"}
        assert clean(given, keep=(name,)).environ == given
        assert clean(given, keep=(f"{name[:3]}*",)).environ == given


def test_the_facts_are_in_the_table() -> None:
    """The variables that are known to bring one Python into another."""
    known = """PYTHONHOME PYTHONPATH PYTHONEXECUTABLE PYTHONUSERBASE PYTHONSTARTUP OLD_PYTHONPATH
        __PYVENV_LAUNCHER__ PYTHONEXE PYTHONPLATLIBDIR PYTHONCASEOK VIRTUAL_ENV VIRTUAL_ENV_PROMPT
        CONDA_PREFIX CONDA_PREFIX_1 CONDA_DEFAULT_ENV CONDA_SHLVL CONDA_EXE CONDA_PYTHON_EXE _CE_M
        _CE_CONDA MAMBA_EXE MAMBA_ROOT_PREFIX LD_PRELOAD LD_AUDIT BASH_ENV ENV
        CARB_APP_PATH EXP_PATH ISAAC_PATH AMENT_PREFIX_PATH COLCON_PREFIX_PATH ROS_DISTRO
        ROS_VERSION ROS_PYTHON_VERSION RMW_IMPLEMENTATION""".split()
    environ = {name: "/x" for name in known} | {"RESOURCE_NAME": "IsaacSim"}
    assert clean(environ).environ == {}


@pytest.mark.parametrize("name", LIST_VARIABLES)
@pytest.mark.parametrize("root", ["PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX", "ISAAC_PATH"])
def test_lists_lose_what_lies_inside_a_folder_that_a_variable_names(name: str, root: str) -> None:
    value = (
        "/keep/first:/other/env/bin:/other/env:/other/environment/bin:/other/env/./lib/:/usr/bin"
    )
    cleaned = clean({"HOME": "/home/ada", root: "/other/env/", name: value})
    assert cleaned.environ[name] == "/keep/first:/other/environment/bin:/usr/bin"
    lost = [each.value for each in cleaned.dropped if each.name == name]
    assert lost == ["/other/env/bin", "/other/env", "/other/env/./lib/"]
    assert all(f"{root}=/other/env" in each.why for each in cleaned.dropped if each.name == name)


def test_a_list_of_which_nothing_is_left_is_not_there() -> None:
    # An empty LD_LIBRARY_PATH is none; an empty element is the current folder.
    given = {"VIRTUAL_ENV": "/v", "LD_LIBRARY_PATH": ":/v/lib"}
    assert clean(given).environ == {}
    assert clean({"LD_LIBRARY_PATH": ""}).environ == {"LD_LIBRARY_PATH": ""}


def test_a_kept_list_loses_nothing_and_a_kept_root_is_nobody_elses() -> None:
    given = {"VIRTUAL_ENV": "/v", "PATH": "/v/bin:/usr/bin", "LD_LIBRARY_PATH": "/v/lib"}
    assert clean(given, keep=("PATH",)).environ == {"PATH": "/v/bin:/usr/bin"}
    assert clean(given, keep=("VIRTUAL_ENV",)).environ == given


@pytest.mark.parametrize("home", ["/", "/usr", "/usr/local", "/home", "/home/ada", "relative", ""])
def test_a_folder_that_everybody_shares_makes_nothing_foreign(home: str) -> None:
    path = "/home/ada/bin:/usr/local/bin:/usr/bin:relative/bin"
    cleaned = clean({"HOME": "/home/ada", "PYTHONHOME": home, "PATH": path})
    assert cleaned.environ["PATH"] == path


def test_pythonhome_may_name_two_folders() -> None:
    given = {"PYTHONHOME": "/a/prefix:/b/exec", "PATH": "/a/prefix/bin:/b/exec/bin:/usr/bin"}
    assert clean(given).environ == {"PATH": "/usr/bin"}


ROS = {
    "AMENT_PREFIX_PATH": "/home/ada/ws/install/arm:/opt/ros/jazzy",
    "ROS_DISTRO": "jazzy",
    "PATH": "/opt/ros/jazzy/bin:/usr/bin",
    "LD_LIBRARY_PATH": "/home/ada/ws/install/arm/lib:/opt/ros/jazzy/lib:/usr/local/cuda/lib64",
    "CMAKE_PREFIX_PATH": "/opt/ros/jazzy:/home/ada/own",
    "PYTHONPATH": (
        "/home/ada/ws/install/arm/lib/python3.12/site-packages:/opt/ros/jazzy/lib/python3.12/"
        "site-packages:/opt/ros/jazzy/lib/python3.10/site-packages:/kit/python3.12:/opt/ros/plain"
    ),
}


def test_ros_passes_only_when_it_is_asked_for() -> None:
    assert clean(ROS).environ == {
        "PATH": "/usr/bin",
        "LD_LIBRARY_PATH": "/usr/local/cuda/lib64",
        "CMAKE_PREFIX_PATH": "/home/ada/own",
    }
    asked = clean(ROS, ros=True)
    assert asked.environ == {name: ROS[name] for name in ROS if name != "PYTHONPATH"}


def test_ros_brings_the_packages_of_the_right_python_only() -> None:
    jazzy = "/opt/ros/jazzy/lib/python3.12/site-packages"
    arm = "/home/ada/ws/install/arm/lib/python3.12/site-packages"
    assert ros_pythonpath(ROS, "3.12") == (arm, jazzy, "/opt/ros/plain")
    assert ros_pythonpath(ROS, "3.11") == ("/opt/ros/plain",)
    assert ros_pythonpath({"PYTHONPATH": "/kit"}, "3.12") == ()


def test_nothing_that_is_handed_in_is_changed() -> None:
    given = {"PYTHONPATH": "/x", "PATH": "/v/bin:/bin"}
    before = dict(given)
    clean(given, foreign_roots=[ForeignRoot("/v", "found")])
    assert given == before


def folder(path: Path, *marks: str) -> Path:
    for mark in marks:
        (path / mark).parent.mkdir(parents=True, exist_ok=True)
        (path / mark).touch()
    (path / "bin").mkdir(parents=True, exist_ok=True)
    return path


@pytest.mark.parametrize(
    ("marks", "what"),
    [
        (("pyvenv.cfg",), "virtual environment"),
        (("conda-meta",), "conda environment"),
        (("python.sh", "setup_python_env.sh"), "Isaac Sim"),
    ],
)
@pytest.mark.parametrize("inner", ["bin", ".", "lib/python3.11/site-packages/nvidia/lib"])
def test_what_is_left_of_an_environment_on_a_list_is_found_by_looking(
    tmp_path: Path, marks: tuple[str, ...], what: str, inner: str
) -> None:
    foreign = folder(tmp_path / "foreign", *marks)
    own = folder(tmp_path / "own", "python.sh")  # half the marks is somebody's own script
    environ = {
        "HOME": str(tmp_path / "home"),
        "PATH": f"{own}/bin:{foreign}/{inner}:/usr/bin",
        "LD_LIBRARY_PATH": f"{foreign}/{inner}:{own}",
    }
    roots = find_roots(environ)
    assert [root.path for root in roots] == [str(foreign)]
    cleaned = clean(environ, foreign_roots=roots)
    assert cleaned.environ["PATH"] == f"{own}/bin:/usr/bin"
    assert cleaned.environ["LD_LIBRARY_PATH"] == str(own)
    assert all(what in each.why for each in cleaned.dropped)


def test_a_home_that_is_an_environment_is_still_a_home(tmp_path: Path) -> None:
    home = folder(tmp_path / "home", "pyvenv.cfg")
    environ = {"HOME": str(home), "PATH": f"{home}/bin:{home}/tools:/usr/bin"}
    assert find_roots(environ) == ()


def test_lists_with_holes_and_relative_folders_are_no_trouble(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "PATH": ":relative::/nowhere/at/all:", "LD_LIBRARY_PATH": ":"}
    assert find_roots(environ) == ()
    assert find_foreign_libraries(environ, tmp_path / "bin" / "python") == ()
    assert clean(environ).environ == environ


def test_libraries_of_another_python_are_told_from_its_own(tmp_path: Path) -> None:
    for name in ("own", "other"):
        folder(tmp_path / name, "lib/libpython3.11.so.1.0", "bin/python3.11")
    folder(tmp_path / "cuda", "lib/libcudart.so")
    libraries = [str(tmp_path / name / "lib") for name in ("own", "other", "cuda")]
    environment = tmp_path / "environment" / "bin"
    environment.mkdir(parents=True)
    (environment / "python").symlink_to(tmp_path / "own" / "bin" / "python3.11")
    environ = {"LD_LIBRARY_PATH": ":".join(libraries)}
    found = find_foreign_libraries(environ, environment / "python")
    assert [root.path for root in found] == [libraries[1]]
    assert re.search("libpython", found[0].why)
    left = clean(environ, foreign_roots=found).environ["LD_LIBRARY_PATH"]
    assert left == f"{libraries[0]}:{libraries[2]}"
