"""Every key of `isthmus.toml`, once: reader, schema, reference and template draw on this table.

Defaults and examples are TOML, as they would be typed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["MANIFEST", "Key", "Table", "tables"]


@dataclass(frozen=True, slots=True)
class Key:
    """One row.

    Attributes:
        name: as in the file.
        kind: a name from `manifest_kinds.KINDS`; "" for a table.
        help: what it says, for people; one sentence or two, without a full stop at the end.
        default: what holds without it; "" where the help says it.
        example: a value worth showing; "" shows the default.
        required: True where nothing can stand in for it.
        table: what is in it, where it is a table.
        named: True for a table of tables, which the user names.
    """

    name: str
    kind: str
    help: str
    default: str = ""
    example: str = ""
    required: bool = False
    table: Table | None = None
    named: bool = False

    @property
    def field(self) -> str:
        """The name of the attribute in the settings."""
        return {"pass": "keep", "line": "lines"}.get(self.name, self.name.replace("-", "_"))


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the file and the keys it may have.

    Attributes:
        header: as in the file, such as "runtime.NAME"; "" for the top.
        help: what it is for, a sentence.
        keys: its rows, in the order they are shown.
        one_of: True where exactly one of the keys is given.
    """

    header: str
    help: str
    keys: tuple[Key, ...]
    one_of: bool = False

    def key(self, name: str) -> Key | None:
        """Look a row up."""
        return next((key for key in self.keys if key.name == name), None)


_ENV = Table(
    "runtime.NAME.env",
    "Exceptions to the clean environment in which a runtime's programs start.",
    (
        Key(
            "pass",
            "variable names",
            "variables handed on although they would be dropped",
            default="[]",
            example='["LD_PRELOAD"]',
        ),
        Key(
            "set",
            "variables",
            "variables set, after everything else; `${NAME}` stands for one of your shell's",
            default="{}",
            example='{ OMP_NUM_THREADS = "1" }',
        ),
        Key(
            "ros",
            "flag",
            "hand on ROS's variables, and its folders in PATH and LD_LIBRARY_PATH",
            default="false",
            example="true",
        ),
    ),
)

_RUNTIME = Table(
    "runtime.NAME",
    "One Python of the project: which interpreter, what must be in it and what must not.",
    (
        Key(
            "python",
            "pythons",
            "where its interpreter is, in order of preference. A path leads to an executable, to "
            "`python.sh` or the folder of Isaac Sim, to a virtual or conda environment, or to a uv "
            "project; what begins with a digit or one of `<` `>` `=` `!` `~=` is a version range",
            example='["${ISAAC_SIM_ROOT}", ">=3.11,<3.13"]',
            required=True,
        ),
        Key(
            "requirements",
            "requirements",
            "packages of an environment that is made, from that Python, when first needed; without "
            "it the interpreter is used as it is",
            default="[]",
            example='["numpy>=1.24"]',
        ),
        Key(
            "lock",
            "path",
            "where the exact versions of `requirements` are kept; by default "
            "`isthmus-locks/NAME.txt`",
            example='"isthmus-locks/policy.txt"',
        ),
        Key(
            "requires-python",
            "specifier",
            "versions that the interpreter must be of, wherever it was found",
            example='">=3.10"',
        ),
        Key(
            "must_import",
            "modules",
            "modules that must be importable, or nothing starts",
            default="[]",
            example='["numpy"]',
        ),
        Key(
            "forbid_import",
            "modules",
            "modules that belong to the other side: importing one raises an error that says so",
            default="[]",
            example='["omni", "isaacsim", "carb", "pxr"]',
        ),
        Key(
            "pythonpath",
            "import folders",
            "folders of your own code, put on the import path",
            default="[]",
            example='["src"]',
        ),
        Key("env", "", "exceptions to the clean environment", table=_ENV),
    ),
)

_READY = Table(
    "process.NAME.ready",
    "How to tell that a process is ready: exactly one of these.",
    (
        Key(
            "line",
            "patterns",
            "lines of its output, in this order, whatever lies between. A named group, "
            "`(?P<GROUP>...)`, becomes the placeholder `{NAME.GROUP}` of others",
            example="['listening (?P<url>\\S+)', '^ready$']",
        ),
        Key("port", "address", "it accepts connections there; a port is one of 127.0.0.1",
            example="8080"),
        Key("socket", "socket", "it accepts connections at this Unix socket",
            example='"{sockets}/gateway.sock"'),
        Key("http", "url", "a GET is answered with a status from 200 to 299",
            example='"http://127.0.0.1:8080/health"'),
    ),
    one_of=True,
)  # fmt: skip

_PROCESS = Table(
    "process.NAME",
    "One program of a run.",
    (
        Key(
            "runtime",
            "runtime",
            "the runtime it starts in; without one it is looked up on PATH and starts in your "
            "shell's environment, as it is",
            example='"policy"',
        ),
        Key(
            "command",
            "command",
            "program and arguments, with placeholders. `python` and `isthmus` are the runtime's",
            example='["python", "server.py", "--socket", "{sockets}/server.sock"]',
            required=True,
        ),
        Key(
            "ready",
            "",
            "how to tell that it is ready; without it, as soon as it has started",
            table=_READY,
        ),
        Key("ready_timeout", "timeout", "how long it may take to become ready", default="60"),
        Key(
            "depends_on",
            "processes",
            "processes that must be ready before it starts, and stop after it",
            default="[]",
            example='["gateway"]',
        ),
        Key(
            "restart",
            "restart",
            "whether it is started again when it ends; on-failure is a status other than 0",
            default='"never"',
            example='"on-failure"',
        ),
        Key(
            "restart_limit",
            "count",
            "how often in a row it is started again before the run fails",
            default="5",
        ),
        Key(
            "stop_signal",
            "signal",
            "what asks it to stop",
            default='"SIGTERM"',
            example='"SIGINT"',
        ),
        Key(
            "stop_timeout",
            "seconds",
            "how long it may take to stop; then it is killed, with all it started",
            default="10",
        ),
        Key("cwd", "folder", "the folder it starts in, with placeholders", default='"."'),
        Key(
            "env",
            "late variables",
            "variables set for it alone, with placeholders",
            default="{}",
            example='{ OMP_NUM_THREADS = "1" }',
        ),
    ),
)

_RUN = Table(
    "run.NAME",
    "What `isthmus up NAME` starts. Without any run, `isthmus up` starts every process.",
    (
        Key(
            "main",
            "process",
            "the process whose end ends the run, with its exit status; without one a run lasts "
            "until it is stopped, or until every process has ended",
            example='"sim"',
        ),
        Key(
            "processes",
            "processes",
            "what is started, with all that they depend on; by default `main`, or every process "
            "where there is no `main`",
            default="[]",
            example='["gateway", "sim"]',
        ),
    ),
)

_CONTRACT = Table(
    "contract",
    "What both sides must agree on; `isthmus doctor` compares them.",
    (
        Key(
            "file",
            "path",
            "the contract, JSON or TOML; `{contract}` in commands",
            example='"contract.json"',
        ),
        Key(
            "model",
            "path",
            "a model whose manifest must have the same interface",
            example='"policies/reach.onnx"',
        ),
    ),
)

MANIFEST = Table(
    "",
    "The whole file.",
    (
        Key("runs", "path", "where the directories of runs are made", default='"runs"'),
        Key("runtime", "", _RUNTIME.help, table=_RUNTIME, named=True),
        Key("process", "", _PROCESS.help, table=_PROCESS, named=True),
        Key("run", "", _RUN.help, table=_RUN, named=True),
        Key("contract", "", _CONTRACT.help, table=_CONTRACT),
    ),
)


def tables(top: Table = MANIFEST) -> Iterator[Table]:
    """List a table and all that are in it, in the order they are shown."""
    yield top
    for key in top.keys:
        if key.table is not None:
            yield from tables(key.table)
