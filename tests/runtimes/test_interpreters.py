"""Looking for interpreters, understanding what they say, choosing two."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from isthmus.runtimes.interpreters import (
    Interpreter,
    candidates,
    choose_pair,
    find_interpreters,
    newest_of_each_minor,
    parse_probe,
    probe,
)
from isthmus.runtimes.roots import find_roots

from ..support.rights import closed


def interpreter(version: str, **changes: object) -> Interpreter:
    major, minor, micro = (int(part) for part in version.split("."))
    facts: dict[str, object] = {
        "path": Path(f"/pythons/{version}/bin/python3"),
        "version": (major, minor, micro),
        "implementation": "CPython",
        "soabi": f"cpython-{major}{minor}-x86_64-linux-gnu",
        "has_venv": True,
        "found": "PATH",
    }
    return Interpreter(**{**facts, **changes})  # type: ignore[arg-type]


def executable(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def answer(**changes: object) -> str:
    facts: dict[str, object] = {
        "executable": "/usr/bin/python3.11",
        "version": [3, 11, 7],
        "release": True,
        "implementation": "CPython",
        "soabi": "cpython-311-x86_64-linux-gnu",
        "has_venv": True,
    }
    return json.dumps({**facts, **changes})


class TestCandidates:
    def paths(self, environ: dict[str, str], running: str = "") -> dict[Path, str]:
        return {
            path: found for path, found in candidates(environ, running) if "/usr" not in str(path)
        }

    def test_the_running_one_comes_first(self) -> None:
        assert next(candidates({}, "/here/python")) == (Path("/here/python"), "running")

    def test_names_on_path(self, tmp_path: Path) -> None:
        new = executable(tmp_path / "bin" / "python3.12")
        plain = executable(tmp_path / "bin" / "python3")
        executable(tmp_path / "bin" / "python3-config")
        executable(tmp_path / "bin" / "python2.7")
        (tmp_path / "bin" / "python3.13").write_text("not executable")
        found = self.paths({"PATH": str(tmp_path / "bin")})
        assert found == {new: "PATH", plain: "PATH"}

    def test_places_that_may_not_be_looked_into_hold_nothing(self, tmp_path: Path) -> None:
        names = ("PYENV_ROOT", "HOME", "XDG_DATA_HOME", "UV_PYTHON_INSTALL_DIR", "PATH")
        places = {name: tmp_path / "closed" / name.lower() for name in names}
        for each in places.values():
            executable(each / "versions" / "3.12.1" / "bin" / "python3.12")
        environ = {name: str(each) for name, each in places.items()}
        environ["PATH"] += f":{tmp_path}/closed/.pyenv/shims"
        with closed(tmp_path / "closed"):
            assert self.paths(environ) == {}
            assert find_roots(environ) == ()

    @pytest.mark.parametrize("how", ["variable", "home", "shims"])
    def test_pyenv_by_its_variable_its_home_or_its_shims(self, tmp_path: Path, how: str) -> None:
        root = tmp_path / ".pyenv"
        python = executable(root / "versions" / "3.12.1" / "bin" / "python3.12")
        executable(root / "shims" / "python3.12")
        environ = {
            "variable": {"PYENV_ROOT": str(root)},
            "home": {"HOME": str(tmp_path)},
            "shims": {"PATH": str(root / "shims")},
        }[how]
        # The shim itself leads nowhere new, and is not listed.
        assert self.paths(environ) == {python: "pyenv"}

    def test_uvs_own(self, tmp_path: Path) -> None:
        data = tmp_path / ".local" / "share" / "uv" / "python" / "cpython-3.13"
        python = executable(data / "bin" / "python3.13")
        assert self.paths({"HOME": str(tmp_path)}) == {python: "uv"}

    def test_nothing_set_and_folders_that_are_not_there(self) -> None:
        assert self.paths({}) == {}
        assert self.paths({"PATH": "/no/such/folder", "HOME": "/no/such/home"}) == {}


class TestParseProbe:
    def test_what_the_probe_prints(self) -> None:
        parsed = parse_probe(answer(), "uv")
        assert parsed is not None
        assert (parsed.version, parsed.minor, parsed.found) == ((3, 11, 7), "3.11", "uv")
        assert str(parsed) == "CPython 3.11.7 at /usr/bin/python3.11 (uv)"

    def test_lines_printed_before_by_the_site_are_passed_over(self) -> None:
        assert parse_probe("hello from sitecustomize\n" + answer() + "\n", "PATH") is not None

    @pytest.mark.parametrize("version", [[2, 7, 18], [3, 6, 15], [3, 9, 18]])
    def test_too_old(self, version: list[int]) -> None:
        assert parse_probe(answer(version=version), "PATH") is None

    def test_a_pre_release(self) -> None:
        assert parse_probe(answer(version=[3, 15, 0], release=False), "PATH") is None

    @pytest.mark.parametrize("output", ["", "\n", "Python 3.11.7", "{}", "[]", "3", answer()[:-1]])
    def test_something_else(self, output: str) -> None:
        assert parse_probe(output, "PATH") is None


class TestProbe:
    def test_this_python(self) -> None:
        found = probe(Path(sys.executable), "running")
        assert found is not None
        assert found.version == sys.version_info[:3]
        assert found.path.exists()

    def test_a_shim_that_fails(self, tmp_path: Path) -> None:
        shim = executable(
            tmp_path / "python3.12", "#!/bin/sh\necho 'command not found' >&2\nexit 127\n"
        )
        assert probe(shim) is None

    def test_an_old_python_that_cannot_run_the_probe(self, tmp_path: Path) -> None:
        old = executable(tmp_path / "python3", "#!/bin/sh\necho SyntaxError >&2\nexit 1\n")
        assert probe(old) is None

    def test_no_program_at_all(self, tmp_path: Path) -> None:
        assert probe(tmp_path / "python3") is None
        assert probe(executable(tmp_path / "python3.11", "\x7fELF nonsense")) is None


class TestFind:
    def test_each_once_oldest_first(self, tmp_path: Path) -> None:
        new = executable(tmp_path / "a" / "python3.12")
        old = executable(tmp_path / "b" / "python3.10")
        (tmp_path / "c").mkdir()
        (tmp_path / "c" / "python3").symlink_to(new)
        asked: list[Path] = []

        def fake(path: Path, found: str) -> Interpreter | None:
            asked.append(path)
            version = {new.resolve(): "3.12.1", old.resolve(): "3.10.2"}.get(path.resolve())
            return interpreter(version, path=path.resolve()) if version else None

        path = ":".join(str(tmp_path / name) for name in "abc")
        found = find_interpreters({"PATH": path}, running="", probe=fake)
        assert [each.minor for each in found] == ["3.10", "3.12"]
        assert len([each for each in asked if each.resolve() == new.resolve()]) == 1

    def test_other_implementations_are_left_out(self, tmp_path: Path) -> None:
        executable(tmp_path / "python3")

        def fake(path: Path, found: str) -> Interpreter:
            return interpreter("3.10.1", implementation="PyPy")

        assert find_interpreters({"PATH": str(tmp_path)}, running="", probe=fake) == []

    def test_on_this_machine_this_one_is_found(self) -> None:
        assert sys.version_info[:3] in [each.version for each in find_interpreters()]


class TestNewestOfEachMinor:
    def test_newest_patch(self) -> None:
        found = [interpreter("3.12.4"), interpreter("3.11.1"), interpreter("3.12.10")]
        kept = newest_of_each_minor(found)
        assert [each.version for each in kept] == [(3, 11, 1), (3, 12, 10)]

    def test_one_that_can_make_environments_and_has_a_gil_is_better(self) -> None:
        bare = interpreter("3.13.5", has_venv=False)
        free = interpreter("3.13.4", soabi="cpython-313t-x86_64-linux-gnu")
        usual = interpreter("3.13.1")
        assert newest_of_each_minor([bare, free, usual]) == [usual]
        assert newest_of_each_minor([bare, free]) == [free]


@pytest.mark.parametrize(
    ("minors", "sim", "policy"),
    [
        (["3.10", "3.11", "3.12", "3.13"], "3.11", "3.12"),
        (["3.11", "3.13"], "3.11", "3.13"),
        (["3.10", "3.12"], "3.10", "3.12"),
        (["3.10", "3.11"], "3.10", "3.11"),
        (["3.12", "3.13"], "3.12", "3.13"),
        (["3.10", "3.13"], "3.10", "3.13"),
        (["3.12"], "3.12", "3.12"),
        (["3.13"], "3.13", "3.13"),
        (["3.11"], "3.11", "3.11"),
    ],
)
def test_choose_pair(minors: list[str], sim: str, policy: str) -> None:
    pair = choose_pair(interpreter(f"{minor}.1") for minor in minors)
    assert pair is not None
    assert (pair.sim.minor, pair.policy.minor) == (sim, policy)


def test_choose_pair_of_nothing() -> None:
    assert choose_pair([]) is None
