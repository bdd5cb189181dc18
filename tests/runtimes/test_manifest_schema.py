"""The schema, the reader, the page and the table of keys say the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from isthmus import tomltext
from isthmus.errors import ManifestError
from isthmus.runtimes.manifest import read_manifest
from isthmus.runtimes.manifest.keys import Key, Table, tables
from isthmus.runtimes.manifest.kinds import KINDS
from isthmus.runtimes.manifest.schema import manifest_schema, manifest_schema_text
from isthmus.runtimes.placeholders import GENERAL

FILE = Path("/project/isthmus.toml")
ENVIRON = {"ISAAC_SIM_ROOT": "/opt/sim", "HOME": "/home/me"}


@pytest.fixture(scope="module")
def validator() -> Any:
    jsonschema = pytest.importorskip("jsonschema")
    schema = manifest_schema()
    for draft in (jsonschema.Draft202012Validator, jsonschema.Draft7Validator):
        draft.check_schema(schema)  # some editors know the older one only
    return jsonschema.Draft202012Validator(schema)


def accepts(validator: Any, text: str) -> bool:
    return bool(validator.is_valid(tomltext.loads(text)))


def reads(text: str) -> bool:
    try:
        read_manifest(text, FILE, ENVIRON)
    except ManifestError:
        return False
    return True


def test_the_file_is_generated_from_the_table(project_root: Path) -> None:
    file = project_root / "configs" / "schemas" / "isthmus_manifest_schema.json"
    assert file.read_text(encoding="utf-8") == manifest_schema_text(), "run `make docs`"


R = "[runtime.r]\npython = '3.11'\n"
P = "[process.p]\ncommand = 'p'\n"
FITS = (
    "",
    "runs = 'x'",
    R,
    "[runtime.r]\npython = ['${A}', '>=3.10']",
    R + "requirements = 'a.txt'",
    R + "requirements = ['numpy']\nlock = 'a.txt'",
    R + "requires-python = '>=3.10'\nmust_import = ['a.b']\nforbid_import = []\npythonpath = ['x']",
    R + "env = { pass = ['A'], set = { B = '' }, ros = false }",
    P,
    P + "ready.port = 80\nready_timeout = 0.5\nstop_timeout = 0\nrestart = 'always'",
    P + "ready.line = ['a', 'b']\nstop_signal = 'SIGKILL'\nrestart_limit = 0\ncwd = '{run}'",
    P + "ready.http = 'http://h/'\nenv = { A = '{run_id}' }\ndepends_on = []",
    P + "[run.a]\nmain = 'p'\n[run.b]\nprocesses = ['p']",
    "[contract]\nfile = 'a.json'\nmodel = 'b.onnx'",
)
MISFITS = (
    "x = 1",
    "runs = 1",
    "runtime = []",
    "[runtime.r]",
    "[runtime.r]\npython = []",
    "[runtime.'a b']\npython = '3'",
    R + "python_path = []",
    R + "must_import = 'a'",
    R + "must_import = ['a-b']",
    R + "pythonpath = ['a:b']",
    R + "env.pass = ['1']",
    R + "env.set = { A = 1 }",
    R + "env.set = { PYTHONHOME = 'x' }",
    R + "env.ros = 'yes'",
    "[process.p]",
    "[process.p]\ncommand = []",
    P + "ready = {}",
    P + "ready = { port = 1, line = 'x' }",
    P + "ready.port = 0",
    P + "ready.http = 'ftp://h/'",
    P + "ready_timeout = 0",
    P + "stop_timeout = -1",
    P + "restart = 'maybe'",
    P + "stop_signal = 'SIGSTOP'",
    P + "restart_limit = 1.5",
    P + "[run.a]\nmain = 1",
    "[contract]\nhash = 'x'",
)


@pytest.mark.parametrize("text", FITS)
def test_what_fits_both_take(validator: Any, text: str) -> None:
    assert accepts(validator, text)
    assert reads(text)


@pytest.mark.parametrize("text", MISFITS)
def test_what_does_not_both_refuse(validator: Any, text: str) -> None:
    assert not accepts(validator, text)
    assert not reads(text)


def test_this_checkouts_manifest_fits(validator: Any, project_root: Path) -> None:
    text = (project_root / "isthmus.toml").read_text(encoding="utf-8")
    assert accepts(validator, text)
    read_manifest(text, project_root / "isthmus.toml", ENVIRON)


def rows() -> list[tuple[Table, Key]]:
    return [(table, key) for table in tables() for key in table.keys]


@pytest.mark.parametrize(("table", "key"), rows(), ids=lambda each: getattr(each, "name", ""))
def test_every_key_is_explained_and_shown(table: Table, key: Key, validator: Any) -> None:
    # A table of the top is explained by the table's own sentence.
    assert key.help.endswith(".") is (table.header == "" and key.table is not None)
    assert bool(key.table) != (key.kind in KINDS)
    assert key.example or key.default or key.table
    for value in filter(None, (key.default, key.example)):
        assert not complaint(table, key, value), value


def complaint(table: Table, key: Key, value: str) -> str:
    """Give what the reader has against a value of a key, in a manifest made for it."""
    headers = {"runtime.NAME": R, "process.NAME": P, "run.NAME": "[run.r]\n"}
    parts = table.header.split(".NAME")
    start = headers.get(f"{parts[0]}.NAME", f"[{table.header}]\n" if table.header else "")
    text = f"{parts[1][1:] + '.' if len(parts) > 1 and parts[1] else ''}{key.name} = {value}\n"
    if key.required:
        start = start.split("\n")[0] + "\n"
    text = start + text
    if key.name == "lock":
        text += "requirements = ['x']\n"
    others = {
        "gateway": "[process.gateway]\ncommand = 'x'\n",
        "sim": "[process.sim]\ncommand='x'\n",
    }
    text += "".join(others.values()) + "[runtime.policy]\npython = '3'\n"
    try:
        read_manifest(text, FILE, ENVIRON)
    except ManifestError as error:
        # An empty list of requirements is what saying nothing means, and is not written.
        return "" if value == "[]" and "at least one" in str(error) else f"{error}\n{text}"
    return ""


class TestPage:
    """docs/MANIFEST.md."""

    @pytest.fixture
    def page(self, project_root: Path) -> str:
        return (project_root / "docs" / "MANIFEST.md").read_text(encoding="utf-8")

    def test_its_examples_are_manifests(self, page: str, validator: Any) -> None:
        examples = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
        assert len(examples) >= 3
        for text in examples:
            assert accepts(validator, text)
            read_manifest(text, FILE, ENVIRON)

    def test_its_error_is_what_is_said(self, page: str) -> None:
        (line,) = re.findall(r"^isthmus: (isthmus\.toml:\d+: .*)$", page, re.MULTILINE)
        first = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)[0]
        with pytest.raises(ManifestError) as error:
            read_manifest(first.replace("depends_on", "dependson"), Path("isthmus.toml"), {})
        assert str(error.value) == line

    def test_it_has_every_key_and_placeholder(self, page: str) -> None:
        shown = set(table_words(page))
        assert {key.name for _, key in rows()} <= shown
        assert {f"{{{name}}}" for name in GENERAL} <= shown

    def test_every_table_has_a_heading(self, page: str) -> None:
        for table in tables():
            if table.header:
                assert f"\n## [{table.header}]\n" in page


def table_words(page: str) -> Iterator[str]:
    yield from re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)


def test_the_schema_shows_defaults_and_examples_that_it_accepts() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    checked = 0

    def walk(schema: Mapping[str, Any]) -> None:
        nonlocal checked
        for each in schema.get("properties", {}).values():
            for value in [
                *each.get("examples", []),
                *([each["default"]] if "default" in each else []),
            ]:
                if value != []:
                    jsonschema.validate(value, each)
                    checked += 1
            walk(each)
            walk(each.get("additionalProperties") or {})

    walk(json.loads(manifest_schema_text()))
    assert checked >= 30
