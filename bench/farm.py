"""Many sessions on one gateway: how many requests a second, and how long each waits.

    python -m bench.farm URL SESSIONS

Every session asks again as soon as it has its answer. To load a gateway from one process the asking
must be cheaper than the answering, so no link is used: each session's question is encoded once, in
its slot, and only its number and checksum change from then on. The gateway cannot tell.
"""

from __future__ import annotations

import select
import sys
import time
from typing import Any
from zlib import crc32

from isthmus import Contract, __version__
from isthmus.channel import Channel, Dial, complete, open_channel
from isthmus.protocol.bounds import WIRE_VERSION
from isthmus.protocol.header import CRC, HEADER_SIZE
from isthmus.protocol.messages import Hello, Observation
from isthmus.transport.address import parse
from isthmus.transport.sockets import resolve

from .bursts import serve_bursts
from .stack import observation_of

SEQ_AT, SEQ_SIZE = 16, 8
CRC_AT = HEADER_SIZE - CRC.size
BUDGET_NS = 10_000_000_000


class Session:
    """One conversation, stripped to its bytes."""

    def __init__(self, url: str) -> None:
        address = parse(url)
        dial = Dial(
            address=address,
            family=(where := resolve(address))[0],
            where=where[1],
            codec="binary",
            upgrade=True,
            accept=lambda welcome: Contract.from_dict(welcome.contract),
        )
        hello = Hello(WIRE_VERSION, __version__)
        self.channel: Channel = complete(open_channel(dial, hello), 10.0, url)
        transport, protocol = self.channel.transport, self.channel.protocol
        arrays = {name: array for name, array in observation_of(self.channel.contract, 1).items()}
        self._seq = 0
        question = Observation(arrays, seq=1, epoch=protocol.epoch, budget_ns=BUDGET_NS)
        self._size = protocol.codec.encode(question, transport.reserve)
        self._frame = transport.reserve(self._size)
        self._transport = transport
        self.asked_at = 0

    def descriptors(self) -> list[tuple[int, int]]:
        """What to watch for the answer."""
        return list(self._transport.descriptors())

    def ask(self) -> None:
        """Send the next question."""
        self._seq += 1
        frame = self._frame
        frame[SEQ_AT : SEQ_AT + SEQ_SIZE] = self._seq.to_bytes(SEQ_SIZE, "little")
        CRC.pack_into(frame, CRC_AT, crc32(frame[:CRC_AT]))
        self.asked_at = time.perf_counter_ns()
        if not self._transport.send(self._size):
            raise RuntimeError("a question did not fit; the answers are not being read")

    def answered(self) -> bool:
        """Take the answer if it is there."""
        answer = self._transport.poll()
        if answer is None:
            return False
        seq = int.from_bytes(answer[SEQ_AT : SEQ_AT + SEQ_SIZE], "little")
        if seq != self._seq:
            raise RuntimeError(f"asked question {self._seq}, got an answer to {seq}")
        return True


def main(url: str, count: int) -> None:
    """Connect the sessions, and answer the runner's bursts."""
    sessions = [Session(url) for _ in range(count)]
    epoll = select.epoll()
    by_descriptor: dict[int, Session] = {}
    for session in sessions:
        for descriptor, events in session.descriptors():
            epoll.register(descriptor, events)
            by_descriptor[descriptor] = session

    def burst(seconds: float, hz: float) -> dict[str, Any]:
        samples: list[int] = []
        now = time.perf_counter_ns
        start = now()
        end = start + int(seconds * 1e9)
        for session in sessions:
            session.ask()
        open_questions = count
        while open_questions:
            for descriptor, _ in epoll.poll():
                session = by_descriptor[descriptor]
                if not session.answered():
                    continue
                at = now()
                samples.append(at - session.asked_at)
                if at < end:
                    session.ask()
                else:
                    open_questions -= 1
        return {"samples": samples, "per_second": len(samples) / ((now() - start) / 1e9)}

    serve_bursts(burst)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
