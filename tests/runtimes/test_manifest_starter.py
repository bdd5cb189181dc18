"""A first manifest: it can be used as it is, and so can everything it suggests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from isthmus.errors import ManifestError
from isthmus.runtimes.interpreters import Interpreter, InterpreterPair
from isthmus.runtimes.manifest import read_manifest
from isthmus.runtimes.manifest.findings import Finding, find_policy, find_sim, given
from isthmus.runtimes.manifest.keys import tables
from isthmus.runtimes.manifest.starter import starter_text
from isthmus.runtimes.plan import plan
from isthmus.runtimes.settings import Manifest

SUGGESTION = re.compile(r"^# (?=[a-z_-]+ = |\[[a-z.]+\]$)", re.MULTILINE)


def interpreter(*version: int) -> Interpreter:
    minor = f"{version[0]}.{version[1]}"
    return Interpreter(Path(f"/usr/bin/python{minor}"), (*version, 7), "CPython", "", True, "PATH")  # type: ignore[arg-type]


PAIR = InterpreterPair(sim=interpreter(3, 11), policy=interpreter(3, 12))


def found_pair() -> InterpreterPair | None:
    return PAIR


def nothing_found() -> InterpreterPair | None:
    return None


def not_asked() -> InterpreterPair | None:
    raise AssertionError("the interpreters were looked for, though something else was found")


def read(text: str) -> Manifest:
    return read_manifest(text, Path("/project/isthmus.toml"), {})


SIM, POLICY = Finding("${ISAAC_SIM_ROOT}", "Isaac Sim", "/opt/sim"), Finding("3.12", "a Python")


def test_it_reads_and_says_what_was_found() -> None:
    manifest = read(starter_text(SIM, POLICY))
    assert {name: each.python for name, each in manifest.runtimes.items()} == {
        "sim": ("${ISAAC_SIM_ROOT}",),
        "policy": ("3.12",),
    }
    assert manifest.runtimes["policy"].forbid_import == ("omni", "isaacsim", "carb", "pxr")
    assert not manifest.processes and not manifest.runs


def test_every_suggestion_holds_when_it_is_taken() -> None:
    text = starter_text(SIM, POLICY)
    assert len(SUGGESTION.findall(text)) > 30
    manifest = read(SUGGESTION.sub("", text))
    found = plan(manifest)
    assert (found.name, found.main) == ("demo", "sim")
    assert [each.name for each in found.processes] == ["gateway", "sim"]
    assert manifest.contract.file == Path("/project/contract.json")


def test_each_suggestion_holds_alone() -> None:
    lines = starter_text(SIM, POLICY).splitlines()
    table = ""
    for index, line in enumerate(lines):
        table = line if line.lstrip("# ").startswith("[") else table
        # A suggestion in a suggested table needs that, and lock needs its requirements.
        if SUGGESTION.match(line) and not table.startswith("# ") and "lock =" not in line:
            read("\n".join([*lines[:index], line[2:], *lines[index + 1 :]]))


def test_every_key_is_in_it_and_explained_once() -> None:
    text = starter_text(SIM, POLICY)
    for table in tables():
        for key in table.keys:
            if key.table is None and not table.one_of:
                assert re.search(rf"^(# )?{key.name} = ", text, re.MULTILINE), key.name
                explained = " ".join(text.replace("\n# ", " ").split())
                assert f"{key.help[1:]}." in explained
    assert len(re.findall("Where its interpreter is", text)) == 1
    assert max(map(len, text.splitlines())) <= 100


def test_what_was_found_on_this_machine_stays_on_it() -> None:
    assert "/opt/sim" not in starter_text(SIM, POLICY)


@pytest.mark.parametrize("path", ['a"b', "a\\b", "a\tb", "a\x7fb", "é", "./3.11", "a b"])
def test_any_path_can_be_written(path: str) -> None:
    manifest = read(starter_text(Finding(path, "it"), POLICY))
    assert manifest.runtimes["sim"].python == (path,)


def test_a_bare_python_gets_what_its_side_needs() -> None:
    bare = Finding("3.12", "a Python", bare=True)
    runtimes = read(starter_text(bare, bare)).runtimes
    assert runtimes["sim"].requirements == ("numpy",)
    assert runtimes["policy"].requirements == ("numpy", "onnxruntime")
    runtimes = read(starter_text(SIM, POLICY)).runtimes
    assert runtimes["sim"].requirements == runtimes["policy"].requirements == ()
    assert given("--sim", "3.11", Path("/project"), {}).bare


def test_an_editor_is_told_of_the_schema() -> None:
    text = starter_text(SIM, POLICY, "isthmus.schema.json")
    assert text.startswith("#:schema isthmus.schema.json\n")
    read(text)


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("", encoding="utf-8")
    return path


def environment(folder: Path) -> None:
    put(folder / "pyvenv.cfg")
    put(folder / "bin" / "python")


class TestSim:
    """`find_sim`."""

    def test_the_variable_first(self, tmp_path: Path) -> None:
        put(tmp_path / "sim" / "python.sh")
        put(tmp_path / "_isaac_sim" / "python.sh")
        environ = {"ISAAC_SIM_ROOT": str(tmp_path / "sim"), "HOME": "/nowhere"}
        found = find_sim(tmp_path, environ, not_asked)
        assert found.python == "${ISAAC_SIM_ROOT}" and found.here == str(tmp_path / "sim")

    def test_a_variable_that_leads_nowhere_is_said_so(self, tmp_path: Path) -> None:
        found = find_sim(tmp_path, {"ISAAC_SIM_ROOT": "/nowhere"}, not_asked)
        assert found.python == "${ISAAC_SIM_ROOT}" and "no python.sh" in found.here

    @pytest.mark.parametrize("place", ["_isaac_sim", "~/isaacsim", "~/isaac-sim"])
    def test_usual_places(self, tmp_path: Path, place: str) -> None:
        home, project = tmp_path / "home", tmp_path / "project"
        put((home / place[2:] if place.startswith("~/") else project / place) / "python.sh")
        assert find_sim(project, {"HOME": str(home)}, not_asked).python == place

    def test_else_a_plain_python(self, tmp_path: Path) -> None:
        found = find_sim(tmp_path, {"HOME": "/nowhere"}, found_pair)
        assert found.python == "3.11" and "no Isaac Sim was found" in found.said
        assert "/usr/bin/python3.11" in found.here

    def test_else_any(self, tmp_path: Path) -> None:
        found = find_sim(tmp_path, {"HOME": "/nowhere"}, nothing_found)
        assert found.python == ">=3.10" and found.bare

    def test_the_environment_of_its_folder(self, tmp_path: Path) -> None:
        environment(tmp_path / "sim" / ".venv")
        found = find_sim(tmp_path, {"HOME": "/nowhere"}, not_asked)
        assert found.python == "sim/.venv" and not found.bare


class TestPolicy:
    """`find_policy`."""

    @pytest.mark.parametrize("name", [".venv", "venv", "env"])
    @pytest.mark.parametrize("mark", ["pyvenv.cfg", "conda-meta"])
    def test_an_environment_of_the_folder(self, tmp_path: Path, name: str, mark: str) -> None:
        put(tmp_path / name / mark)
        put(tmp_path / name / "bin" / "python")
        assert find_policy(tmp_path, {}, not_asked).python == name

    def test_its_own_environment_before_the_folders(self, tmp_path: Path) -> None:
        environment(tmp_path / ".venv")
        environment(tmp_path / "policy" / ".venv")
        assert find_policy(tmp_path, {}, not_asked).python == "policy/.venv"

    def test_its_version_is_said(self, tmp_path: Path) -> None:
        put(tmp_path / ".venv" / "bin" / "python")
        for line in ("version = 3.12.4\n", "home = /x\nversion_info = 3.12.4.final.0\n"):
            (tmp_path / ".venv" / "pyvenv.cfg").write_text(line, encoding="utf-8")
            assert find_policy(tmp_path, {}, not_asked).here == "Python 3.12.4"

    def test_an_environment_without_a_python_is_none(self, tmp_path: Path) -> None:
        put(tmp_path / ".venv" / "pyvenv.cfg")
        (tmp_path / ".venv" / "bin").mkdir()
        (tmp_path / ".venv" / "bin" / "python").symlink_to("/nowhere/python")
        assert find_policy(tmp_path, {}, found_pair).python == "3.12"

    def test_a_uv_project(self, tmp_path: Path) -> None:
        put(tmp_path / "pyproject.toml")
        assert find_policy(tmp_path, {}, found_pair).python == "3.12"
        put(tmp_path / "uv.lock")
        assert find_policy(tmp_path, {}, not_asked).python == "."

    def test_the_active_conda_environment(self, tmp_path: Path) -> None:
        put(tmp_path / "home" / "conda" / "conda-meta" / "history")
        put(tmp_path / "home" / "conda" / "bin" / "python")
        environ = {"CONDA_PREFIX": str(tmp_path / "home" / "conda"), "CONDA_DEFAULT_ENV": "policy"}
        assert find_policy(tmp_path, environ, not_asked).python == environ["CONDA_PREFIX"]
        environ["HOME"] = str(tmp_path / "home")
        assert find_policy(tmp_path, environ, not_asked).python == "~/conda"
        environ["CONDA_DEFAULT_ENV"] = "base"
        assert find_policy(tmp_path, environ, found_pair).python == "3.12"


class TestGiven:
    """`--sim` and `--policy`."""

    @pytest.mark.parametrize(
        ("python", "written"),
        [
            ("3.11", "3.11"),
            (">=3.10,<3.13", ">=3.10,<3.13"),
            ("there", "there"),
            ("~/there", "~/there"),
            ("${ROOT}/there", "${ROOT}/there"),
            ("3.there", "./3.there"),
        ],
    )
    def test_it_is_taken_as_it_is(self, tmp_path: Path, python: str, written: str) -> None:
        put(tmp_path / "there")
        put(tmp_path / "3.there")
        environ = {"HOME": str(tmp_path), "ROOT": str(tmp_path)}
        assert given("--sim", python, tmp_path, environ).python == written

    @pytest.mark.parametrize(
        ("python", "says"),
        [
            ("nowhere", "--sim: there is no .*/nowhere; name an interpreter"),
            ("3.x", "--sim: .*3.x"),
            ("${NO}", "--sim: .*NO, which is not set"),
        ],
    )
    def test_what_cannot_be_one(self, tmp_path: Path, python: str, says: str) -> None:
        with pytest.raises(ManifestError, match=says):
            given("--sim", python, tmp_path, {})
