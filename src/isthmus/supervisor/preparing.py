"""From the settings of a process to what its warden is to start."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from isthmus.errors import EnvironmentSetupError, SupervisionError
from isthmus.runtimes.examine import Examination
from isthmus.runtimes.placeholders import substitute
from isthmus.runtimes.precheck import check_there
from isthmus.runtimes.settings import Manifest, ProcessSettings, Ready, RuntimeSettings
from isthmus.runtimes.state import StateFolder
from isthmus.supervisor.aside import Aside
from isthmus.supervisor.ward import Order

__all__ = ["Launched", "Prepare", "Preparing"]


class Launched(Protocol):
    """What `Run` needs of `isthmus.runtimes.launch.Launch`."""

    @property
    def argv(self) -> tuple[str, ...]:
        """The arguments, the program's name first."""

    @property
    def executable(self) -> Path:
        """The file to execute."""

    @property
    def environ(self) -> Mapping[str, str]:
        """The whole environment."""

    @property
    def examination(self) -> Examination | None:
        """What the interpreter answered, where there is a runtime."""


class Prepare(Protocol):
    """`isthmus.runtimes.launch.prepare`."""

    def __call__(
        self,
        runtime: RuntimeSettings | None,
        command: Sequence[str],
        state: StateFolder,
        environ: Mapping[str, str],
        say: Callable[[str], None],
        *,
        extra: Mapping[str, str],
        cwd: Path,
    ) -> Launched:
        """Find the program, and build its environment."""


class Preparing:
    """Prepares the processes of a run.

    Args:
        manifest: of the project.
        state: its state folder.
        environ: as `os.environ`.
        prepare: turns a command into what is executed; it may take long, and blocks.
        say: told, in one line, what takes long.
    """

    def __init__(
        self,
        manifest: Manifest,
        state: StateFolder,
        environ: Mapping[str, str],
        prepare: Prepare,
        say: Callable[[str], None],
    ) -> None:
        self.examinations: dict[str, Examination] = {}
        """What the interpreter of each runtime answered."""
        self._manifest = manifest
        self._state = state
        self._environ = environ
        self._prepare = prepare
        self._say = say
        self._aside = Aside()

    @property
    def busy(self) -> bool:
        """True while something is still being built, whether or not anybody waits for it."""
        return self._aside.busy

    async def examine(
        self, processes: Iterable[ProcessSettings], values: Mapping[str, str]
    ) -> None:
        """Look at every runtime these processes need, and build those that are not built.

        Args:
            processes: of the run.
            values: what placeholders stand for.

        Raises:
            EnvironmentSetupError: one cannot be used.
        """
        names = dict.fromkeys(each.runtime for each in processes if each.runtime)
        runtimes = [self._manifest.runtimes[name] for name in names]
        # Before minutes go into building one: are the others there at all?
        with _as_ours("the runtimes"):
            await self._aside.run(lambda: check_there(runtimes, self._state, self._environ))
        for runtime in sorted(runtimes, key=lambda each: bool(each.requirements)):
            await self._prepared(runtime, ["python"], _marks(values), self._manifest.folder)

    async def order(self, settings: ProcessSettings, values: Mapping[str, str], log: Path) -> Order:
        """Prepare one process, with the placeholders filled in.

        Args:
            settings: of the process.
            values: what placeholders stand for.
            log: where its output goes.

        Raises:
            ManifestError: a placeholder has no value.
            EnvironmentSetupError: its runtime cannot be used.
            SupervisionError: its program is not there.
        """
        command = [substitute(word, values) for word in settings.command]
        cwd = self._manifest.folder / substitute(str(settings.cwd), values)
        extra = {
            "PYTHONUNBUFFERED": "1",  # else what is printed comes through 8 KiB at a time
            **{name: substitute(text, values) for name, text in settings.env.items()},
            **_marks(values),
            "ISTHMUS_PROCESS": settings.name,
        }
        runtime = self._manifest.runtimes[settings.runtime] if settings.runtime else None
        launch = await self._prepared(runtime, command, extra, cwd)
        if os.sep not in str(launch.executable):
            raise SupervisionError(f"{launch.executable}: command not found on PATH")
        return Order(
            argv=tuple(launch.argv),
            executable=str(launch.executable),
            environ=launch.environ,
            cwd=str(cwd),
            sockets=values["sockets"],
            log=str(log),
            signal=signal.Signals[settings.stop_signal],
            patience=settings.stop_timeout,
        )

    def target(self, ready: Ready, values: Mapping[str, str]) -> str:
        """Fill in where a process is to be reached.

        Raises:
            ManifestError: a placeholder has no value.
        """
        target = substitute(ready.target, values)
        return str(self._manifest.folder / target) if ready.kind == "socket" else target

    async def _prepared(
        self,
        runtime: RuntimeSettings | None,
        command: Sequence[str],
        extra: Mapping[str, str],
        cwd: Path,
    ) -> Launched:
        with _as_ours(runtime.called if runtime is not None else command[0]):
            launch = await self._aside.run(
                lambda: self._prepare(
                    runtime, command, self._state, self._environ, self._say, extra=extra, cwd=cwd
                )
            )
        if runtime is not None and launch.examination is not None:
            self.examinations[runtime.name] = launch.examination
        return launch


def _marks(values: Mapping[str, str]) -> dict[str, str]:
    """By these a process is known for one of the run, also when all who knew it were killed."""
    return {"ISTHMUS_RUN_ID": values["run_id"], "ISTHMUS_RUN_DIR": values["run"]}


@contextmanager
def _as_ours(what: str) -> Iterator[None]:
    """Say what could not be prepared, such as for a state folder that cannot be written."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        text = f"{what} cannot be prepared: {where}{error.strerror or error}"
        raise EnvironmentSetupError(text) from error
