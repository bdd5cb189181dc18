"""What is measured: a table of subjects, and how one is brought to life.

A subject is a process that answers bursts (`bursts.py`), and maybe another one that answers it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .environments import ROOT, Interpreters
from .payloads import PAYLOADS
from .processes import Process, SubjectError

NO_COMPILER = "needs a C compiler"

_C = ("{floor}",)
_C_SIZES = ("{ask_bytes}", "{answer_bytes}", "{ask_cpu}", "{answer_cpu}")
_SIM, _POLICY = ("{sim}", "-m"), ("{policy}", "-m")
_AT = ("{payload}", "{scratch}/at")
_SERVE = (*_POLICY, "isthmus", "serve")
_NULL = (*_SERVE, "constant", "--contract", "{contract}", "--listen")
_REACH = str(ROOT / "policies" / "reach.onnx")
_SHM = "shm:{scratch}/at"


@dataclass(frozen=True, slots=True)
class Subject:
    """How to start one.

    Attributes:
        what: said in tables.
        asker: command line of the process that is asked for bursts; words in braces are filled in.
        answerer: command line of the process it talks to, if any; started first.
    """

    what: str
    asker: tuple[str, ...]
    answerer: tuple[str, ...] = ()


def _c(way: str, what: str) -> Subject:
    return Subject(what, (*_C, way, *_C_SIZES))


def _bare(way: str, what: str) -> Subject:
    return Subject(
        what, (*_SIM, "bench.bare", "ask", way, *_AT), (*_POLICY, "bench.bare", "answer", way, *_AT)
    )


def _websocket(server: str, what: str) -> Subject:
    return Subject(
        what,
        ("{sim_peer}", "-m", "bench.websocket", "ask", server, *_AT),
        ("{policy_peer}", "-m", "bench.websocket", "answer", server, *_AT),
    )


def _isthmus(listen: str, codec: str, what: str, pacing: str = "realtime") -> Subject:
    upgrade = "yes" if listen.startswith("shm:") else "no"
    asker = (*_SIM, "bench.stack", "{url}", "{payload}", codec, upgrade, pacing)
    return Subject(what, asker, (*_NULL, listen))


def _behind_null(what: str, *asker: str) -> Subject:
    return Subject(what, (*_SIM, *asker), (*_NULL, _SHM))


def _farm(sessions: int, what: str, *options: str) -> Subject:
    return Subject(
        f"{sessions} {what}",
        (*_SIM, "bench.farm", "{url}", str(sessions)),
        (*_SERVE, _REACH, "--listen", _SHM, *options),
    )


def _start(what: str, *before: str) -> Subject:
    """A program that does nothing, started again and again."""
    starter = (*_POLICY, "bench.starts", "{scratch}")
    return Subject(what, (*starter, *before, "-c", "pass"))


SESSIONS = (1, 16, 64)

SUBJECTS: dict[str, Subject] = {
    "c-futex": _c("futex", "C, futex and shared memory"),
    "c-eventfd": _c("eventfd", "C, eventfd and shared memory"),
    "c-unix": _c("unix", "C, Unix socket"),
    "c-tcp": _c("tcp", "C, TCP loopback"),
    "python-eventfd": _bare("eventfd", "bare Python, eventfd and shared memory"),
    "python-unix": _bare("unix", "bare Python, Unix socket"),
    "python-tcp": _bare("tcp", "bare Python, TCP loopback"),
    "websocket": _websocket("asyncio", "websocket + msgpack, as openpi"),
    "websocket-sync": _websocket("sync", "websocket + msgpack, threaded server"),
    "isthmus-shm": _isthmus(_SHM, "binary", "isthmus, shared memory"),
    "isthmus-gateless": _isthmus(_SHM, "binary", "isthmus without its gate (lockstep)", "lockstep"),
    "isthmus-unix": _isthmus("unix:{scratch}/at", "binary", "isthmus, Unix socket"),
    "isthmus-tcp": _isthmus("tcp://127.0.0.1:0", "binary", "isthmus, TCP"),
    "isthmus-json": _isthmus("tcp://127.0.0.1:0", "json", "isthmus, TCP, json"),
    "isthmus-guard": Subject("ladder, gate, fallback", (*_SIM, "bench.guard")),
    "isthmus-stopped": _behind_null(
        "act() behind a stopped gateway", "bench.stopped", "{url}", "{answerer_pid}"
    ),
    "isthmus-idle": _behind_null(
        "gateway, 16 silent sessions", "bench.idle", "{url}", "{answerer_pid}", "16"
    ),
    "isthmus-memory": Subject(
        "a policy in the loop's own process", (*_POLICY, "bench.jitter", f"memory:{_REACH}")
    ),
    "sleep": Subject("nothing but the pause", (*_POLICY, "bench.jitter", "sleep")),
    "start-bare": _start("the interpreter alone", "{sim}"),
    "start-isthmus": _start(
        "isthmus run", str(ROOT / "scripts" / "isthmus"), "run", "--python", "{sim}", "--", "python"
    ),
    **{f"batched-{n}": _farm(n, "sessions, whatever is ready in one call") for n in SESSIONS},
    **{f"single-{n}": _farm(n, "sessions, one call each", "--deterministic") for n in SESSIONS},
}


@dataclass(frozen=True, slots=True)
class Setting:
    """What every subject of a run shares.

    Attributes:
        interpreters: the two Pythons.
        floor: the compiled floor, or None without a C compiler.
        folder: where files of the run go.
        ask_cpu: CPU of the asking process, -1 for any.
        answer_cpu: CPU of the answering process, -1 for any.
    """

    interpreters: Interpreters
    floor: Path | None
    folder: Path
    ask_cpu: int = -1
    answer_cpu: int = -1


class Live:
    """A subject at work: `burst` until `end`.

    Args:
        name: key of `SUBJECTS`.
        payload: key of `PAYLOADS`.
        setting: what the run shares.

    Raises:
        SubjectError: it could not be started.
    """

    def __init__(self, name: str, payload: str, setting: Setting) -> None:
        subject = SUBJECTS[name]
        self.name = name
        self._processes: list[Process] = []
        self._scratch = Path(tempfile.mkdtemp(prefix="bench-"))
        words = _words(payload, setting, self._scratch)
        try:
            if subject.answerer:
                answerer = self._start(subject.answerer, words, setting.answer_cpu, setting)
                words["answerer_pid"] = str(answerer.pid)
                for line in answerer.wait_ready():
                    if line.startswith("listening "):
                        words["url"] = line.split()[1]
            self._asker = self._start(subject.asker, words, setting.ask_cpu, setting)
            self._asker.wait_ready()
        except BaseException:
            self.end()
            raise

    def burst(self, seconds: float, hz: float) -> dict[str, Any]:
        """Measure for a while."""
        return self._asker.burst(seconds, hz)

    def end(self) -> None:
        """End its processes, the asking one first."""
        for process in reversed(self._processes):
            process.end()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _start(
        self, argv: tuple[str, ...], words: Mapping[str, str], cpu: int, setting: Setting
    ) -> Process:
        if "{floor}" in argv and setting.floor is None:
            raise SubjectError(NO_COMPILER)
        filled = [part.format_map(words) for part in argv]
        errors = setting.folder / f"{self.name}.{len(self._processes)}.err"
        # A C floor pins its own two processes, so it must be born free.
        cpus = None if cpu < 0 or "{floor}" in argv else {cpu}
        module = filled[filled.index("-m") + 1] if "-m" in filled else filled[0]
        process = Process(module, filled, cpus, errors)
        self._processes.append(process)
        return process


def _words(payload: str, setting: Setting, scratch: Path) -> dict[str, str]:
    shape = PAYLOADS[payload]
    return {
        "sim": str(setting.interpreters.sim),
        "policy": str(setting.interpreters.policy),
        "sim_peer": str(setting.interpreters.sim_peer),
        "policy_peer": str(setting.interpreters.policy_peer),
        "floor": str(setting.floor),
        "payload": payload,
        "ask_bytes": str(shape.size(shape.ask)),
        "answer_bytes": str(shape.size(shape.answer)),
        "ask_cpu": str(setting.ask_cpu),
        "answer_cpu": str(setting.answer_cpu),
        "contract": str(setting.folder / f"contract-{payload}.json"),
        "scratch": str(scratch),
    }
