"""A project of small programs, and `isthmus up` in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from isthmus.supervisor.registry import strays

from ..support.waiting import until

ISTHMUS = [sys.executable, "-I", "-m", "isthmus"]

SERVES = """
    import signal, sys
    print("listening tcp://127.0.0.1:4711", flush=True)
    print("ready", flush=True)
    signal.pause()
"""
READY = {"line": [r"^listening (?P<tcp>tcp://\S+)$", "^ready$"]}


class Project:
    """A folder with an `isthmus.toml`.

    Args:
        folder: an empty one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._processes: dict[str, dict[str, Any]] = {}
        self._runs: dict[str, dict[str, Any]] = {}
        self._runtimes: dict[str, dict[str, Any]] = {}

    def runtime(self, name: str, **settings: Any) -> Project:
        """Add a runtime."""
        self._runtimes[name] = settings
        return self

    def process(self, name: str, code: str, *arguments: str, **settings: Any) -> Project:
        """Add a process that runs a small Python program."""
        program = self.folder / f"{name}.py"
        program.write_text(textwrap.dedent(code), encoding="utf-8")
        command = [sys.executable, "-I", "-S", str(program), *arguments]
        self._processes[name] = {"command": command, **settings}
        return self

    def command(self, name: str, *command: str) -> Project:
        """Let a process run something else."""
        self._processes[name]["command"] = list(command)
        return self

    def run(self, name: str, **settings: Any) -> Project:
        """Add a run."""
        self._runs[name] = settings
        return self

    def write(self) -> None:
        """Write the manifest."""
        tables = {f"runtime.{name}": each for name, each in self._runtimes.items()}
        tables.update({f"process.{name}": each for name, each in self._processes.items()})
        tables.update({f"run.{name}": each for name, each in self._runs.items()})
        text = "\n".join(
            "\n".join([f"[{table}]", *(f"{key} = {_toml(value)}" for key, value in each.items())])
            for table, each in tables.items()
        )
        (self.folder / "isthmus.toml").write_text(text + "\n", encoding="utf-8")

    @contextmanager
    def up(self, *arguments: str, python: str = sys.executable, **options: Any) -> Iterator[Up]:
        """Start `isthmus up`, and see to it that it ends."""
        self.write()
        up = Up(self, [python, *ISTHMUS[1:], "up", *arguments], options)
        try:
            yield up
            up.end()
        finally:
            up.clear()

    def done(self, *arguments: str, **options: Any) -> Up:
        """Run `isthmus up` to its end."""
        with self.up(*arguments, **options) as up:
            up.end()
        return up

    def isthmus(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command in the project."""
        return subprocess.run(
            [*ISTHMUS, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=60
        )


class Up:
    """One `isthmus up`.

    Attributes:
        output: what it said, after `end`; standard output and error.
        status: its exit status, after `end`.
    """

    def __init__(
        self, project: Project, command: Sequence[str], options: Mapping[str, Any]
    ) -> None:
        self._project = project
        self.output = ""
        self.status: int | None = None
        self._folder: Path | None = None
        self._console = project.folder / f"console-{len(list(project.folder.iterdir()))}"
        with self._console.open("wb") as console:
            self.process = subprocess.Popen(
                list(command),
                **{
                    "cwd": project.folder,
                    "stdin": subprocess.DEVNULL,
                    "stdout": console,
                    "stderr": subprocess.STDOUT,
                    "start_new_session": True,
                    **options,
                },
            )

    @property
    def folder(self) -> Path:
        """The run's directory."""
        if self._folder is None:
            until(lambda: self._find_folder() or self.process.poll() is not None)
            self._folder = self._find_folder()
        assert self._folder is not None, self.said()
        return self._folder

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.folder.name

    @property
    def facts(self) -> dict[str, Any]:
        """What `up.json` says now."""
        file = self.folder / "up.json"
        until(file.exists, "up.json")
        facts: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return facts

    def pid(self, name: str) -> int:
        """Wait until a process has a number."""
        return int(until(lambda: self.facts["processes"].get(name, {}).get("pid"), f"{name}'s pid"))

    def state(self, name: str) -> str:
        """Tell a process's state."""
        return str(self.facts["processes"][name]["state"])

    def how(self, name: str) -> str:
        """Tell how a process ended."""
        return str(self.facts["processes"][name]["how"])

    def log(self, name: str) -> str:
        """Read a process's log; "" before there is one."""
        file = self.folder / "logs" / f"{name}.log"
        return file.read_bytes().decode("utf-8", "replace") if file.exists() else ""

    def said(self) -> str:
        """Read what it has said so far."""
        return self._console.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, text: str) -> None:
        """Wait until it has said something."""
        until(lambda: text in self.said() or self.process.poll() is not None, text)
        assert text in self.said(), self.said()

    def wait_for_state(self, name: str, state: str) -> None:
        """Wait until a process is in a state."""
        until(lambda: self.state(name) == state, f"{name} {state}")

    def interrupt(self, number: int = signal.SIGINT) -> None:
        """Signal the supervisor."""
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait for its end; the exit status."""
        self.status = self.process.wait(60)
        self.output = self.said()
        return self.status

    def nothing_is_left(self) -> bool:
        """Tell whether all processes and the sockets of the run are gone."""
        return not strays(self.run_id) and not os.path.exists(self.facts["sockets"])

    def _find_folder(self) -> Path | None:
        for file in (self._project.folder / "runs").glob("*/up.json"):
            if (
                json.loads(file.read_text(encoding="utf-8"))["supervisor"]["pid"]
                == self.process.pid
            ):
                return file.parent
        return None

    def clear(self) -> None:
        """End it, if a test has not."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)
