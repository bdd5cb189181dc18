"""What `isthmus.toml` says, checked and typed. Read by `manifest`; here are only the words.

Paths are absolute, `~` and `${NAME}` are expanded; whether they lead to anything is found out when
they are used. Two things stay as they stand in the file, so that a variable which is not set
troubles nobody who does without it: `RuntimeSettings.python`, which `expand.expand` turns into a
path, and what of a process may hold placeholders, which `placeholders.substitute` fills.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = [
    "ContractSettings",
    "EnvironSettings",
    "Manifest",
    "ProcessSettings",
    "Ready",
    "RunSettings",
    "RuntimeSettings",
]

RESTARTS = ("never", "on-failure", "always")
READY_KINDS = ("line", "port", "socket", "http")


@dataclass(frozen=True, slots=True)
class EnvironSettings:
    """`[runtime.NAME.env]`: what the clean environment of a runtime has beyond the usual.

    Attributes:
        keep: variables passed on although they would be dropped; `pass` in the file.
        set: variables set, after everything else.
        ros: True passes ROS's variables, and its elements of PATH and LD_LIBRARY_PATH.
    """

    keep: tuple[str, ...] = ()
    set: Mapping[str, str] = field(default_factory=dict)
    ros: bool = False


@dataclass(frozen=True, slots=True)
class RuntimeSettings:
    """`[runtime.NAME]`: one Python environment of a project.

    Attributes:
        name: such as "sim".
        python: where its interpreter is, in order of preference: paths (an executable, Isaac's
            `python.sh` or folder, a virtual environment, a uv project) and version ranges
            (">=3.11,<3.13", "3.11"). As in the file: paths are for `expand.expand`.
        requirements: packages of an environment made on demand: requirement lines, or one file of
            them; empty for an environment that is only used.
        lock: where the exact versions of `requirements` are kept; None beside the manifest.
        requires_python: version specifiers the interpreter must fulfil; "" is any.
        must_import: modules that must be importable.
        forbid_import: modules that must not be imported; the guard sees to it.
        pythonpath: folders put on the import path.
        env: the environment's exceptions.
        folder: the manifest's; relative paths in `python` start there.
        where: file and line of `python`, or the option that stands for it; for messages.
    """

    name: str
    python: tuple[str, ...]
    requirements: tuple[str, ...] | Path = ()
    lock: Path | None = None
    requires_python: str = ""
    must_import: tuple[str, ...] = ()
    forbid_import: tuple[str, ...] = ()
    pythonpath: tuple[Path, ...] = ()
    env: EnvironSettings = field(default_factory=EnvironSettings)
    folder: Path = Path()
    where: str = field(default="", compare=False)

    @property
    def called(self) -> str:
        """How messages name it: where it is written down, and its table."""
        if self.where.startswith("--"):
            return self.where
        return f"{self.where}: [runtime.{self.name}]" if self.where else f"[runtime.{self.name}]"


@dataclass(frozen=True, slots=True)
class Ready:
    """How to tell that a process is ready.

    Attributes:
        kind: one of `READY_KINDS`.
        lines: of "line", regular expressions found in its output in this order, whatever lies
            between; their named groups become values for others, as `{PROCESS.GROUP}`.
        target: of "port" HOST:PORT or PORT of loopback; of "socket" a path, seen from the
            manifest's folder; of "http" a URL whose answer is 200 to 299. May hold placeholders.
    """

    kind: str
    lines: tuple[str, ...] = ()
    target: str = ""


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """`[process.NAME]`: one program of a run.

    Attributes:
        name: such as "gateway".
        command: program and arguments, each of which may hold placeholders. `python` and `isthmus`
            are those of the runtime.
        runtime: name of its runtime; None starts the command from PATH.
        cwd: its folder, seen from the manifest's: `manifest.folder / substitute(str(cwd), ...)`.
        env: variables set; their values may hold placeholders.
        ready: how to tell; None means as soon as it runs.
        ready_timeout: seconds.
        depends_on: processes that must be ready before it starts.
        restart: one of `RESTARTS`.
        restart_limit: restarts in a row before the run fails.
        stop_signal: such as "SIGTERM".
        stop_timeout: seconds between that signal and SIGKILL.
    """

    name: str
    command: tuple[str, ...]
    runtime: str | None = None
    cwd: Path = Path()
    env: Mapping[str, str] = field(default_factory=dict)
    ready: Ready | None = None
    ready_timeout: float = 60.0
    depends_on: tuple[str, ...] = ()
    restart: str = "never"
    restart_limit: int = 5
    stop_signal: str = "SIGTERM"
    stop_timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class RunSettings:
    """`[run.NAME]`: what `isthmus up NAME` starts.

    Attributes:
        name: such as "demo".
        main: the process whose end ends the run, with its exit status; None for a run that lasts
            until it is stopped or every process has ended.
        processes: what is started, with all they depend on; empty means `main`, or every process
            where there is no main.
    """

    name: str
    main: str | None = None
    processes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ContractSettings:
    """`[contract]`: what both sides must agree on.

    Attributes:
        file: the contract, JSON or TOML; `{contract}` in commands.
        model: a model whose manifest must have the same interface.
    """

    file: Path | None = None
    model: Path | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """A whole `isthmus.toml`.

    Attributes:
        path: the file; relative paths in it start at its folder.
        runs_folder: where run directories are made.
        runtimes: by name, in the file's order.
        processes: likewise.
        runs: likewise.
        contract: what both sides must agree on.
    """

    path: Path
    runs_folder: Path
    runtimes: Mapping[str, RuntimeSettings]
    processes: Mapping[str, ProcessSettings]
    runs: Mapping[str, RunSettings]
    contract: ContractSettings

    @property
    def folder(self) -> Path:
        """Where the file is."""
        return self.path.parent
