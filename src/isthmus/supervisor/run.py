"""A run: all its processes, from the first start to the last end.

Every process has a task (`process.py`) that waits for what it depends on. The run itself waits for
a *verdict*: the main process has ended, one has failed, all have ended, or somebody asked. Then
each process is stopped once those that depend on it have ended.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from isthmus.errors import Error
from isthmus.runids import run_id as new_run_id
from isthmus.runtimes.examine import Examination
from isthmus.runtimes.plan import Plan
from isthmus.runtimes.settings import Manifest, ProcessSettings, Ready
from isthmus.runtimes.state import StateFolder
from isthmus.supervisor import records, report
from isthmus.supervisor.console import Console
from isthmus.supervisor.interrupts import Interrupts
from isthmus.supervisor.logfile import LogFile
from isthmus.supervisor.orphans import adopt_orphans, end_orphans
from isthmus.supervisor.output import Output
from isthmus.supervisor.preparing import Prepare, Preparing
from isthmus.supervisor.process import Outcome, Process
from isthmus.supervisor.report import Verdict
from isthmus.supervisor.ward import Order, Ward
from isthmus.supervisor.warden import remove_tree
from isthmus.supervisor.words import exit_status

__all__ = ["EXIT_FAILED", "Run"]

EXIT_FAILED = 3

OWN_LOG = "isthmus"
"""The name of the log of what the supervisor itself says."""

TOOLS_PATIENCE = 5.0
"""Seconds that the preparation of a process may go on when the run has ended."""


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
        self.started_ns = time.time_ns()
        self.ended_ns: int | None = None
        self.verdict: Verdict | None = None
        self.values = {"run_id": self.id, "run": str(self.folder), "sockets": self.sockets}
        if manifest.contract.file is not None:
            self.values["contract"] = str(manifest.contract.file)
        self._state = state
        self._preparing = Preparing(manifest, state, environ, prepare, self.say)
        self._wardens: set[int] = set()
        self._wards: list[Ward] = []
        self._lock: records.RunLock | None = None
        self._console = Console(
            [each.name for each in plan.processes],
            {each.name: report.shown(self._log(each.name)) for each in plan.processes},
            self._log(OWN_LOG),
            environ,
        )
        self._unwritable: set[Path] = set()

    @property
    def examinations(self) -> Mapping[str, Examination]:
        """What the interpreter of each runtime answered, so far."""
        return self._preparing.examinations

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
        try:
            self._lock = records.RunLock(records.up_folder(self._state), self.id)
            records.make_run_folder(self.manifest.runs_folder, self.id)
            self._console.start()
            self._make_processes()
            self.changed()
            await self._live()
        finally:
            await self._leave_nothing()
            interrupts.ignore()
        assert self.verdict is not None
        return self.verdict.status

    async def order(self, settings: ProcessSettings) -> Order:
        """Prepare what is to be started."""
        return await self._preparing.order(settings, self.values, self._log(settings.name))

    def target(self, ready: Ready) -> str:
        """Fill in where a process is to be reached."""
        return self._preparing.target(ready, self.values)

    async def start(self, name: str, order: Order, output: Callable[[bytes], None]) -> Ward:
        """Start a process.

        Raises:
            SupervisionError: it could not be started.
        """
        assert self._lock is not None
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

    async def dismiss(self, ward: Ward) -> None:
        """Let go of an earlier life's warden."""
        await ward.dismiss()
        self._wards.remove(ward)

    async def sweep(self) -> None:
        """End what a killed warden has left."""
        await end_orphans(self._wardens)

    def changed(self) -> None:
        """Write down how things are."""
        facts = report.facts(self)
        brief = {name: value for name, value in facts.items() if name != "runtimes"}
        assert self._lock is not None
        for file, content in ((self._lock.record, brief), (self.folder / records.UP, facts)):
            try:
                records.write_json(file, content)
            except OSError as error:
                if file not in self._unwritable:
                    self.say(f"cannot write {file}: {error.strerror}; the run goes on")
                self._unwritable.add(file)

    def say(self, text: str) -> None:
        """Tell the user, from any thread."""
        self._console.say(text)

    def show_failure(self, process: Process, what: str) -> None:
        """Tell the user of a failure, with the last words of the process."""
        # The end of a main process that ran is a result: what it said is on the screen already.
        is_result = process.name == self.plan.main and process.ready.is_set()
        if not is_result:
            words = process.output.last_words()
            shown = self._console.has_just_shown(process.name, len(words))
            self.say(report.last_words(process.name, what, words, shown=shown))
        self.say(report.known_fault(process.output.tail()))

    def _make_processes(self) -> None:
        for settings in self.plan.processes:
            name = settings.name
            log = LogFile(self._log(name), self.say)
            output = Output(name, log, self._console)
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
            again = " (Ctrl-C again: kill)" if self.verdict.status == 130 else ""
            self.say(f"{self.verdict.why}; stopping{again}")
            await asyncio.gather(*map(self._stop_in_order, self.processes.values()), *lives)

    async def _examine(self) -> None:
        """Look at every runtime before anything starts: what is missing shows now, not later."""
        try:
            await self._preparing.examine(self.plan.processes, self.values)
        except Error as error:
            self.say(str(error))
            self._decide(Verdict("nothing was started", EXIT_FAILED, str(error)))

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
            self._decide(Verdict(f"{name} {outcome.brief}", EXIT_FAILED))
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
        try:
            await self._end_processes()
            for process in self.processes.values():
                process.output.close()
            self.ended_ns = time.time_ns()
            if self.verdict is not None:
                self.changed()
                self.say(report.farewell(self))
        finally:
            self._let_go()

    async def _end_processes(self) -> None:
        for ward in self._wards:
            ward.kill()
        await asyncio.gather(*(ward.wait() for ward in self._wards))
        await self._end_tools()
        remove_tree(self.sockets)
        for ward in self._wards:
            await ward.dismiss()

    def _let_go(self) -> None:
        try:
            if self._lock is not None:
                self._lock.release()
        except OSError as error:
            self.say(f"cannot remove {error.filename}: {error.strerror}")
        finally:
            self._console.close()

    async def _end_tools(self) -> None:
        """End what builds an environment; its thread may try another tool before it gives up."""
        give_up = time.monotonic() + TOOLS_PATIENCE
        busy = True
        while busy and time.monotonic() < give_up:
            busy = self._preparing.busy
            await end_orphans(self._wardens, tools=True)
            await asyncio.sleep(0.01 if busy else 0)

    def _asked(self, number: int) -> None:
        down = self._lock is not None and self._lock.asked.exists()
        self._decide(Verdict(report.asked_by(number, down=down), 128 + number))

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
