"""The pages say what is: links lead somewhere, commands and options exist, examples work.

Pages that are about one part are tested beside that part; here is what holds for all of them.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from itertools import takewhile
from pathlib import Path

import pytest

import isthmus
from isthmus.cli.main import COMMANDS, command_parser
from isthmus.client import Action, Link, Timing
from isthmus.policy.callable import CallablePolicy
from isthmus.policy.reception import accept
from isthmus.protocol.bounds import WIRE_VERSION
from isthmus.protocol.messages import Hello
from isthmus.safety.gate import REASONS
from isthmus.safety.ladder import STATUS

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(
            page
            for folder in ("docs", "examples", "training", "bench", "policies", "requirements")
            for page in (ROOT / folder).rglob("*.md")
            if "site-packages" not in page.parts
        ),
    ]
)
README, KOREAN = ROOT / "README.md", ROOT / "README.ko.md"
ENV = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
API = ROOT / "docs" / "API.md"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!`)!?\[[^\]]*\]\(([^)\s]+)\)")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@cache
def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str | None = None) -> list[str]:
    found = FENCE.findall(text(page))
    return [code for kind, code in found if language is None or kind == language]


def prose(page: Path) -> str:
    return FENCE.sub("", text(page))


def links(page: Path) -> list[str]:
    return [link for link in LINK.findall(prose(page)) if "://" not in link]


def anchors(page: Path) -> set[str]:
    """Make the names that headings get, as GitHub does."""
    heads = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def commands(page: Path) -> Iterator[str]:
    """Yield what a reader may type: every line of code, and code inside a sentence."""
    for code in blocks(page):
        yield from code.splitlines()
    yield from re.findall(r"`([^`\n]+)`", prose(page))


def options(parser: argparse.ArgumentParser) -> set[str]:
    """Collect every option of a parser and of the parsers below it."""
    found: set[str] = set()
    for action in parser._actions:
        found.update(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                found |= options(child)
    return found


def rows(page: Path, table: str) -> list[list[str]]:
    """Read the cells of a marked table, without its head."""
    (body,) = re.findall(rf"<!-- table: {table} -->\n((?:\|.*\n)+)", text(page))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body.splitlines()[2:]]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_and_options_exist(page: Path) -> None:
    for line in commands(page):
        for command, rest in re.findall(r"(?:^|-m |bin/)isthmus ([a-z][\w-]*)(.*)", line):
            assert command in COMMANDS, line
            ours = re.split(r" -- |#", rest)[0]  # what follows is a program's own
            spoken = set(re.findall(r"(?<!\S)--?[a-z][\w-]*", ours))
            assert spoken <= options(command_parser(command)), line


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_make_targets_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    demo = (ROOT / "examples" / "roarm_reach" / "sim.py").read_text(encoding="utf-8")
    for line in commands(page):
        for target, rest in re.findall(r"(?:^|&& )make ([a-z]+)(.*)", line):
            assert target in targets, line
            if target == "demo":
                assert all(f'"{word}"' in demo for word in re.findall(r"--[a-z-]+", rest)), line


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_nothing_is_left_to_fill_in(page: Path) -> None:
    assert not re.search(r"@@|TODO|FIXME|XXX|TBD", text(page))


@pytest.mark.parametrize("page", [README, KOREAN], ids=name_of)
def test_the_examples_of_the_readme_are_python(page: Path) -> None:
    assert blocks(page, "python")
    for code in blocks(page, "python"):
        compile(code, name_of(page), "exec")


def test_the_example_without_a_gateway_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    (code,) = (each for each in blocks(README, "python") if '"memory:' in each)
    monkeypatch.chdir(ROOT)
    exec(compile(code, "README.md", "exec"), {})
    # A machine that is busy may make the first inference late; then it is the fallback's turn.
    assert re.fullmatch(r"memory (policy|disarmed) \(6,\)\n", capsys.readouterr().out)


@pytest.mark.parametrize("target", ["my_policies:towards_goal", "smooth:Smooth"])
def test_the_policies_of_ones_own_run_as_printed(target: str, tmp_path: Path) -> None:
    page = ROOT / "docs" / "POLICIES.md"
    (contract,) = (code for code in blocks(page, "json") if '"goal_q"' in code)
    (tmp_path / "arm.json").write_text(contract, encoding="utf-8")
    for code in blocks(page, "python"):
        (tmp_path / code.split()[1]).write_text(code, encoding="utf-8")
    (line,) = re.findall(r"^isthmus (serve my_policies.*)$", text(page), re.MULTILINE)
    serve = line.split() if "my_policies" in target else ["serve", target]
    with serving(tmp_path, *serve):
        asked = subprocess.run(
            [sys.executable, "ask.py"], cwd=tmp_path, env=ENV, capture_output=True, check=True
        )
    # The last of 50 steps may be late on a machine that is busy.
    assert re.fullmatch(rb"(policy True|bridged (True|False))\n", asked.stdout), asked.stdout


def test_the_conversation_without_netcat_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "arm.json").write_text(json.dumps(_arm().to_dict()), encoding="utf-8")
    given = ("serve", "constant", "--contract", "arm.json", "--listen", "tcp://127.0.0.1:0")
    (code,) = (each for each in blocks(ROOT / "docs" / "PROTOCOL.md", "python"))
    with serving(tmp_path, *given) as said:
        (port,) = re.findall(r"^listening tcp://127.0.0.1:(\d+)$", said, re.MULTILINE)
        exec(compile(code.replace("45123", port), "PROTOCOL.md", "exec"), {})
    assert json.loads(capsys.readouterr().out)["corr_id"] == "a"


@contextmanager
def serving(folder: Path, *given: str) -> Iterator[str]:
    """Run `isthmus` in a folder; gives what it said until it was ready."""
    with subprocess.Popen(
        [sys.executable, "-m", "isthmus", *given], cwd=folder, env=ENV, stdout=subprocess.PIPE
    ) as gateway:
        try:
            assert gateway.stdout is not None
            said = list(takewhile(lambda line: line != b"ready\n", gateway.stdout))
            yield b"".join(said).decode()
        finally:
            gateway.terminate()
            gateway.communicate()
    assert gateway.returncode == 0


def test_the_example_of_the_api_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    (code,) = blocks(API, "python")
    monkeypatch.chdir(ROOT)
    exec(compile(code, "API.md", "exec"), {})
    out = capsys.readouterr().out
    assert re.fullmatch(r"(policy -|disarmed deadline) float32 \d+\n1\n", out)


def test_the_api_names_all_a_program_can_use() -> None:
    """What has a table of its own is generated; here is that nothing was left out of it."""
    for public in (isthmus.connect, Link.act, Link.reset):
        assert {f"`{name}`" for name in inspect.signature(public).parameters} - {"`self`"} <= {
            each.replace("*", "") for each in re.findall(r"`[*\w]+`", text(API))
        }
    for cls in (Action, Timing, Link, isthmus.Rate):
        for name in vars(cls):
            if not name.startswith("_") and not hasattr(Mapping, name):
                assert re.search(rf"`(?:\w+\.)?{name}[`(]|link\.{name}\(", text(API)), name


def test_the_api_lists_every_key_of_the_figures() -> None:
    with isthmus.connect("memory:constant", contract=_arm()) as link:
        link.act(q=[0.0, 0.0], goal_q=[0.0, 0.0])
        stats = link.stats()
    listed = {key for row in rows(API, "stats") for key in re.findall(r"`(\w+)`", row[0])}
    assert listed == set(stats)
    (figures,) = (row[1] for row in rows(API, "stats") if "latency_us" in row[0])
    assert set(stats["latency_us"]["total"]) == set(re.findall(r"`([a-z][\w.]*)`", figures))
    assert {row[0].strip("`") for row in rows(API, "status")} == set(STATUS.values())


def test_the_api_lists_every_cause() -> None:
    """Of the gate, of the link, and of the guard: each word that their code can answer with."""
    words = set(REASONS)
    source = (ROOT / "src" / "isthmus" / "client" / "link.py").read_text(encoding="utf-8")
    words |= set(re.findall(r'None, "(\w+)"', source))
    source = (ROOT / "src" / "isthmus" / "safety" / "guard.py").read_text(encoding="utf-8")
    (chosen,) = re.findall(r'self\._instead\("(\w+)" if \w+ else "(\w+)"', source)
    words |= set(chosen)
    listed = {word for row in rows(API, "causes") for word in re.findall(r"`(\w+)`", row[0])}
    assert listed == words | {"inference_failed"}


def _arm() -> isthmus.Contract:
    page = ROOT / "docs" / "POLICIES.md"
    (contract,) = (code for code in blocks(page, "json") if '"goal_q"' in code)
    return isthmus.Contract.from_dict(json.loads(contract))


def test_the_refusal_is_shown_as_it_reads() -> None:
    manifest = json.loads((ROOT / "policies" / "reach.manifest.json").read_text(encoding="utf-8"))
    theirs = manifest["contract"]
    ours = json.loads(json.dumps(theirs).replace('"goal"', '"target"'))
    ours["control_dt_ns"] = 20_000_000
    policy = CallablePolicy(dict, isthmus.Contract.from_dict(theirs), name="reach")
    contract = isthmus.Contract.from_dict(ours)
    hello = Hello(WIRE_VERSION, "", contract.interface_hash, contract.to_dict(), num_envs=1)
    with pytest.raises(isthmus.errors.RefusedError) as refused:
        accept(hello, policy, 0)
    assert f"{refused.value}\n" in blocks(README, "text")


def test_both_readmes_say_the_same() -> None:
    assert blocks(README) == blocks(KOREAN)
    assert len(anchors(README)) == len(anchors(KOREAN))
    ours, theirs = set(links(README)), set(links(KOREAN))
    assert ours - {"README.ko.md"} == theirs - {"README.md"}
    cells = [[line.count("|") for line in text(page).splitlines()] for page in (README, KOREAN)]
    assert sum(cells[0]) == sum(cells[1])


def test_the_levels_are_those_the_architecture_test_holds() -> None:
    source = ast.parse((ROOT / "tests" / "test_architecture.py").read_text(encoding="utf-8"))
    (levels,) = (
        ast.literal_eval(node.value)
        for node in source.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LEVELS"
    )
    package = ROOT / "src" / "isthmus"
    built = {path.name for path in package.iterdir() if (path / "__init__.py").is_file()}
    built |= {path.stem for path in package.glob("[!_]*.py")}
    page = ROOT / "docs" / "ARCHITECTURE.md"
    shown = {name.strip("`"): int(level) for level, name, _ in rows(page, "levels")}
    assert shown == {name: levels[name] for name in built}
    assert list(shown.values()) == sorted(shown.values())
    (kept,) = re.findall(
        r"^Places that are kept and still empty: (.*)\.$", text(page), re.MULTILINE
    )
    for name, level in re.findall(r"`(\w+)` \((\d)\)", kept):
        assert name not in built and levels[name] == int(level)


@pytest.mark.parametrize("package", ["gateway", "protocol"])
def test_the_architecture_names_every_file(package: str) -> None:
    listed = [
        file
        for row in rows(ROOT / "docs" / "ARCHITECTURE.md", package)
        for file in re.findall(r"`(\w+\.py)`", row[0])
    ]
    files = {path.name for path in (ROOT / "src" / "isthmus" / package).glob("[!_]*.py")}
    assert sorted(listed) == sorted(files)


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs" / "adr"
    pages = sorted(folder.glob("0*.md"))
    assert [page.name[:4] for page in pages] == [f"{n:04}" for n in range(1, len(pages) + 1)]
    index = re.findall(r"^\| \[(\d{4})\]\((.+?)\) \| (.+?) \|$", text(folder / "README.md"), re.M)
    titles = [text(page).partition("\n")[0] for page in pages]
    assert [(page.name, title) for page, title in zip(pages, titles, strict=True)] == [
        (file, f"# {number}: {title}") for number, file, title in index
    ]
    for page in pages:
        heads = re.findall(r"^## (.*)$", text(page), re.MULTILINE)
        assert [head for head in heads if head in ("Context", "Decision", "Consequences")] == [
            "Context",
            "Decision",
            "Consequences",
        ], page.name


def test_every_page_is_listed() -> None:
    listing = ROOT / "docs" / "README.md"
    listed = set(re.findall(r"[`(](\w+\.md)[`)]", text(listing)))
    assert {page.name for page in (ROOT / "docs").glob("*.md") if page != listing} <= listed


@pytest.mark.parametrize("image", sorted((ROOT / "docs" / "images").glob("*.svg")), ids=name_of)
def test_images_stand_alone(image: Path) -> None:
    root = ET.parse(image).getroot()
    assert root.get("viewBox") and root.get("role") == "img"
    for node in root.iter():
        assert not node.tag.endswith(("script", "image", "foreignObject"))
        assert not any(key.endswith("href") or key.startswith("on") for key in node.attrib)
    assert "url(http" not in image.read_text(encoding="utf-8")
