"""What is written down of messages themselves: nothing, a sample, or all of them.

It is copied the moment an answer has left, because the memory that both messages lie in is used
again for the next question. A handshake is never recorded: it holds the secrets of a session.
"""

from __future__ import annotations

from time import monotonic_ns, time_ns
from typing import Any

from ..protocol import JsonCodec
from ..protocol.content import to_content
from ..protocol.jsoncontrol import said_as
from ..protocol.messages import (
    KINDS,
    Action,
    ErrorAnswer,
    Kind,
    Message,
    Observation,
    Outcome,
)
from .session import Session

__all__ = ["LEVELS", "Payloads"]

LEVELS: tuple[str, ...] = ("off", "sampled", "all")

_ARRAYS = ("arrays", "training", "final")
_OUTCOMES = {
    int(Outcome.POLICY): "policy",
    int(Outcome.MISS): "miss",
    int(Outcome.FALLBACK): "fallback",
    int(Outcome.MISS_FALLBACK): "miss",
}
"""What an action carries -> what became of the question, in the words of the counts."""
_SECRET = frozenset((Kind.HELLO, Kind.WELCOME, Kind.ATTACH, Kind.ATTACHED))


class Payloads:
    """Decides what is recorded, and in which form.

    Args:
        level: one of `LEVELS`.
        sample_every: with `sampled`, one exchange of so many.

    Attributes:
        wanted: False if nothing is ever recorded.

    Raises:
        ValueError: an unknown level, or a sample of less than one.
    """

    def __init__(self, level: str = "off", sample_every: int = 100) -> None:
        if level not in LEVELS or sample_every < 1:
            raise ValueError(
                f"payloads: expected one of {', '.join(LEVELS)} and a sample of one in 1 or more, "
                f"got {level!r} and {sample_every!r}"
            )
        self.wanted = level != "off"
        self._every = 1 if level == "all" else sample_every
        self._count = -1

    def events(self, session: Session, answer: Message, size: int) -> list[dict[str, Any]]:
        """What came and what left, as events; [] if this exchange is not recorded.

        Args:
            session: whose; `session.asked` is what came.
            answer: what left.
            size: bytes of its frame, which lies in the transport's memory still.
        """
        asked, session.asked = session.asked, None
        self._count += 1
        if asked is None or self._count % self._every:
            return []
        frame, message, at_ns = asked
        kind = KINDS[type(message)] if message is not None else None
        if kind in _SECRET or KINDS[type(answer)] in _SECRET:
            return []
        corr_id = getattr(answer, "corr_id", "") or getattr(message, "corr_id", "")
        corr_id = corr_id or f"{session.name}-{session.protocol.memory.seq}"
        about = {"corr_id": corr_id, "session": session.name, "remote": session.peer}
        came: dict[str, Any] = {
            "phase": "recv", "type": "received", "severity": 0, "mono_ns": at_ns,
            "ts_wall": (time_ns() - monotonic_ns() + at_ns) / 1e9, **about,
        }  # fmt: skip
        left: dict[str, Any] = {
            "phase": "send", "type": "sent", "severity": 0, **about, **_outcome(answer),
        }  # fmt: skip
        codec = session.protocol.codec
        if isinstance(codec, JsonCodec):
            came |= {"msg_type": codec.word or "unknown", "raw": bytes(frame)}
            left |= {"msg_type": _word(answer), "resp": bytes(session.transport.reserve(0)[:size])}
        else:
            came |= {"msg_type": _word(message), "raw": _plain(message)}
            left |= {"msg_type": _word(answer), "resp": _plain(answer)}
        return [came, left]


def _outcome(answer: Message) -> dict[str, str]:
    """What became of the question; nothing of one that asked for no action, and was granted."""
    if isinstance(answer, Action):
        return {"outcome": _OUTCOMES[answer.outcome]}
    return {"outcome": "error"} if isinstance(answer, ErrorAnswer) else {}


def _word(message: Message | None) -> str:
    """The type of a message, as on the wire."""
    return "unknown" if message is None else said_as(message)


def _plain(message: Message | None) -> dict[str, Any]:
    """A binary message as the object that it would be as json, with arrays of its own."""
    if message is None:
        return {}
    if not isinstance(message, (Observation, Action)):
        return {"type": _word(message), "seq": message.seq, **to_content(message)}
    content = {
        name: value
        for name, value in message._asdict().items()
        if name not in _ARRAYS and value == value and value not in ("", (), None)
    }
    blocks = {
        "data" if name == "arrays" else name: {key: array.copy() for key, array in block.items()}
        for name, block in ((name, getattr(message, name, None)) for name in _ARRAYS)
        if block
    }
    return {"type": _word(message), **content, **blocks}
