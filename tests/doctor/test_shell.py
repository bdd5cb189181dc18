"""A shell broken in each known way is named, with its fix; a healthy one is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from isthmus.doctor import Report
from isthmus.runtimes import Environment, find_interpreters, newest_of_each_minor
from isthmus.runtimes.interpreters import probe

from ..support.fake_isaac import build_fake_isaac
from .conftest import Only, Project


def faults(report: Report) -> list[str]:
    return [each.id for each in report.faults]


def library(environment: Environment) -> Path:
    """The standard library of the Python an environment was made from."""
    interpreter = probe(environment.python)
    assert interpreter is not None
    return interpreter.path.parent.parent / "lib" / f"python{interpreter.minor}"


def test_a_healthy_project_has_no_faults(two_sides: Project) -> None:
    report = two_sides.diagnose()
    assert faults(report) == []
    assert report.is_healthy
    assert report.variables == ()
    sim, policy = report.runtimes
    assert (sim.name, policy.name) == ("sim", "policy")
    assert sim.version != policy.version
    assert sim.numpy and policy.numpy
    assert sim.interface == policy.interface == report.model_interface != ""
    assert sim.wire == policy.wire > 0


def test_own_folders_on_pythonpath_are_no_fault(two_sides: Project) -> None:
    (two_sides.folder / "src").mkdir()
    report = two_sides.diagnose(PYTHONPATH=str(two_sides.folder / "src"))
    assert report.is_healthy
    assert [each.name for each in report.variables] == ["PYTHONPATH"]


def test_foreign_standard_library(
    two_sides: Project, oldest_python: Environment, only: Only
) -> None:
    path = f"{library(oldest_python)}{os.pathsep}{library(oldest_python) / 'lib-dynload'}"
    report = two_sides.diagnose(PYTHONPATH=path)
    assert faults(report) == ["foreign-stdlib"]
    found = only(report, "foreign-stdlib")
    assert found.where == "shell"
    assert f"PYTHONPATH has {library(oldest_python)}: the standard library of Python" in " ".join(
        found.evidence
    )
    broken = [line for line in found.evidence if line.startswith("breaks ")]
    assert len(broken) == 1 and broken[0].startswith("breaks policy (Python 3.")
    assert found.fix[0] == "In this shell: `unset PYTHONPATH`."


def test_pythonhome(two_sides: Project, oldest_python: Environment, only: Only) -> None:
    report = two_sides.diagnose(PYTHONHOME=str(library(oldest_python).parent.parent))
    assert faults(report) == ["pythonhome"]
    found = only(report, "pythonhome")
    assert found.fix[0] == "In this shell: `unset PYTHONHOME`."
    assert any(line.startswith("breaks policy") for line in found.evidence)


def test_both_are_named_although_either_is_fatal(
    two_sides: Project, oldest_python: Environment
) -> None:
    folder = library(oldest_python)
    report = two_sides.diagnose(PYTHONPATH=str(folder), PYTHONHOME=str(folder.parent.parent))
    assert sorted(faults(report)) == ["foreign-stdlib", "pythonhome"]


def test_every_python_that_another_one_breaks(project: Project) -> None:
    """All ordered pairs of this machine's Pythons, by library and by home."""
    found = newest_of_each_minor(find_interpreters())
    if len(found) < 2:
        pytest.skip("needs two Pythons")
    project.write(
        "\n".join(f'[runtime.py3{each.version[1]}]\npython = "{each.path}"' for each in found)
    )
    assert project.diagnose().is_healthy
    for other in found:
        home = other.path.parent.parent
        report = project.diagnose(
            PYTHONPATH=str(home / "lib" / f"python{other.minor}"), PYTHONHOME=str(home)
        )
        others = sorted(f"py3{each.version[1]}" for each in found if each is not other)
        for kind in ("foreign-stdlib", "pythonhome"):
            seen = [line for each in report.faults if each.id == kind for line in each.evidence]
            assert sorted(line.split()[1] for line in seen if line.startswith("breaks ")) == others


def test_same_minor_shadow(
    two_sides: Project, newest_python: Environment, tmp_path: Path, only: Only
) -> None:
    """Another build of the same version, as Isaac Sim's 3.12 beside conda's."""
    shadow = tmp_path / "kit" / "python" / "lib" / library(newest_python).name
    shadow.parent.mkdir(parents=True)
    # A build of its own in all that matters: another folder with the same files.
    shadow.mkdir()
    for entry in library(newest_python).iterdir():
        if entry.name != "site-packages":
            (shadow / entry.name).symlink_to(entry)
    two_sides.write(f'[runtime.policy]\npython = "{newest_python.python}"')
    report = two_sides.diagnose(PYTHONPATH=str(shadow))
    assert faults(report) == ["same-minor-shadow"]
    found = only(report, "same-minor-shadow")
    assert "Isaac Sim's setup_python_env.sh" in " ".join(found.evidence)
    assert found.fix[0] == "In this shell: `unset PYTHONPATH`."


def test_packages_of_another_version(
    two_sides: Project, oldest_python: Environment, only: Only
) -> None:
    site = oldest_python.python.parent.parent / "lib" / f"python{oldest_python.minor}"
    report = two_sides.diagnose(PYTHONPATH=str(site / "site-packages"))
    assert faults(report) == ["foreign-extension"]
    assert "policy" in " ".join(only(report, "foreign-extension").evidence)


def test_conda_that_no_runtime_asks_for(two_sides: Project, only: Only) -> None:
    active = {"CONDA_PREFIX": "/opt/conda", "CONDA_SHLVL": "1", "CONDA_DEFAULT_ENV": "base"}
    report = two_sides.diagnose(**active)
    assert faults(report) == ["conda-active"]
    assert "conda deactivate" in only(report, "conda-active").fix[0]
    assert set(active) == {each.name for each in report.variables}


def test_conda_that_a_runtime_is(two_sides: Project, oldest_python: Environment) -> None:
    prefix = str(oldest_python.python.parent.parent)
    assert two_sides.diagnose(CONDA_PREFIX=prefix, CONDA_SHLVL="1").is_healthy
    assert two_sides.diagnose(CONDA_PREFIX="/opt/conda", CONDA_SHLVL="0").is_healthy


def test_ros_that_no_runtime_asks_for(two_sides: Project, only: Only) -> None:
    sourced = {
        "ROS_DISTRO": "humble",
        "AMENT_PREFIX_PATH": "/opt/ros/humble",
        # Of a version that neither runtime has: it is said once, as ROS.
        "PYTHONPATH": "/opt/ros/humble/lib/python3.9/site-packages",
    }
    report = two_sides.diagnose(**sourced)
    assert faults(report) == ["ros-sourced"]
    found = only(report, "ros-sourced")
    assert "PYTHONPATH has /opt/ros/humble/lib/python3.9/site-packages" in found.evidence
    assert any("ros = true" in step for step in found.fix)


def test_ros_that_a_runtime_asks_for(two_sides: Project) -> None:
    text = (two_sides.folder / "isthmus.toml").read_text(encoding="utf-8")
    two_sides.write(f"{text}\n[runtime.sim.env]\nros = true\n")
    assert two_sides.diagnose(ROS_DISTRO="humble", AMENT_PREFIX_PATH="/opt/ros/humble").is_healthy


def test_the_line_that_sets_it_is_to_be_taken_out(
    two_sides: Project, oldest_python: Environment, home: Path, only: Only
) -> None:
    folder = library(oldest_python)
    (home / ".bashrc").write_text(f'# mine\nexport PYTHONPATH="{folder}"\n', encoding="utf-8")
    found = only(two_sides.diagnose(PYTHONPATH=str(folder)), "foreign-stdlib")
    assert f'set by ~/.bashrc:2: export PYTHONPATH="{folder}"' in found.evidence
    assert f"For good: take out {home / '.bashrc'}:2." in found.fix


def test_isaac_sims_script_sourced_in_the_shell(
    two_sides: Project, oldest_python: Environment, tmp_path: Path, home: Path, only: Only
) -> None:
    """Its bundled Python is found whole; every other one is broken, and said to be once."""
    isaac = build_fake_isaac(tmp_path / "isaac-sim", Path(os.path.realpath(oldest_python.python)))
    (home / ".bashrc").write_text(f"source {isaac.root}/setup_python_env.sh\n", encoding="utf-8")
    text = (two_sides.folder / "isthmus.toml").read_text(encoding="utf-8")
    prefix = str(oldest_python.python.parent.parent)
    two_sides.write(text.replace(prefix, str(isaac.root)))
    # This one has no numpy, without which it could not hold the contract.
    assert [each.id for each in two_sides.diagnose().faults] == ["no-numpy"]

    path = os.pathsep.join(map(str, isaac.pythonpath))
    report = two_sides.diagnose(PYTHONPATH=path, ISAAC_PATH=str(isaac.root))
    assert faults(report) == ["foreign-stdlib", "no-numpy"]
    found = only(report, "foreign-stdlib")
    broken = [line for line in found.evidence if line.startswith("breaks ")]
    assert [line.split()[1] for line in broken] == ["policy"]
    assert f"For good: take out {home / '.bashrc'}:1." in found.fix
    assert {each.name for each in report.variables} == {"PYTHONPATH", "ISAAC_PATH"}


def test_nothing_of_it_reaches_the_runtimes(two_sides: Project, oldest_python: Environment) -> None:
    """What breaks the shell breaks no runtime: each still answers, with its own numpy."""
    whole = two_sides.diagnose()
    broken = two_sides.diagnose(
        PYTHONHOME=str(library(oldest_python).parent.parent),
        PYTHONPATH=str(library(oldest_python)),
        CONDA_PREFIX="/opt/conda",
    )
    assert broken.runtimes == whole.runtimes
