"""What an interpreter answers in a program's environment, what is kept of it, how it dies."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes import Environment, examine_program, recall
from isthmus.runtimes import examine as examine_module
from isthmus.runtimes.examine import Examination, examine
from isthmus.runtimes.launch import complaints
from isthmus.runtimes.locate import Located
from isthmus.runtimes.settings import RuntimeSettings

CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("PYTHON", "LD_", "VIRTUAL_ENV"))
}


def located(python: Path | str = sys.executable) -> Located:
    path = Path(python)
    return Located(
        python=path, kind="executable", origin="the test's", environ={}, prefix_bin=path.parent
    )


def look(
    environ: Mapping[str, str] | None = None,
    must_import: tuple[str, ...] = (),
    forbid_import: tuple[str, ...] = (),
    cache: Path | None = None,
    python: Path | str = sys.executable,
) -> Examination:
    given = {**CLEAN, "PYTHONNOUSERSITE": "1", **(environ or {})}
    return examine(located(python), given, must_import, forbid_import, cache)


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_an_interpreter_says_what_it_is() -> None:
    found = look()
    assert found.version_info == sys.version_info[:3]
    assert found.minor == "{}.{}".format(*sys.version_info[:2])
    assert found.python == sys.executable
    assert (found.prefix, found.base_prefix) == (sys.prefix, sys.base_prefix)
    assert found.implementation == "cpython"
    assert found.minor.replace(".", "") in found.soabi
    assert found.foreign == ()
    assert not found.user_site
    assert found.is_good
    assert "" not in found.sys_path
    assert set(found.abilities) == {"memfd", "eventfd", "pidfd"}
    assert found.abilities["memfd"] in ("os", "syscall")


@pytest.mark.cross_python
def test_every_python_says_what_it_is(other_python: Environment) -> None:
    found = look(python=other_python.python)
    assert found.version == other_python.version
    assert found.python == str(other_python.python)
    assert found.prefix == str(other_python.python.parent.parent)
    assert found.numpy == found.packages["numpy"]
    assert found.numpy[0] == ("1" if other_python.lock == "numpy1" else "2")
    assert found.isthmus  # these environments have a .pth to this checkout
    assert found.is_good


def test_modules_are_imported_for_real_and_failures_quoted(tmp_path: Path) -> None:
    texts = {
        "good": "print('chatter on stdout')\nimport os\nos.write(1, b'--and below it')",
        "broken": "import good, no_such_thing",
        "typo": "def f(:",
        "leaves": "import sys\nsys.exit('accept the licence first')",
        "numbers": "1 / 0",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
    found = look({"PYTHONPATH": str(tmp_path)}, must_import=(*texts, "json", "absent"))
    assert set(found.failed_imports) == {"broken", "typo", "leaves", "numbers", "absent"}
    assert "No module named 'no_such_thing'" in found.failed_imports["broken"]
    assert "SyntaxError" in found.failed_imports["typo"]
    assert "accept the licence first" in found.failed_imports["leaves"]
    assert found.failed_imports["numbers"] == "ZeroDivisionError: division by zero"
    assert not found.is_good


def test_forbidden_modules_are_looked_for_and_not_imported(tmp_path: Path) -> None:
    package = tmp_path / "kit" / "inner"
    package.mkdir(parents=True)
    for file in (package.parent / "__init__.py", package / "__init__.py", package / "deep.py"):
        file.write_text(f"open({str(tmp_path / 'imported')!r}, 'w')")
    names = ("kit", "kit.inner", "kit.inner.deep", "kit.other", "absent", "absent.too", "sys")
    found = look({"PYTHONPATH": str(tmp_path)}, forbid_import=names)
    assert found.present_forbidden == ("kit", "kit.inner", "kit.inner.deep", "sys")
    assert not (tmp_path / "imported").exists()
    assert found.is_good  # the guard keeps them out; that they are installed harms nobody


def test_a_sites_start_up_file_may_print_and_import_and_warn(tmp_path: Path) -> None:
    chatter = "import sys\nprint('hello from the site', {})\nprint('and here', file=sys.stderr)"
    (tmp_path / "sitecustomize.py").write_text(chatter.replace("{}", repr(examine_program.MARK)))
    assert look({"PYTHONPATH": str(tmp_path)}).is_good


def test_the_callers_folder_is_not_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json", "re", "os", "sysconfig", "site", "isthmus"):
        (tmp_path / f"{name}.py").write_text("raise SystemError('shadowed')")
    monkeypatch.chdir(tmp_path)
    assert look().is_good


@pytest.mark.cross_python
@pytest.mark.parametrize(
    "setting",
    [
        "PYTHONWARNINGS=error",
        "PYTHONDEVMODE=1",
        "PYTHONVERBOSE=2",
        "PYTHONINSPECT=1",
        "PYTHONOPTIMIZE=2",
        "PYTHONIOENCODING=ascii",
        "PYTHONSAFEPATH=1",
        "PYTHONPROFILEIMPORTTIME=1",
        "PYTHONUNBUFFERED=1",
        "LC_ALL=C",
    ],
)
def test_whatever_a_user_sets_for_their_python_it_answers(
    setting: str, oldest_python: Environment, newest_python: Environment
) -> None:
    name, value = setting.split("=")
    for each in (oldest_python, newest_python):
        assert look({name: value}, must_import=("json",), python=each.python).is_good


FOREIGN = {
    "lib/python3.4": (("os.py", "site.py", "encodings"), "standard library of Python 3.4"),
    "elsewhere": (("os.py", "site.py", "encodings"), "standard library of another Python"),
    "x/lib-dynload": ((), "compiled standard library"),
    "lib/python3.4/site-packages": (("wheel.py",), "packages of Python 3.4"),
    "lib/python3.4/dist-packages/kit": ((), "packages of Python 3.4"),
    "target": (("fast.cpython-34-x86_64-linux-gnu.so", "fast.py"), "fast.cpython-34"),
    "prebundle": (("fast.cp34-win_amd64.so", "plain.so"), "fast.cp34"),
}

HARMLESS = {
    "mixed": ("fast.cpython-34-x86_64-linux-gnu.so", "fast.abi3.so"),
    "stable": ("one.abi3.so", "two.so", "libthree.so", "four.py"),
    "lib/python3/dist-packages": ("apt.py",),
    "src": ("os.py", "my.py"),
}


@pytest.mark.parametrize("name", [*FOREIGN, *HARMLESS])
def test_import_folders_of_another_python_are_told_from_the_users(
    tmp_path: Path, name: str
) -> None:
    names, why = FOREIGN.get(name, (HARMLESS.get(name, ()), ""))
    folder = tmp_path / name
    folder.mkdir(parents=True)
    for each in names:
        (folder / each).touch()
    # At the end of the path, by a .pth as installers do it: what is first would run.
    program = f"import sys; sys.path.append({str(folder)!r})"
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(program)
    found = look({"PYTHONPATH": str(hook)})
    assert [each.path for each in found.foreign] == ([str(folder)] if why else [])
    assert why in "".join(each.why for each in found.foreign)


def test_its_own_library_is_not_foreign_by_another_name(tmp_path: Path) -> None:
    library = Path(os.__file__).parent
    link = tmp_path / "link"
    link.symlink_to(library)
    given = f"{link}:{library}:{library / 'lib-dynload'}"
    assert look({"PYTHONPATH": given}).foreign == ()


def test_a_copy_of_its_own_minor_version_is_foreign_all_the_same(tmp_path: Path) -> None:
    """Nothing fails then: the copy is used, silently. So it has to be looked for."""
    library = Path(os.__file__).parent
    copy = tmp_path / "lib" / library.name
    copy.mkdir(parents=True)
    for entry in library.iterdir():
        (copy / entry.name).symlink_to(entry)
    (copy / "marker_module.py").write_text("")
    found = look({"PYTHONPATH": str(copy)}, must_import=("marker_module",))
    assert found.failed_imports == {}
    assert [each.path for each in found.foreign] == [str(copy)]
    assert "standard library" in found.foreign[0].why


def test_numpys_version_is_read_without_importing_it(tmp_path: Path) -> None:
    package = tmp_path / "numpy"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('built for another')")
    (package / "version.py").write_text('version = "1.99.0"\n')
    assert look({"PYTHONPATH": str(tmp_path)}).numpy == "1.99.0"
    (tmp_path / "numpy-2.77.1.dist-info").mkdir()
    assert look({"PYTHONPATH": str(tmp_path)}).numpy == "2.77.1"
    (tmp_path / "numpy-2.77.1.dist-info").rmdir()
    (package / "version.py").unlink()
    (package / "__init__.py").write_text("__version__ = '3.0.0'")
    assert look({"PYTHONPATH": str(tmp_path)}, python=_bare()).numpy == "3.0.0"
    (package / "__init__.py").write_text("raise ImportError('built for another')")
    assert look({"PYTHONPATH": str(tmp_path)}, python=_bare()).numpy == "unknown"


def _bare() -> str:
    """Name the Python that this one's environment was made from, without its packages."""
    return os.path.realpath(sys.executable)


def count(cache: Path, runs: Path, environ: Mapping[str, str], **asked: tuple[str, ...]) -> int:
    """Examine once more; how many times the interpreter was started so far."""
    look({"RUNS": str(runs), **environ}, cache=cache, **asked)  # type: ignore[arg-type]
    return len(runs.read_text().splitlines())


@pytest.fixture
def hook(tmp_path: Path) -> Path:
    """A start-up folder that counts the starts, in the file that RUNS names."""
    folder = tmp_path / "hook"
    folder.mkdir()
    text = "import os\nwith open(os.environ['RUNS'], 'a') as f: f.write('x\\n')\n"
    (folder / "sitecustomize.py").write_text(text)
    return folder


def test_an_answer_is_kept_until_something_it_depends_on_changes(
    tmp_path: Path, hook: Path
) -> None:
    cache, runs, more = tmp_path / "cache", tmp_path / "runs", tmp_path / "more"
    more.mkdir()
    given = {"PYTHONPATH": f"{hook}:{more}"}
    assert count(cache, runs, given) == 1
    assert count(cache, runs, given) == 1
    assert count(cache, runs, {**given, "TERM": "dumb", "ISTHMUS_RUN_ID": "7"}) == 1
    (more / "new_module.py").touch()  # as an installer does
    assert count(cache, runs, given) == 2
    (hook / "extra.pth").write_text("")
    assert count(cache, runs, given) == 3
    assert count(cache, runs, given, must_import=("json",)) == 4
    assert count(cache, runs, given, must_import=("json",)) == 4
    assert count(cache, runs, given, forbid_import=("torch",)) == 5
    assert count(cache, runs, {**given, "LD_LIBRARY_PATH": str(more)}) == 6
    assert count(cache, runs, {"PYTHONPATH": str(hook)}) == 7
    assert count(cache, runs, given) == 7
    text = (hook / "sitecustomize.py").read_text()
    (hook / "sitecustomize.py").write_text(text + "# another\n")
    assert count(cache, runs, given) == 8
    assert look({"RUNS": str(runs), **given}, cache=cache) == look({"RUNS": str(runs), **given})


def test_a_module_that_was_imported_is_imported_again_when_it_changes(
    tmp_path: Path, hook: Path
) -> None:
    cache, runs = tmp_path / "cache", tmp_path / "runs"
    package = tmp_path / "packages" / "wanted" / "space"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("import wanted.space.inner, lazy")
    (package / "inner.py").write_text("")
    (tmp_path / "packages" / "lazy.py").write_text(
        "import sys, types\n"
        "class Lazy(types.ModuleType):\n"
        "    def __getattr__(self, name):\n"
        "        raise SystemError(name)\n"
        "sys.modules['later'] = Lazy('later')\n"
    )
    given = {"PYTHONPATH": f"{hook}:{tmp_path / 'packages'}"}
    asked = {"must_import": ("wanted",)}
    assert count(cache, runs, given, **asked) == 1
    assert count(cache, runs, given, **asked) == 1
    (package / "inner.py").write_text("changed = True")
    assert count(cache, runs, given, **asked) == 2
    (package.parent / "__init__.py").write_text("")
    assert count(cache, runs, given, **asked) == 3
    (package.parent / "__init__.py").write_text("import no_such_thing")
    assert count(cache, runs, given, **asked) == 4
    assert "no_such_thing" in look({**given, "RUNS": str(runs)}, **asked).failed_imports["wanted"]  # type: ignore[arg-type]


def test_what_a_module_may_read_is_part_of_the_question(tmp_path: Path, hook: Path) -> None:
    cache, runs = tmp_path / "cache", tmp_path / "runs"
    (hook / "licensed.py").write_text("import os; os.environ['ACCEPT_LICENCE']")
    given, asked = {"PYTHONPATH": str(hook)}, {"must_import": ("licensed",)}
    accepted = {**given, "ACCEPT_LICENCE": "yes"}
    assert count(cache, runs, accepted, **asked) == 1
    assert count(cache, runs, given, **asked) == 2
    another = {"SHLVL": "9", "ISTHMUS_PROCESS": "sim", "SSH_TTY": "/dev/pts/9", "TMUX": "x"}
    assert count(cache, runs, {**accepted, **another}, **asked) == 2
    assert count(cache, runs, {**accepted, "DISPLAY": ":9"}, **asked) == 3


def test_the_oldest_answers_go(tmp_path: Path, hook: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, runs = tmp_path / "cache", tmp_path / "runs"
    cache.mkdir()
    (cache / "interpreters.json").write_text("{}")
    monkeypatch.setattr(recall, "_MOST", 2)
    for each in ("one", "two", "three"):
        before = set(cache.iterdir())
        count(cache, runs, {"PYTHONPATH": str(hook), "LD_BIND_NOW": each})
        (made,) = set(cache.iterdir()) - before
        os.utime(made, ns=(len(before), len(before)))
    assert len(os.listdir(cache)) == 3
    assert (cache / "interpreters.json").exists()
    assert count(cache, runs, {"PYTHONPATH": str(hook), "LD_BIND_NOW": "three"}) == 3
    assert count(cache, runs, {"PYTHONPATH": str(hook), "LD_BIND_NOW": "one"}) == 4


OLD = sorted(
    path
    for minor in ("2.7", "3.4", "3.6", "3.7", "3.8", "3.9")
    for place in (Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions",)
    for path in place.glob(f"{minor}.*/bin/python{minor}")
)


@pytest.mark.parametrize("python", OLD or [None], ids=lambda path: getattr(path, "name", "none"))
def test_a_python_that_is_too_old_says_so(tmp_path: Path, python: Path | None) -> None:
    if python is None:
        pytest.skip("no old Python in pyenv's folder")
    found = look(python=python, must_import=("json",), cache=tmp_path)
    assert f"python{found.minor}" == python.name
    assert found.is_good
    runtime = RuntimeSettings("sim", ("whatever",))
    assert complaints(runtime, found) == [
        f"isthmus needs Python >=3.10, and this is {found.version}"
    ]


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"format": 1}', "nonsense"])
def test_a_damaged_answer_is_asked_for_again(tmp_path: Path, hook: Path, damage: str) -> None:
    cache, runs = tmp_path / "cache", tmp_path / "runs"
    given = {"PYTHONPATH": str(hook)}
    assert count(cache, runs, given) == 1
    (kept,) = cache.iterdir()
    entry = json.loads(kept.read_text())
    del entry["answer"]["soabi"]
    kept.write_text(json.dumps(entry) if damage == "nonsense" else damage)
    assert count(cache, runs, given) == 2
    assert count(cache, runs, given) == 2


def test_a_bad_answer_is_not_kept(tmp_path: Path, hook: Path) -> None:
    cache, runs = tmp_path / "cache", tmp_path / "runs"
    given = {"PYTHONPATH": str(hook)}
    for times in (1, 2):
        assert count(cache, runs, given, must_import=("absent",)) == times
    assert not cache.exists() or list(cache.iterdir()) == []


DEATHS = {
    "status": ("echo 'no licence' >&2; exit 7", ("exit status 7", "no licence")),
    "quiet": ("exit 0", ("exit status 0", "before it could say")),
    "signal": ("kill -SEGV $$", ("SIGSEGV",)),
    "real-time signal": ("kill -40 $$", ("signal 40",)),
    "no answer": ("echo; echo '--isthmus-examination--answer nonsense'", ("exit status 0",)),
    "half an answer": ("echo; echo '--isthmus-examination--answer {}'", ("exit status 0",)),
    "known": (
        "echo 'AssertionError: SRE module mismatch' >&2; exit 1",
        ("exit status 1", "SRE module mismatch", "This is: "),
    ),
}


@pytest.mark.parametrize("death", DEATHS)
def test_an_interpreter_that_dies_is_quoted(tmp_path: Path, death: str) -> None:
    text, expected = DEATHS[death]
    python = script(tmp_path / "python", text)
    with pytest.raises(EnvironmentSetupError) as caught:
        look(python=python)
    for each in (str(python), "the test's", *expected):
        assert each in str(caught.value)


def test_a_module_that_kills_its_interpreter_is_named(tmp_path: Path) -> None:
    (tmp_path / "killer.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")
    with pytest.raises(EnvironmentSetupError, match="SIGSEGV while importing killer"):
        look({"PYTHONPATH": str(tmp_path)}, must_import=("json", "killer"))


def test_pythonhome_of_another_is_fatal_and_explained(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentSetupError, match="This is: "):
        look({"PYTHONHOME": str(tmp_path)})


@pytest.mark.parametrize("kind", ["missing", "folder", "text"])
def test_what_cannot_be_started_is_said(tmp_path: Path, kind: str) -> None:
    python = tmp_path / "python"
    if kind == "folder":
        python.mkdir()
    elif kind == "text":
        python.write_text("#!/nowhere/at/all\n")
        python.chmod(0o755)
    with pytest.raises(EnvironmentSetupError, match="cannot be started"):
        look(python=python)


def test_a_program_that_quotes_ours_is_cut(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentSetupError, match="ended with exit status 2") as raised:
        examine(located(Path("/bin/ls")), CLEAN)
    assert max(map(len, str(raised.value).splitlines())) < 250


def test_one_that_hangs_is_ended_with_all_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    # Both hold the pipe open; the reader sees its end when both are gone.
    python = script(tmp_path / "python", f"exec 3<>{fifo}; sleep 600 & echo waiting; wait")
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    for name in ("_PATIENCE", "_TIMEOUT"):
        monkeypatch.setattr(examine_module, name, 0.2)
    said: list[str] = []
    try:
        with pytest.raises(EnvironmentSetupError, match="(?s)did not answer within 0.2 s.*waiting"):
            examine(located(python), CLEAN, say=said.append)
        assert said == [f"examining {python}; once, until something in it changes"]
        os.set_blocking(reader, True)
        assert os.read(reader, 1) == b""
    finally:
        os.close(reader)


def test_interrupted_it_leaves_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    python = script(tmp_path / "python", f"exec 3<>{fifo}; echo >&3; exec sleep 600")
    readers: list[int] = []

    def interrupt(*_: object) -> bool:
        readers.append(os.open(fifo, os.O_RDONLY))  # waits until it is open at the other end
        assert os.read(readers[0], 1) == b"\n"
        raise KeyboardInterrupt

    monkeypatch.setattr(examine_module, "_await", interrupt)
    with pytest.raises(KeyboardInterrupt):
        look(python=python)
    try:
        assert os.read(readers[0], 1) == b""
    finally:
        os.close(readers[0])


def test_what_an_import_leaves_running_is_not_waited_for(tmp_path: Path) -> None:
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    (tmp_path / "spawner.py").write_text(
        "import subprocess\n"
        f"subprocess.Popen(['sh', '-c', 'exec 3<>{fifo}; echo >&3; sleep 600'])\n"
        f"open({str(fifo)!r}).readline()\n"
    )
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert look({"PYTHONPATH": str(tmp_path)}, must_import=("spawner",)).is_good
        os.set_blocking(reader, True)
        assert os.read(reader, 1) == b""
    finally:
        os.close(reader)


def test_the_two_files_agree_on_the_mark() -> None:
    assert examine_module._MARK == examine_program.MARK
