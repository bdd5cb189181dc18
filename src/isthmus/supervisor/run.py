"""A run: all its processes, from the first start to the last end.

Every process has a task (`process.py`) that waits for what it depends on. The run itself waits for
a *verdict*: the main process has ended, one has failed, all have ended, or somebody asked. Then
each process is stopped once those that depend on it have ended.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from isthmus.errors import Error, SupervisionError
from isthmus.runids import run_id as new_run_id
from isthmus.runtimes.examine import Examination
from isthmus.runtimes.placeholders import substitute
from isthmus.runtimes.plan import Plan
from isthmus.runtimes.settings import Manifest, ProcessSettings, Ready, RuntimeSettings
from isthmus.runtimes.state import StateFolder
from isthmus.supervisor import records, report
from isthmus.supervisor.interrupts import Interrupts
from isthmus.supervisor.logfile import LogFile
from isthmus.supervisor.orphans import adopt_orphans, end_orphans
from isthmus.supervisor.output import Output
from isthmus.supervisor.process import Outcome, Process
from isthmus.supervisor.report import Verdict
from isthmus.supervisor.terminal import OWN, Terminal, wants_colour
from isthmus.supervisor.ward import Order, Ward
from isthmus.supervisor.warden import remove_tree
from isthmus.supervisor.words import exit_status, signal_name

__all__ = ["EXIT_FAILED", "Launched", "Prepare", "Run"]

EXIT_FAILED = 3

T = TypeVar("T")


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
    ) -> Launched:
        """Find the program, and build its environment."""


class Run:
    """One run of a manifest.

    Args:
        manifest: read by `load_manifest`.
        plan: what of it is started, and in which order.
        state: the project's state folder.
        environ: as `os.environ`.
        prepare: turns a command into what is executed.
    """

    def __init__(
        self,
        manifest: Manifest,
        plan: Plan,
        state: StateFolder,
        environ: Mapping[str, str],
        prepare: Prepare,
    ) -> None:
        self.id = new_run_id(time.time_ns(), secrets.token_hex(3))
        self.manifest = manifest
        self.plan = plan
        self.folder = (manifest.runs_folder / self.id).absolute()
        self.sockets = records.private_folder(environ)
        self.processes: dict[str, Process] = {}
        self.examinations: dict[str, Examination] = {}
        self.started_ns = time.time_ns()
        self.ended_ns: int | None = None
        self.verdict: Verdict | None = None
        self.values = {"run_id": self.id, "run": str(self.folder), "sockets": self.sockets}
        if manifest.contract.file is not None:
            self.values["contract"] = str(manifest.contract.file)
        self._state = state
        self._environ = environ
        self._prepare = prepare
        self._wardens: set[int] = set()
        self._wards: list[Ward] = []
        self._terminal = Terminal(
            [each.name for each in plan.processes],
            {each.name: report.shown(self._log(each.name)) for each in plan.processes},
            colour=wants_colour(environ),
        )
        self._record_failed = False

    async def supervise(self) -> int:
        """Start everything, watch it, end it; the exit status.

        Raises:
            SupervisionError: the run cannot even begin.
        """
        adopt_orphans()
        self.stopping = asyncio.Event()
        self._decided: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        interrupts = Interrupts(self._asked, self._insisted)
        interrupts.handle()
        records.make_run_folder(self.manifest.runs_folder, self.id)
        self._lock = records.RunLock(self._state.up, self.id)
        self._terminal.start()
        try:
            self._make_processes()
            self.changed()
            await self._live()
        finally:
            await self._leave_nothing()
            interrupts.ignore()
        assert self.verdict is not None
        return self.verdict.status

    async def order(self, settings: ProcessSettings) -> Order:
        """Prepare what is to be started, with the placeholders filled in.

        Raises:
            ManifestError: a placeholder has no value.
            EnvironmentSetupError: the program or its runtime cannot be used.
        """
        values = dict(self.values)
        command = [substitute(word, values) for word in settings.command]
        cwd = str(self.manifest.folder / substitute(str(settings.cwd), values))
        extra = {
            "PYTHONUNBUFFERED": "1",  # else what is printed comes through 8 KiB at a time
            **{name: substitute(text, values) for name, text in settings.env.items()},
            "ISTHMUS_RUN_ID": self.id,
            "ISTHMUS_RUN_DIR": str(self.folder),
            "ISTHMUS_PROCESS": settings.name,
        }
        runtime = self.manifest.runtimes[settings.runtime] if settings.runtime else None
        launch = await self._prepared(runtime, command, extra)
        if os.sep not in str(launch.executable):
            raise SupervisionError(f"{launch.executable}: command not found on PATH")
        return Order(
            argv=tuple(launch.argv),
            executable=str(launch.executable),
            environ=launch.environ,
            cwd=cwd,
            sockets=self.sockets,
            log=str(self._log(settings.name)),
            signal=signal.Signals[settings.stop_signal],
            patience=settings.stop_timeout,
        )

    def target(self, ready: Ready) -> str:
        """Fill in where a process is to be reached.

        Raises:
            ManifestError: a placeholder has no value.
        """
        target = substitute(ready.target, self.values)
        return str(self.manifest.folder / target) if ready.kind == "socket" else target

    async def start(self, name: str, order: Order, output: Callable[[bytes], None]) -> Ward:
        """Start a process.

        Raises:
            SupervisionError: it could not be started.
        """
        ward = await Ward.start(
            order,
            run_id=self.id,
            name=name,
            lock=self._lock.descriptor,
            wardens=self._wardens,
            output=output,
        )
        self._wards.append(ward)
        return ward

    async def sweep(self) -> None:
        """End what a killed warden has left."""
        await end_orphans(self._wardens)

    def changed(self) -> None:
        """Write down how things are."""
        facts = report.facts(self)
        brief = {name: value for name, value in facts.items() if name != "runtimes"}
        try:
            records.write_json(self._lock.record, brief)
            records.write_json(self.folder / records.UP, facts)
        except OSError as error:
            if not self._record_failed:
                self.say(f"cannot write {error.filename}: {error.strerror}; the run goes on")
            self._record_failed = True

    def say(self, text: str) -> None:
        """Tell the user, from any thread."""
        for line in text.splitlines():
            self._terminal.show(OWN, line)

    def show_failure(self, process: Process, what: str) -> None:
        """Tell the user of a failure, with the last words of the process."""
        # The end of a main process that ran is a result: what it said is on the screen already.
        is_result = process.name == self.plan.main and process.ready.is_set()
        if not is_result:
            self.say(report.last_words(process.name, what, process.output.last_words()))
        self.say(report.known_fault(process.output.tail()))

    def _make_processes(self) -> None:
        for settings in self.plan.processes:
            name = settings.name
            log = LogFile(self._log(name), self.say)
            output = Output(name, log, self._terminal)
            dependencies = [self.processes[each] for each in settings.depends_on]
            self.processes[name] = Process(settings, dependencies, output, self)

    async def _live(self) -> None:
        self.say(f"run {self.id}, logs in {report.shown(self.folder / records.LOGS)}")
        lives = []
        examined = asyncio.ensure_future(self._examine())
        first: set[asyncio.Future[Any]] = {examined, self._decided}
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if self._decided.done():
            examined.cancel()
        else:
            lives = [asyncio.create_task(self._watch(each)) for each in self.processes.values()]
        self.verdict = await self._decided
        self.stopping.set()
        self.changed()
        if lives:
            self.say(f"{self.verdict.why}; stopping")
            await asyncio.gather(*map(self._stop_in_order, self.processes.values()), *lives)

    async def _examine(self) -> None:
        """Look at every runtime before anything starts: what is missing shows now, not later."""
        used = dict.fromkeys(each.runtime for each in self.plan.processes if each.runtime)
        try:
            for name in used:
                await self._prepared(self.manifest.runtimes[name], ["python"], {})
        except Error as error:
            self.say(str(error))
            self._decide(Verdict("nothing was started", EXIT_FAILED))

    async def _watch(self, process: Process) -> None:
        name = process.name
        try:
            outcome = await process.live()
        except BaseException:  # a mistake of ours: end the run, then show it
            self._decide(Verdict(f"the supervisor failed over {name}", EXIT_FAILED))
            process.over.set()
            raise
        if name == self.plan.main:
            self._decide(Verdict(f"{name} {outcome.how}", _status_of_main(outcome)))
        elif outcome.kind == "failed":
            self._decide(Verdict(f"{name} failed", EXIT_FAILED))
        elif all(each.over.is_set() for each in self.processes.values()):
            self._decide(Verdict("every process has ended", 0))

    async def _stop_in_order(self, process: Process) -> None:
        """Stop a process once all that depend on it have ended."""
        for other in self.processes.values():
            if process in other.dependencies:
                await other.over.wait()
        process.stop()

    async def _leave_nothing(self) -> None:
        """End and remove all that is left, while there are still wardens to do it if we die."""
        for ward in self._wards:
            ward.kill()
        await asyncio.gather(*(ward.wait() for ward in self._wards))
        await end_orphans(self._wardens, tools=True)
        remove_tree(self.sockets)
        for ward in self._wards:
            await ward.dismiss()
        for process in self.processes.values():
            process.output.close()
        self.ended_ns = time.time_ns()
        if self.verdict is not None:
            self.changed()
            self.say(report.farewell(self))
        self._lock.release()
        self._terminal.close()

    async def _prepared(
        self, runtime: RuntimeSettings | None, command: Sequence[str], extra: Mapping[str, str]
    ) -> Launched:
        launch = await _in_thread(
            lambda: self._prepare(
                runtime, command, self._state, self._environ, self.say, extra=extra
            )
        )
        if runtime is not None and launch.examination is not None:
            self.examinations[runtime.name] = launch.examination
        return launch

    def _asked(self, number: int) -> None:
        self._decide(Verdict(f"{signal_name(number)} came", 128 + number))

    def _insisted(self) -> None:
        for process in self.processes.values():
            process.kill()

    def _decide(self, verdict: Verdict) -> None:
        if not self._decided.done():
            self._decided.set_result(verdict)

    def _log(self, name: str) -> Path:
        return self.folder / records.LOGS / f"{name}.log"


def _status_of_main(outcome: Outcome) -> int:
    if outcome.kind == "failed" and not outcome.status:
        return EXIT_FAILED
    return exit_status(outcome.status or 0)


async def _in_thread(work: Callable[[], T]) -> T:
    """Run something that blocks, in a thread that nobody waits for should the run end first."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except BaseException as error:
            failure = error
        try:
            loop.call_soon_threadsafe(settle, result, failure)
        except RuntimeError:
            pass  # the run is over

    threading.Thread(target=run, name="prepare", daemon=True).start()
    return await future
