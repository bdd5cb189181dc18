"""What events cost whoever emits them: `python -m bench.events [FOLDER]`.

Two figures, each beside its alternatives, taken in turns in one run:

- `emit`: one call, in a tight loop. Beside an append to a deque, which is the least it could be,
  and beside making the line and writing it on the spot, which is what it replaces.
- `echo`: a question and its answer over a socket pair between two processes, 500 a second; the
  answering one then records both, 600 bytes each, and goes on. That is what a client feels of the
  writer's thread, which shares the interpreter with the one that answers.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from isthmus.events import EventLog, new_event

TURNS = 5
CALLS = 3000
ECHOES = 250
PERIOD = 0.002
LINE = json.dumps({"type": "obs", "data": {"q": [0.123456] * 24, "dq": [0.123456] * 24}}).encode()

Record = Callable[[bytes], None]


def main() -> None:
    """Measure both, and print medians and ratios."""
    parent = sys.argv[1] if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        calls: dict[str, list[float]] = {"deque": [], "emit": [], "on the spot": []}
        echoes: dict[str, list[list[float]]] = {"nothing": []}
        echoes |= {name: [] for name in calls}
        for turn in range(TURNS):
            where = Path(folder, str(turn))
            where.mkdir()
            for name, record, end in (_deque(), _log(where), _spot(where)):
                calls[name].append(_calls(record))
                end()
            for name, record, end in (_nothing(), _deque(), _log(where), _spot(where)):
                echoes[name].append(_echoes(record))
                end()
    print("one call, ns, median of turns")
    for name, found in calls.items():
        print(f"  {name:12} {median(found):9.0f}   {median(found) / median(calls['emit']):6.2f} x")
    print("echo and record, us, medians of turns: p50, p99")
    base = echoes["nothing"]
    for name, turns in echoes.items():
        p50, p99 = (median(_quantile(turn, share) for turn in turns) for share in (0.5, 0.99))
        pairs = list(zip(turns, base, strict=True))
        ratios = [
            median(_quantile(mine, share) / _quantile(bare, share) for mine, bare in pairs)
            for share in (0.5, 0.99)
        ]
        print(f"  {name:12} {p50:7.1f} {p99:7.1f}   {ratios[0]:5.2f} x {ratios[1]:5.2f} x")


def _deque() -> tuple[str, Record, Callable[[], None]]:
    kept: deque[Any] = deque(maxlen=CALLS)
    return "deque", lambda raw: kept.append(_event(raw)), kept.clear


def _log(folder: Path) -> tuple[str, Record, Callable[[], None]]:
    log = EventLog(folder)
    log.start()
    return "emit", lambda raw: log.emit(_event(raw)), log.close


def _spot(folder: Path) -> tuple[str, Record, Callable[[], None]]:
    file = (folder / "spot.jsonl").open("a", encoding="ascii")

    def record(raw: bytes) -> None:
        event = {"ts_wall": time.time(), **_event(raw)}
        file.write(json.dumps({**event, "raw": json.loads(raw)}) + "\n")
        file.flush()

    return "on the spot", record, file.close


def _nothing() -> tuple[str, Record, Callable[[], None]]:
    return "nothing", lambda raw: None, lambda: None


def _event(raw: bytes) -> dict[str, Any]:
    return new_event("received", msg_type="obs", corr_id="s1-1", session="s1", raw=raw)


def _calls(record: Record) -> float:
    """Median ns of a call, less what making the event costs anyway."""
    clock = time.perf_counter_ns
    found = []
    for number in range(CALLS):
        begin = clock()
        record(LINE)
        middle = clock()
        _event(LINE)
        found.append((middle - begin) - (clock() - middle))
        if number % 500 == 499:
            time.sleep(0.06)
    return median(found)


def _echoes(record: Record) -> list[float]:
    """Microseconds of each echo, as the other process measures them."""
    here, there = socket.socketpair()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        here.close()
        os.write(writing, json.dumps(_ask(there)).encode())
        os._exit(0)
    there.close()
    os.close(writing)
    while question := here.recv(4096):
        here.sendall(question)
        record(LINE)
        record(LINE)
    here.close()
    with open(reading, "rb") as file:
        found = json.load(file)
    os.waitpid(child, 0)
    return [float(each) for each in found]


def _ask(there: socket.socket) -> list[float]:
    found = []
    due = time.perf_counter()
    for _ in range(ECHOES):
        due += PERIOD
        time.sleep(max(due - time.perf_counter(), 0.0))
        begin = time.perf_counter_ns()
        there.sendall(LINE)
        there.recv(4096)
        found.append((time.perf_counter_ns() - begin) / 1000)
    there.close()
    return found[ECHOES // 10 :]


def _quantile(found: list[float], share: float) -> float:
    return sorted(found)[int(len(found) * share)]


if __name__ == "__main__":
    main()
