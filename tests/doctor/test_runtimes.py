"""What is wrong with a runtime by itself: missing, broken, stale, unfit; and what --fix does."""

from __future__ import annotations

import json
import os
import tempfile
import textwrap
from pathlib import Path

import pytest

from isthmus.doctor.agreement import agreement_findings
from isthmus.doctor.inquiry import Inquiry
from isthmus.doctor.inspection import _shared_memory
from isthmus.doctor.machine import machine_findings, measure
from isthmus.doctor.remedies import mend
from isthmus.doctor.report import Machine
from isthmus.runtimes import Environment
from isthmus.runtimes.manifest import load_manifest
from isthmus.runtimes.settings import ContractSettings
from isthmus.runtimes.state import StateFolder

from ..support.pythons import executable, make_wheel, only_from, real_uv
from .conftest import Only, Project

__all__ = ["real_uv"]  # a fixture


def test_an_interpreter_that_is_not_there(project: Project, only: Only) -> None:
    project.write('[runtime.sim]\npython = "/nowhere/python"')
    report = project.diagnose()
    found = only(report, "runtime-missing")
    assert found.where == "runtime sim"
    assert "/nowhere/python" in found.evidence[0]
    assert report.runtimes[0].python == ""


def test_a_state_folder_that_cannot_be_written(
    project: Project, newest_python: Environment, only: Only
) -> None:
    project.state.root.write_text("no folder", encoding="utf-8")
    project.write(f'[runtime.sim]\npython = "{newest_python.python}"')
    found = only(project.diagnose(), "state-unwritable")
    assert str(project.state.root) in found.evidence[0]
    project.write('[runtime.sim]\npython = ">=3.10"')
    assert only(project.diagnose(), "state-unwritable").where == "runtime sim"


def test_an_interpreter_that_dies(project: Project, only: Only) -> None:
    python = project.folder / "python"
    python.write_text("#!/bin/sh\necho out of order >&2\nexit 3\n", encoding="utf-8")
    python.chmod(0o755)
    project.write('[runtime.sim]\npython = "./python"')
    found = only(project.diagnose(), "runtime-broken")
    assert "out of order" in found.evidence[0]


def test_an_interpreter_that_dies_of_a_known_fault(project: Project, only: Only) -> None:
    python = project.folder / "python"
    text = f'#!/bin/sh\nPYTHONHOME=/nowhere exec {base_python()} "$@"\n'
    python.write_text(text, encoding="utf-8")
    python.chmod(0o755)
    project.write('[runtime.sim]\npython = "./python"')
    found = only(project.diagnose(), "pythonhome")
    assert found.where == "runtime sim"


def test_what_the_manifest_asks_for_and_the_runtime_is_not(
    project: Project, newest_python: Environment, only: Only
) -> None:
    project.write(
        f"""
        [runtime.sim]
        python = "{newest_python.python}"
        requires-python = "<3.10"
        must_import = ["numpy", "isaacsim"]
        forbid_import = ["wave"]
        """
    )
    report = project.diagnose()
    assert sorted(each.id for each in report.faults) == ["must-import", "requires-python"]
    assert any("[runtime.sim]" in step for step in only(report, "requires-python").fix)
    found = only(report, "must-import")
    assert "isaacsim" in found.evidence[0]
    assert any("ISAAC_SIM_ROOT" in step for step in found.fix)
    assert only(report, "forbidden-present").level == "note"


def test_a_folder_of_another_python_on_the_runtimes_own_path(
    project: Project, oldest_python: Environment, newest_python: Environment, only: Only
) -> None:
    site = next((oldest_python.python.parent.parent / "lib").glob("python3*/site-packages"))
    project.write(f'[runtime.sim]\npython = "{newest_python.python}"\npythonpath = ["{site}"]')
    assert str(site) in only(project.diagnose(), "foreign-path").evidence[0]


@pytest.fixture
def packages(project: Project, tmp_path: Path, real_uv: Path) -> Path:
    """A folder of packages, the only place to get any from; and uv, which may not download."""
    make_wheel(tmp_path / "packages", "tiny", "1.0")
    # Beside no other program: PATH loses what lies in a virtual environment.
    uv = executable(tmp_path / "bin" / "uv", f"#!/bin/sh\nexec '{real_uv}' \"$@\"\n")
    project.environ |= {
        **only_from(tmp_path / "packages"),
        "PATH": f"{uv.parent}:/usr/bin:/bin",
        "UV_CACHE_DIR": str(tmp_path / "cache"),
    }
    return tmp_path / "packages"


def test_an_environment_that_is_not_built_is_built_by_fix(
    project: Project, packages: Path, only: Only
) -> None:
    manifest = f'[runtime.sim]\npython = "{base_python()}"\nrequirements = ["tiny{{}}"]\n'
    project.write(manifest.format(""))
    report = project.diagnose()
    assert only(report, "environment-not-built").mends
    assert not (project.state.root / "envs" / "sim").exists()
    assert "built the environment of sim" in fix(project)
    assert project.diagnose().is_healthy

    project.write(manifest.format(">=1"))
    assert only(project.diagnose(), "lock-stale").mends
    assert "built the environment of sim" in fix(project)
    assert project.diagnose().is_healthy

    (package,) = project.state.environments.glob("sim/lib/python3*/site-packages/tiny.py")
    package.unlink()
    found = only(project.diagnose(), "environment-stale")
    assert found.mends and "tiny.py" in found.evidence[0]
    assert "built the environment of sim" in fix(project)
    assert project.diagnose().is_healthy and package.exists()

    (project.state.environments / "sim" / "isthmus-environment.json").unlink()
    assert only(project.diagnose(), "environment-not-built").mends


def fix(project: Project) -> str:
    manifest = load_manifest(project.folder / "isthmus.toml", project.environ)
    findings = project.diagnose().findings
    done = mend(manifest, project.state, project.environ, findings, lambda line: None)
    return "\n".join(done)


def test_fix_says_what_it_could_not_do(project: Project, packages: Path) -> None:
    project.write(f'[runtime.sim]\npython = "{base_python()}"\nrequirements = ["nowhere"]')
    assert "could not build the environment of sim" in fix(project)


def test_fix_removes_dead_runs_and_stale_answers_only(
    project: Project, newest_python: Environment
) -> None:
    import fcntl

    project.write(f'[runtime.sim]\npython = "{newest_python.python}"')
    for name in ("dead", "gone", "alive"):
        (project.state.up / f"{name}.json").write_text("{}", encoding="utf-8")
    (project.state.up / "dead.lock").touch()
    stale = project.state.probes / "stale.json"
    stale.write_text(json.dumps({"identities": {"/nowhere": ["/nowhere", 1, 2]}}), encoding="utf-8")
    torn = project.state.probes / "torn.json"
    torn.write_text('{"identi', encoding="utf-8")
    with (project.state.up / "alive.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = fix(project)
    assert "run dead" in done and "run gone" in done and "alive" not in done
    assert [each.name for each in sorted(project.state.up.glob("*.json"))] == ["alive.json"]
    assert not stale.exists() and not torn.exists()
    # What was answered just now is still true, and stays.
    assert list(project.state.probes.glob("*.json"))
    assert fix(project) == "removed the record of run alive, which is over"


def test_fix_touches_nothing_without_a_project(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    assert mend(None, state, {}, (), lambda line: None) == []
    assert not state.root.exists()


def test_user_site_packages_in_place_of_a_runtimes_own(
    project: Project, oldest_python: Environment, home: Path, only: Only
) -> None:
    """A bare interpreter reads the user site; a virtual environment does not."""
    base = Path(os.path.realpath(oldest_python.python))
    site = home / ".local" / "lib" / f"python{oldest_python.minor}" / "site-packages"
    (site / "numpy-0.1.dist-info").mkdir(parents=True)
    (site / "wheel-0.1.dist-info").mkdir()
    own = project.folder / "own"
    (own / "numpy-9.9.dist-info").mkdir(parents=True)
    text = f'[runtime.sim]\npython = "{{}}"\npythonpath = ["{own}"]\n'
    project.write(text.format(base))
    found = only(project.diagnose(), "user-site")
    assert "numpy 0.1 in place of 9.9" in found.evidence
    assert not any("wheel" in line for line in found.evidence)
    assert "`export PYTHONNOUSERSITE=1`" in found.fix[0]
    assert project.diagnose(PYTHONNOUSERSITE="1").is_healthy
    project.write(text.format(oldest_python.python))
    assert project.diagnose().is_healthy


@pytest.mark.parametrize(
    ("numpy", "error", "expected"),
    [
        (
            "2.1.0",
            "numpy.dtype size changed, may indicate binary incompatibility. "
            "Expected 96 from C header, got 88 from PyObject",
            "numpy-abi-1",
        ),
        ("1.24.4", "No module named 'numpy.exceptions'", "numpy-too-old"),
    ],
)
def test_a_package_that_does_not_fit_numpy_is_tried_and_named(
    project: Project,
    newest_python: Environment,
    only: Only,
    numpy: str,
    error: str,
    expected: str,
) -> None:
    """The package says which numpy it wants, and its import says the rest."""
    wants = "<2" if numpy.startswith("2") else ">=2"
    make_package(project.folder / "lib", "numpy", numpy, "", "")
    make_package(
        project.folder / "lib", "unfit", "3.1", f"numpy{wants}", f"raise ImportError({error!r})"
    )
    make_package(project.folder / "lib", "fine", "1.0", f"numpy{wants}", "")
    make_package(project.folder / "lib", "other", "1.0", f"numpy{wants}", "import nowhere")
    make_package(project.folder / "lib", "loud", "1.0", "numpy>=1.20", "raise SystemExit(1)")
    project.write(f'[runtime.sim]\npython = "{newest_python.python}"\npythonpath = ["lib"]')
    found = only(project.diagnose(), expected)
    assert found.where == "runtime sim"
    assert found.evidence[:2] == (f"here is numpy {numpy}", f"unfit 3.1 asks for numpy {wants}")
    assert not any(name in " ".join(found.evidence) for name in ("fine", "other", "loud"))


def test_a_package_that_takes_the_process_with_it_is_named(
    project: Project, newest_python: Environment, only: Only
) -> None:
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    make_package(project.folder / "lib", "numpy", "2.1.0", "", "")
    make_package(project.folder / "lib", "crash", "1.0", "numpy<2", crash)
    project.write(f'[runtime.sim]\npython = "{newest_python.python}"\npythonpath = ["lib"]')
    assert "SIGSEGV" in only(project.diagnose(), "numpy-abi-1").evidence[2]


def make_package(folder: Path, name: str, version: str, requires: str, code: str) -> None:
    """Write an installed package of one module."""
    facts = folder / f"{name}-{version}.dist-info"
    facts.mkdir(parents=True)
    requires = f"Requires-Dist: {requires}\n" if requires else ""
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}"
    (facts / "METADATA").write_text(text, encoding="utf-8")
    (facts / "RECORD").write_text(f"{name}/__init__.py,,\n", encoding="utf-8")
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(f"{code}\n", encoding="utf-8")
    (folder / name / "version.py").write_text(f'version = "{version}"\n', encoding="utf-8")


def test_a_contract_that_cannot_be_read(two_sides: Project, only: Only) -> None:
    (two_sides.folder / "contract.json").write_text("{", encoding="utf-8")
    report = two_sides.diagnose()
    found = [each for each in report.faults if each.id == "contract-unreadable"]
    assert [each.evidence[0].split(":")[0] for each in found] == ["sim", "policy"]


def test_a_model_of_another_interface(two_sides: Project, only: Only) -> None:
    file = two_sides.folder / "contract.json"
    contract = json.loads(file.read_text(encoding="utf-8"))
    contract["control_dt_ns"] *= 2
    file.write_text(json.dumps(contract), encoding="utf-8")
    report = two_sides.diagnose()
    found = only(report, "interface-mismatch")
    assert any("control_dt" in line for line in found.evidence)
    assert report.model_interface not in {each.interface for each in report.runtimes}


def test_a_model_without_a_manifest(two_sides: Project, only: Only) -> None:
    text = (two_sides.folder / "isthmus.toml").read_text(encoding="utf-8")
    two_sides.write(text.replace("reach.onnx", "nowhere.onnx"))
    assert "nowhere.manifest.json" in only(two_sides.diagnose(), "model-unreadable").evidence[0]


def test_runtimes_that_read_the_contract_differently() -> None:
    answers = {
        "sim": Inquiry(isthmus="1", wire=1, interface="a" * 64),
        "policy": Inquiry(isthmus="2", wire=2, interface="b" * 64),
    }
    found = list(agreement_findings(ContractSettings(), answers))
    assert [each.id for each in found] == ["interface-mismatch"] * 2
    assert found[0].evidence[0].startswith("interface in sim: aaa")
    assert list(agreement_findings(ContractSettings(), {"sim": answers["sim"]})) == []


def test_a_runtime_without_numpy_is_no_fault(project: Project, only: Only) -> None:
    python = project.folder / "python"
    # The standard library alone, whatever this machine's interpreter has beside it.
    python.write_text(f'#!/bin/sh\nexec {base_python()} -S "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    project.write('[runtime.sim]\npython = "./python"')
    report = project.diagnose()
    assert report.is_healthy
    assert only(report, "no-numpy").level == "note"
    assert report.runtimes[0].numpy == ""
    # It is one where isthmus itself is to run there, or to hold the contract.
    manifest = '[runtime.sim]\npython = "./python"\n'
    process = '[process.gateway]\nruntime = "sim"\ncommand = ["isthmus", "serve", "constant:0"]\n'
    for more in (process, '[contract]\nfile = "contract.json"\n'):
        project.write(manifest + more)
        assert only(project.diagnose(), "no-numpy").level == "fault"


def base_python() -> str:
    import sys

    return os.path.realpath(sys.executable)


@pytest.mark.parametrize(
    ("abilities", "expected"),
    [
        ({"memfd": "os", "eventfd": True, "pidfd": True}, []),
        ({"memfd": "syscall", "eventfd": True, "pidfd": True}, ["memfd-by-syscall"]),
        ({"memfd": "", "eventfd": True, "pidfd": True}, ["no-shared-memory"]),
        ({"memfd": "os", "eventfd": False, "pidfd": True}, ["no-shared-memory"]),
    ],
)
def test_abilities_of_a_python(abilities: dict[str, str | bool], expected: list[str]) -> None:
    assert [each.id for each in _shared_memory(abilities, "runtime sim")] == expected


def test_a_python_without_memfd_create(
    project: Project, newest_python: Environment, only: Only
) -> None:
    hook = project.folder / "hook"
    hook.mkdir()
    text = """
        import os
        if hasattr(os, "memfd_create"):
            del os.memfd_create
        if hasattr(os, "eventfd"):
            del os.eventfd
    """
    (hook / "sitecustomize.py").write_text(textwrap.dedent(text), encoding="utf-8")
    project.write(f'[runtime.sim]\npython = "{newest_python.python}"\npythonpath = ["hook"]')
    found = only(project.diagnose(), "no-shared-memory")
    assert found.evidence == ("it has no eventfd",)


def test_this_machine_can_do_what_links_need_and_is_left_as_it_was() -> None:
    with tempfile.TemporaryDirectory(prefix="isthmus-", dir="/tmp") as folder:
        machine = measure({"XDG_RUNTIME_DIR": folder})
        assert machine.unix and machine.loopback
        assert machine.folder == folder
        assert os.listdir(folder) == []


def test_what_a_machine_cannot_do() -> None:
    poor = Machine(False, False, False, "/run/user/1", 64, -1)
    assert [each.id for each in machine_findings(poor)] == ["no-loopback", "no-unix", "few-files"]
    unlimited = Machine(True, True, True, "/tmp", -1, -1)
    assert list(machine_findings(unlimited)) == []


def test_sockets_go_where_a_path_is_short_enough(tmp_path: Path) -> None:
    assert measure({"XDG_RUNTIME_DIR": str(tmp_path / "nowhere")}).folder == "/tmp"
    assert measure({"XDG_RUNTIME_DIR": "/tmp/" + "x" * 90}).folder == "/tmp"
