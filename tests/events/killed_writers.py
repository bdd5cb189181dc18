"""A program of `test_kill.py`: writers that are killed, one after another.

    python killed_writers.py FOLDER NAME KILLS SEED

Each round forks a writer, which emits numbered events one by one or in bursts, and kills it at a
random instant after it has written so many lines; some before they have begun. How far it had got
is counted in shared memory, for the test to compare. Prints, for each round: the boot's token, how
many events had been emitted for certain, and how many lines were written for certain.
"""

from __future__ import annotations

import mmap
import os
import random
import signal
import sys
import time
from pathlib import Path

from isthmus.events import EventLog

TOKEN = 12  # bytes of a boot's token, at the beginning
COUNT = 2  # place of the count, in whole numbers of 8 bytes


def main(folder: Path, name: str, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    shared = mmap.mmap(-1, 64)
    for number in range(kills):
        shared[:] = bytes(64)
        ready, told = os.pipe()
        lines = chance.choice((0, 1, 5, 50, 200))
        child = os.fork()
        if child == 0:
            try:
                write(folder, name, random.Random(number), shared, told, lines)
            finally:
                os._exit(1)
        os.close(told)
        os.read(ready, 1)  # it has come so far
        time.sleep(chance.choice((0, 0.001, 0.003)) * chance.random())
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready)
        token = shared[:TOKEN].decode()
        print(token, memoryview(shared).cast("q")[COUNT], lines, flush=True)


def write(
    folder: Path, name: str, chance: random.Random, shared: mmap.mmap, told: int, lines: int
) -> None:
    log = EventLog(folder, name=name, capacity=40, max_bytes=4000, compress=True)
    shared[:TOKEN] = log.boot.encode()
    if lines == 0:
        os.write(told, b"!")
    log.start()
    number = 0
    count = memoryview(shared).cast("q")  # unlike `struct`, it stores a number at once
    while True:
        if 0 < lines <= log.stats().written:
            os.write(told, b"!")
            lines = 0
        for _ in range(chance.choice((1, 10, 100))):
            log.emit({"phase": "event", "type": "accept_paused", "n": number, "text": "x" * 80})
            number += 1
            count[COUNT] = number
        time.sleep(chance.choice((0, 0.0001, 0.001)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
