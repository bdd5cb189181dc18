"""A session moves to shared memory: it has asked for that over a connection of its own."""

from __future__ import annotations

from ..protocol.messages import Attached, Kind
from ..transport.descriptors import send_with_descriptors
from ..transport.segment import Segment
from ..transport.shm import ShmTransport
from ..transport.stream import StreamTransport
from .session import Session

__all__ = ["hand_over", "move"]

_ROOM = 4096
"""Bytes that an Attached is written into."""


def hand_over(session: Session, segment: Segment, stream: StreamTransport) -> None:
    """Give the segment's descriptors away through the newcomer's connection.

    Raises:
        ConnectionLostError: nobody takes them.
        UpgradeError: they cannot be passed.
        ProtocolError: the session cannot move now.
    """
    session.protocol.machine.received(Kind.ATTACH)
    answer = Attached(segment.question_size, segment.answer_size)
    memory = memoryview(bytearray(_ROOM))
    size = session.protocol.tell(answer, lambda _: memory)
    send_with_descriptors(stream.socket, memory[:size], segment.descriptors())


def move(session: Session, segment: Segment, stream: StreamTransport) -> None:
    """Let the session travel by the segment; the newcomer's connection becomes its lifeline."""
    session.transport.close()
    session.transport = ShmTransport(
        stream.detach(), segment, session.protocol.codec.framer, asks=False
    )
