from __future__ import annotations

from pathlib import Path

import pytest

from isthmus.errors import ManifestError
from isthmus.runtimes.manifest import read_manifest
from isthmus.runtimes.plan import dependencies, plan
from isthmus.runtimes.settings import Manifest

FILE = Path("/project/isthmus.toml")


def manifest(processes: str, runs: str = "") -> Manifest:
    """Make one of words such as "sim:gateway,log gateway log": who needs whom."""
    text = runs
    for word in processes.split():
        name, _, needs = word.partition(":")
        needed = [each for each in needs.split(",") if each]
        text += f"\n[process.{name}]\ncommand = 'x'\ndepends_on = {needed}\n"
    return read_manifest(text, FILE, {})


def names(found: Manifest, run: str | None = None) -> list[str]:
    return [each.name for each in plan(found, run).processes]


@pytest.mark.parametrize(
    ("processes", "order"),
    [
        ("a b c", "a b c"),
        ("c b a", "c b a"),
        ("a:c b c", "b c a"),
        ("a:b b:c c", "c b a"),
        ("sim:gateway gateway log", "gateway sim log"),
        ("d:b,c b:a c:a a", "a b c d"),
        ("a b:a c:a,b d", "a b c d"),
    ],
)
def test_each_starts_after_what_it_needs_otherwise_in_the_files_order(
    processes: str, order: str
) -> None:
    assert names(manifest(processes)) == order.split()


MANY = "sim:gateway gateway:log log web"


@pytest.mark.parametrize(
    ("run", "main", "started"),
    [
        ("main = 'sim'", "sim", {"sim", "gateway", "log"}),
        ("main = 'web'", "web", {"web"}),
        ("processes = ['gateway']", None, {"gateway", "log"}),
        ("main = 'web'\nprocesses = ['gateway']", "web", {"web", "gateway", "log"}),
        ("processes = ['web']", "web", {"web"}),
        ("", None, {"sim", "gateway", "log", "web"}),
    ],
)
def test_a_run_starts_what_it_names_and_all_that_needs(
    run: str, main: str | None, started: set[str]
) -> None:
    found = manifest(MANY, f"[run.demo]\n{run}\n")
    for name in ("demo", None):
        made = plan(found, name)
        assert (made.name, made.main) == ("demo", main)
        assert {each.name for each in made.processes} == started


def test_without_runs_every_process_is_started() -> None:
    made = plan(manifest("b a"))
    assert (made.name, made.main, len(made.processes)) == ("", None, 2)


def test_one_program_alone_is_the_main_one() -> None:
    assert plan(manifest("a")).main == "a"


TWO = "[run.demo]\nmain = 'sim'\n[run.test]\nmain = 'web'\n"


@pytest.mark.parametrize(
    ("processes", "runs", "name", "says"),
    [
        (MANY, TWO, None, r"several runs: name one of demo, test, as in `isthmus up demo`"),
        (MANY, TWO, "dmeo", r"no run 'dmeo'; its runs: demo, test; nearest 'demo'"),
        (MANY, TWO, "log", r"that is a process: add \[run.log\] with main = \"log\""),
        (MANY, "", "demo", r"its runs: none; `isthmus up` alone starts every process"),
        ("", "", None, r"no \[process.NAME\] to start: take the # away"),
        ("", "", "demo", r"no \[process.NAME\] to start: take the # away"),
    ],
)
def test_what_cannot_be_chosen(processes: str, runs: str, name: str | None, says: str) -> None:
    with pytest.raises(ManifestError, match=says):
        plan(manifest(processes, runs), name)


@pytest.mark.parametrize(
    "line",
    ["command = '${NO}'", "cwd = '${NO}'", "env = { A = '${NO}' }", "ready.socket = '${NO}'"],
)
def test_a_variable_that_is_not_set_is_named_before_anything_starts(line: str) -> None:
    command = "" if line.startswith("command") else "command = 'x'\n"
    text = f"[process.a]\n{command}{line}\n[process.b]\ncommand = 'x'\n[run.b]\nmain = 'b'"
    found = read_manifest(text + "\n[run.a]\nmain = 'a'", FILE, {})
    assert plan(found, "b").main == "b"
    with pytest.raises(ManifestError, match="process 'a' needs the environment variable NO"):
        plan(found, "a")


def test_dependencies_reach_through_others() -> None:
    processes = manifest(MANY).processes
    assert dependencies(processes, "sim") == {"gateway", "log"}
    assert dependencies(processes, "web") == set()
