"""A whole file in, settings out; and for everything wrong, its line and a way out."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from isthmus import tomltext
from isthmus.errors import ManifestError, MissingDependencyError
from isthmus.runtimes.manifest import MAX_TEXT, find_manifest, load_manifest, read_manifest
from isthmus.runtimes.manifest.keys import Key, Table, tables
from isthmus.runtimes.manifest.kinds import KINDS, Surroundings
from isthmus.runtimes.settings import (
    ContractSettings,
    EnvironSettings,
    Manifest,
    ProcessSettings,
    Ready,
    RunSettings,
    RuntimeSettings,
)

from ..support.rights import closed

FILE = Path("/project/isthmus.toml")
ENVIRON = {"HOME": "/home/me", "DATA": "/data", "ODD": "{run}", "EMPTY": ""}

WHOLE = r"""
runs = "out"

[runtime.sim]
python = ["${ISAAC_SIM_ROOT}", ">=3.11,<3.13", "~/isaac"]
requirements = ["numpy>=1.24"]
lock = "requirements/sim.txt"
requires-python = ">=3.10"
must_import = ["isaacsim"]
forbid_import = ["torch"]
pythonpath = ["src", "${DATA}/lib", "~/lib"]
[runtime.sim.env]
pass = ["LD_PRELOAD"]
set = { OMP_NUM_THREADS = "1", WHERE = "${DATA}/x", PLAIN = "${{DATA}} $DATA {run}" }
ros = true

[runtime.policy]
python = ".venv"

[process.gateway]
runtime = "policy"
command = ["isthmus", "serve", "m.onnx", "--listen", "unix:{sockets}/g.sock", ""]
ready = { line = ['listening (?P<tcp>tcp://\S+)', "^ready$"] }
ready_timeout = 5
restart = "on-failure"
restart_limit = 2
stop_signal = "SIGINT"
stop_timeout = 0
cwd = "~/work"
env = { A = "${DATA}/{run_id}", B = "${ODD}", C = "${NOT_SET}", EMPTY = "" }

[process.sim]
runtime = "sim"
command = "python sim.py --tcp {gateway.tcp} 'two words' {gateway.pid} {contract}"
depends_on = ["gateway"]

[process.web]
command = ["web"]
ready = { port = 8080 }

[run.demo]
main = "sim"
[run.all]
processes = ["sim", "web"]

[contract]
file = "contract.json"
model = "/models/m.onnx"
"""


def read(text: str) -> Manifest:
    return read_manifest(text, FILE, ENVIRON)


def refused(text: str) -> str:
    with pytest.raises(ManifestError) as error:
        read(text)
    return str(error.value)


def test_a_whole_manifest() -> None:
    manifest = read(WHOLE)
    assert manifest.path == FILE and manifest.folder == Path("/project")
    assert manifest.runs_folder == Path("/project/out")
    assert list(manifest.runtimes.values()) == [
        RuntimeSettings(
            "sim",
            ("${ISAAC_SIM_ROOT}", ">=3.11,<3.13", "~/isaac"),
            requirements=("numpy>=1.24",),
            lock=Path("/project/requirements/sim.txt"),
            requires_python=">=3.10",
            must_import=("isaacsim",),
            forbid_import=("torch",),
            pythonpath=(Path("/project/src"), Path("/data/lib"), Path("/home/me/lib")),
            env=EnvironSettings(
                ("LD_PRELOAD",),
                {"OMP_NUM_THREADS": "1", "WHERE": "/data/x", "PLAIN": "${DATA} $DATA {run}"},
                True,
            ),
            folder=Path("/project"),
        ),
        RuntimeSettings("policy", (".venv",), folder=Path("/project")),
    ]
    assert list(manifest.processes.values()) == [
        ProcessSettings(
            "gateway",
            ("isthmus", "serve", "m.onnx", "--listen", "unix:{sockets}/g.sock", ""),
            runtime="policy",
            cwd=Path("/home/me/work"),
            env={"A": "/data/{run_id}", "B": "{{run}}", "C": "${NOT_SET}", "EMPTY": ""},
            ready=Ready("line", (r"listening (?P<tcp>tcp://\S+)", "^ready$")),
            ready_timeout=5.0,
            restart="on-failure",
            restart_limit=2,
            stop_signal="SIGINT",
            stop_timeout=0.0,
        ),
        ProcessSettings(
            "sim",
            ("python", "sim.py", "--tcp", "{gateway.tcp}", "two words", "{gateway.pid}",
             "{contract}"),
            runtime="sim",
            depends_on=("gateway",),
        ),
        ProcessSettings("web", ("web",), ready=Ready("port", target="8080")),
    ]  # fmt: skip
    assert manifest.runs == {
        "demo": RunSettings("demo", "sim"),
        "all": RunSettings("all", None, ("sim", "web")),
    }
    assert manifest.contract == ContractSettings(
        Path("/project/contract.json"), Path("/models/m.onnx")
    )


def test_an_empty_manifest_is_one() -> None:
    assert read("") == Manifest(FILE, Path("/project/runs"), {}, {}, {}, ContractSettings())


@pytest.mark.parametrize(
    ("target", "kind", "kept"),
    [
        ('line = "up"', "line", ("up",)),
        ('port = "[::1]:80"', "port", "[::1]:80"),
        ('port = "{a.port}"', "port", "{a.port}"),
        ('socket = "{sockets}/x"', "socket", "{sockets}/x"),
        ('http = "http://localhost/ok"', "http", "http://localhost/ok"),
    ],
)
def test_every_way_to_be_ready(target: str, kind: str, kept: object) -> None:
    text = (
        "[process.a]\ncommand = 'a'\nready.line = '(?P<port>[0-9]{4})'\n"
        f"[process.b]\ncommand = 'b'\ndepends_on = ['a']\nready = {{ {target} }}"
    )
    ready = read(text).processes["b"].ready
    assert ready is not None and ready.kind == kind
    assert kept in (ready.lines, ready.target)


@pytest.mark.parametrize("file", ["sim.txt", "requirements/sim.in", "./numpy", "../sim-1.0.txt"])
def test_files_of_requirements(file: str) -> None:
    read(f"[runtime.sim]\npython = '3.11'\nrequirements = '{file}'")


def test_a_runtime_knows_where_it_is_written() -> None:
    runtime = read("[runtime.sim]\nmust_import = ['x']\npython = '3'").runtimes["sim"]
    assert runtime.where.endswith("isthmus.toml:3")
    assert runtime.called == f"{runtime.where}: [runtime.sim]"


# What is wrong -> the line that is named, and what the message has to say.
R = "[runtime.sim]\npython = '3.11'\n"
P = "[process.a]\ncommand = ['a']\n"
WRONG: dict[str, tuple[str, int, tuple[str, ...]]] = {
    # Keys and tables.
    "unknown at the top": ("\nrunss = 'x'", 2, ("unknown key 'runss'; nearest key 'runs'",)),
    "unknown table": ("[runtimes.sim]\npython = '3'", 1, ("nearest key 'runtime'",)),
    "a table of a near name": ("\n[runs.demo]\nmain = 'a'", 2, ("did you mean [run.demo]?",)),
    "typo": (P + "\ndependson = []", 4, ("unknown key 'dependson' in [process.a]", "depends_on'")),
    "hyphen": (R + "must-import = ['x']", 3, ("nearest key 'must_import'",)),
    "case": (R + "Requires_Python = '>=3'", 3, ("nearest key 'requires-python'",)),
    "of another table": (P + "python = '3.11'", 3, ("it belongs in [runtime.NAME]",)),
    "of the top": (R + "runs = 'x'", 3, ("it belongs in the top, before any table",)),
    "nothing near": (R + "zzz = 1", 3, ("known: python, requirements",)),
    "in an inline table": (P + "ready = { lines = 'x' }", 3, ("nearest key 'line'",)),
    "in a dotted key": (R + "env.sets = {}", 3, ("nearest key 'set'",)),
    "no table": ("runtime = 'x'", 1, ("expected tables [runtime.NAME]", "got 'x'")),
    "no name": ("[process]\ncommand = 'x'", 2, ("'command' is a key of [process.NAME]",)),
    "a value for a table": (R + "env = 'x'", 3, ("expected a table, got 'x'",)),
    "an array of tables": ("[[runtime.sim]]\npython = '3'", 1, ("expected a table",)),
    "a name with a space": ("\n[process.'a b']\ncommand = 'x'", 2, ("expected a name",)),
    "a long name": (f"[run.{'a' * 33}]", 1, ("at most 32",)),
    "python missing": ("\n[runtime.sim]\nmust_import = []", 2, ("'python' is missing",)),
    "python missing, table implied": ("\n[runtime.sim.env]\nros = true", 2, ("is missing",)),
    "command missing": ("[process.a]", 1, ("'command' is missing",)),
    # Values.
    "python number": ("[runtime.sim]\npython = 3.11", 2, ('such as "3.11"', "got 3.11")),
    "python of two digits": ("[runtime.sim]\npython = 3.10", 2, ('such as "3.10"', "got 3.10")),
    "python empty": ("[runtime.sim]\npython = ''", 2, ("expected text",)),
    "python none": ("[runtime.sim]\npython = []", 2, ("at least one", "an empty list")),
    "python range": ("[runtime.sim]\npython = [\n'x',\n'3..1']", 4, ("'3..1'", '"./3..1"')),
    "python variable": ("[runtime.sim]\npython = '${A:-b}'", 2, ("the name of a variable",)),
    "python table": ("[runtime.sim]\npython = {a=1}", 2, ("got a table",)),
    "specifier": (R + "requires-python = 'new'", 3, ("'requires-python'", "'new'")),
    "requirements none": (R + "requirements = []", 3, ("at least one",)),
    "requirements text": (R + "requirements = 'numpy<2'", 3, ('write a list, ["numpy<2"]',)),
    "requirements name": (R + "requirements = 'numpy'", 3, ('["numpy"], or "./numpy"',)),
    "requirements extra": (R + "requirements = 'ray[rllib]'", 3, ('["ray[rllib]"]',)),
    "modules": (R + "must_import = ['numpy>=1']", 3, ("the name of a module", "'numpy>=1'")),
    "modules text": (R + "must_import = 'numpy'", 3, ("expected a list of modules",)),
    "pythonpath": (R + "pythonpath = ['a:b']", 3, ("write a list",)),
    "pythonpath variable": (R + "pythonpath = ['${NO}/x']", 3, ("NO", "not set", "export NO=")),
    "pythonpath empty": (R + "pythonpath = ['${EMPTY}/x']", 3, ("EMPTY", "or empty")),
    "pass": (R + "env.pass = ['A', 'B C']", 3, ("name of an environment variable", "'B C'")),
    "set number": (R + "env.set = { A = 1 }", 3, ("A: expected text in quotes", '"1"')),
    "set flag": (R + "env.set = { A = true }", 3, ('such as "true"',)),
    "set NUL": (R + 'env.set = { A = "\\u0000" }', 3, ("NUL",)),
    "set variable": (R + "env.set = { A = '${NO}' }", 3, ("NO", "not set")),
    "set PYTHONPATH": (R + "env.set.PYTHONPATH = 'x'", 3, ("use the runtime's `pythonpath`",)),
    "set ours": (P + "env = { ISTHMUS_RUN_ID = 'x' }", 3, ("isthmus sets it",)),
    "ros": (R + "env.ros = 1", 3, ("expected true or false, got 1",)),
    "our name": ("[process.isthmus]\ncommand = 'a'", 1, ("another name",)),
    "command empty": ("[process.a]\ncommand = ''", 2, ("expected a program",)),
    "command none": ("[process.a]\ncommand = []", 2, ("expected a program",)),
    "command nothing": ("[process.a]\ncommand = ['', 'x']", 2, ("expected a program, got ''",)),
    "command number": ("[process.a]\ncommand = [\n'a',\n5,\n]", 4, ('such as "5"',)),
    "command quote": ('[process.a]\ncommand = "a \'b"', 2, ("cannot be split",)),
    "command table": ("[process.a]\ncommand = { x = 1 }", 2, ("expected a list",)),
    "restart": (P + "restart = 'sometimes'", 3, ("never, on-failure, always", "'sometimes'")),
    "signal": (P + "stop_signal = 'TERM'", 3, ("SIGTERM", "'TERM'")),
    "signal number": (P + "stop_signal = 15", 3, ("SIGTERM", "15")),
    "timeout negative": (P + "stop_timeout = -1", 3, ("from 0 to", "got -1")),
    "timeout nan": (P + "stop_timeout = nan", 3, ("got nan",)),
    "timeout inf": (P + "stop_timeout = inf", 3, ("got inf",)),
    "timeout zero": (P + "ready_timeout = 0", 3, ("above 0",)),
    "timeout flag": (P + "ready_timeout = true", 3, ("got true",)),
    "timeout text": (P + "ready_timeout = '5'", 3, ("got '5'",)),
    "limit fraction": (P + "restart_limit = 1.5", 3, ("whole number",)),
    "limit negative": (P + "restart_limit = -1", 3, ("got -1",)),
    "ready none": (P + "ready = {}", 3, ("exactly one of line, port, socket, http, got none",)),
    "ready two": (
        P + "ready = { port = 1,\nline = 'x' }".replace("\n", " "),
        3,
        ("port and line",),
    ),
    "regex": (P + "ready.line = ['x', '(']", 3, ("'(' is no regular expression",)),
    "regex second": (P + "ready.line = [\n'x',\n'[',\n]", 5, ("'[' is no regular",)),
    "regex of two meanings": (P + "ready.line = '[[a]'", 3, ("no regular expression",)),
    "regex too large": (P + "ready.line = 'a{99999999999}'", 3, ("no regular expression",)),
    "regex too deep": (P + f"ready.line = '{'(' * 1000}{')' * 1000}'", 3, ("no regular",)),
    "group pid": (P + "ready.line = '(?P<pid>.)'", 3, ("rename the group",)),
    "group twice": (P + "ready.line = ['(?P<a>.)', '(?P<a>.)']", 3, ("in two of the patterns",)),
    "port": (P + "ready.port = 70000", 3, ("from 1 to 65535",)),
    "port zero": (P + "ready.port = 'localhost:0'", 3, ("from 1 to 65535",)),
    "port flag": (P + "ready.port = true", 3, ("expected text",)),
    "http": (P + "ready.http = '/health'", 3, ("expected a URL",)),
    "https": (P + "ready.http = 'https://h/'", 3, ("such as http://",)),
    "contract": ("[contract]\nfile = true", 2, ("expected text",)),
    # References.
    "runtime unknown": (P + "runtime = 'sin'\n" + R, 3, ("[runtime.sin]", "nearest runtime 'sim'")),
    "no runtime at all": (P + "runtime = 'sim'", 3, ("there is no runtime",)),
    "depends unknown": (P + "depends_on = [\n'b']", 4, ("no [process.b]", "known: a")),
    "itself": (P + "depends_on = ['a']", 3, ("a -> a",)),
    "circle": (
        P + "depends_on = ['b']\n[process.b]\ncommand = 'b'\ndepends_on = ['c']\n"
        "[process.c]\ncommand = 'c'\ndepends_on = ['a']",
        3,
        ("a -> b -> c -> a",),
    ),
    "main unknown": (P + "[run.demo]\nmain = 'b'", 4, ("no [process.b]",)),
    "processes unknown": (P + "[run.demo]\nprocesses = ['a', 'ab']", 4, ("nearest process 'a'",)),
    "lock alone": (R + "\nlock = 'x'", 4, ("'requirements'",)),
    "wanted and not": (R + "forbid_import=['a']\nmust_import=['b', 'a.c']", 4, ("'a.c'", "'a'")),
    # Placeholders.
    "unknown": ("[process.a]\ncommand = [\n'a',\n'{runs}']", 4, ("{runs}", "nearest placeholder")),
    "shell": ("[process.a]\ncommand = 'a {print $1}'", 2, ("'{print'", "'{{'")),
    "stray": (P + "cwd = 'a}'", 3, ("'}}'",)),
    "in env": (P + "[process.a.env]\n\nA = '{x}'", 5, ("unknown placeholder {x}",)),
    "in ready": (P + "ready.socket = '{socket}/a'", 3, ("nearest placeholder 'sockets'",)),
    "contract not given": ("[process.a]\ncommand = 'a {contract}'", 2, ("'file' in [contract]",)),
    "of nobody": ("[process.a]\ncommand = 'a {b.pid}'", 2, ("no [process.b]",)),
    "of itself": ("[process.a]\ncommand = 'a {a.pid}'", 2, ("add 'a' to 'depends_on'",)),
    "too early": (P + "[process.b]\ncommand = 'b {a.pid}'", 4, ("add 'a' to 'depends_on'",)),
    "no such group": (
        P + "ready.line = '(?P<url>.)'\n[process.b]\ndepends_on = ['a']\ncommand = 'b {a.uri}'",
        6,
        ("'a' gives pid, url",),
    ),
    # TOML itself.
    "malformed": ("\n\nruns = 'x", 3, ("no well-formed TOML",)),
    "unclosed": ("runs = [\n1,\n", 2, ("at the end of the file",)),
    "twice": ("runs = 'a'\nruns = 'b'", 2, ("no well-formed TOML",)),
    "long line": ("\nruns = '" + "a" * 3000 + "'", 2, ("longer than 2048",)),
    "no line for TOML": ("\n" + "'\u2028'." * 800 + "a = 1", 2, ("longer than 2048",)),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named_with_its_line(name: str) -> None:
    text, line, parts = WRONG[name]
    message = refused(text)
    assert message.startswith(f"{FILE}:{line}: "), message
    for part in parts:
        assert part in message


def test_a_variable_that_is_not_set_troubles_only_who_needs_it() -> None:
    text = (
        "[runtime.sim]\npython = '${NO}'\n[process.a]\ncommand = ['${NO}']\ncwd = '${NO}'\n"
        "ready.socket = '${NO}/x'"
    )
    manifest = read(text)
    assert manifest.runtimes["sim"].python == ("${NO}",)
    assert manifest.processes["a"].command == ("${NO}",)


def test_values_are_reached_through_others() -> None:
    text = (
        "[process.a]\ncommand = 'a'\n[process.b]\ncommand = 'b'\ndepends_on = ['a']\n"
        "[process.c]\ncommand = 'c {a.pid} {{x}} ${HOME}'\ndepends_on = ['b']"
    )
    assert read(text).processes["c"].command == ("c", "{a.pid}", "{{x}}", "/home/me")


def all_keys() -> list[tuple[Table, Key]]:
    return [(table, key) for table in tables() for key in table.keys]


@pytest.mark.parametrize(("table", "key"), all_keys(), ids=lambda each: getattr(each, "name", None))
def test_the_defaults_of_the_table_are_those_of_the_settings(table: Table, key: Key) -> None:
    classes = {
        "runtime.NAME": RuntimeSettings("x", ()),
        "runtime.NAME.env": EnvironSettings(),
        "process.NAME": ProcessSettings("x", ()),
        "process.NAME.ready": Ready("line"),
        "run.NAME": RunSettings("x"),
        "contract": ContractSettings(),
        "": Manifest(FILE, Path("/project/runs"), {}, {}, {}, ContractSettings()),
    }
    if key.table is not None or key.required or table.one_of:
        return
    field = "runs_folder" if key.name == "runs" else key.field
    settled = getattr(classes[table.header], field)
    if not key.default:
        assert settled in (None, "")
        return
    kind = KINDS[key.kind]
    written = tomltext.loads(f"value = {key.default}")["value"]
    # An empty list is what a list may not be said to be, where saying nothing means that.
    given = () if written == [] else kind.check(written)
    assert kind.place(given, Surroundings(FILE.parent, {})) == settled


class TestFile:
    """Finding and reading."""

    def test_the_nearest_one_above(self, tmp_path: Path) -> None:
        below = tmp_path / "a" / "b"
        below.mkdir(parents=True)
        (tmp_path / "isthmus.toml").write_text("", encoding="utf-8")
        assert find_manifest(below) == tmp_path / "isthmus.toml"
        (below / "isthmus.toml").write_text("", encoding="utf-8")
        assert find_manifest(below) == below / "isthmus.toml"

    def test_none(self) -> None:
        with pytest.raises(ManifestError, match="`isthmus init` writes one"):
            find_manifest(Path("/proc/self"))

    def test_a_folder_that_may_not_be_looked_into_has_none(self, tmp_path: Path) -> None:
        below = tmp_path / "closed" / "a"
        below.mkdir(parents=True)
        with closed(tmp_path / "closed"), pytest.raises(ManifestError, match="isthmus init"):
            find_manifest(below)

    def test_a_relative_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        Path("isthmus.toml").write_text("runs = 'x'", encoding="utf-8")
        manifest = load_manifest(find_manifest(Path()), {})
        assert manifest.path == tmp_path / "isthmus.toml"
        assert load_manifest(Path("isthmus.toml"), {}).runs_folder == tmp_path / "x"

    @pytest.mark.parametrize(
        ("data", "says"),
        [
            (b"x" * (MAX_TEXT + 1), "larger than"),
            (b"# fine\nruns = '\xff'", ":2: expected UTF-8"),
            (b"a" + b".a" * 900 + b" = 1", ":1: unknown key 'a'"),
            (b"a = " + b"[" * 2000, "deep|TOML"),
        ],
    )
    def test_no_text(self, tmp_path: Path, data: bytes, says: str) -> None:
        file = tmp_path / "isthmus.toml"
        file.write_bytes(data)
        with pytest.raises(ManifestError, match=says):
            load_manifest(file, {})

    def test_a_mark_at_the_front_and_other_ends_of_lines(self, tmp_path: Path) -> None:
        file = tmp_path / "isthmus.toml"
        file.write_bytes(b"\xef\xbb\xbfruns = 'x'\r\n\r\nrun = 'y'\r\n")
        with pytest.raises(ManifestError, match=r":3: 'run'"):
            load_manifest(file, {})

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ManifestError, match="cannot be read: Is a directory"):
            load_manifest(tmp_path, {})

    def test_a_python_that_cannot_read_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("tomllib", "tomli"):
            monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(MissingDependencyError, match=r"pip install tomli.*Python of `isthmus`"):
            read("")


def test_whatever_it_says_there_is_one_kind_of_error() -> None:
    """Characters are taken away, doubled and exchanged; what comes is settings or our error."""
    dice = random.Random(3)
    pieces = ["", "[", "]", "{", "}", '"', "'", "=", "\n", "#", "${", "1", ".", ",", "\\"]
    outcomes = {True: 0, False: 0}
    for _ in range(400):
        text = WHOLE
        for _ in range(dice.randint(1, 2)):
            at = dice.randrange(len(text))
            text = text[:at] + dice.choice(pieces) + text[at + dice.randint(0, 2) :]
        try:
            read(text)
        except ManifestError as error:
            line = str(error).split(":")[1]
            assert 1 <= int(line) <= text.count("\n") + 1
            outcomes[False] += 1
        else:
            outcomes[True] += 1
    assert min(outcomes.values()) > 20
