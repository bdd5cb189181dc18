"""Each bad message is refused with a typed error; none is accepted, none is another exception."""

from __future__ import annotations

import json

import pytest

from isthmus.errors import RemoteProtocolError
from isthmus.protocol import ServerProtocol
from isthmus.protocol.bounds import ERROR_CODES
from isthmus.protocol.messages import Kind, Observation

from . import bad_messages
from .peers import CONTRACT, bound, frames

LINES = dict(bad_messages.lines())
FRAMES = bad_messages.BAD_FRAMES


def server(kind: str) -> ServerProtocol:
    """A gateway's side, after the handshake of a plain link."""
    protocol = ServerProtocol(bound(kind))
    protocol.assume_greeting()
    return protocol


def refusal(kind: str, data: bytes) -> RemoteProtocolError:
    """Why it was refused."""
    protocol = server(kind)
    with pytest.raises(RemoteProtocolError) as caught:
        came = [protocol.receive(frame) for frame in frames(protocol.codec.framer, data)]
        pytest.fail(f"accepted: {str(came)[:200]}")
    assert caught.value.code in ERROR_CODES
    assert 10 < len(str(caught.value)) < 1000
    return caught.value


@pytest.mark.parametrize("name", list(LINES))
def test_a_bad_line(name: str) -> None:
    error = refusal("json", LINES[name] + b"\n")
    if name.startswith("no JSON"):
        assert error.code == "bad_json"


@pytest.mark.parametrize("name", list(FRAMES))
def test_a_bad_frame(name: str) -> None:
    error = refusal("binary", bytes(FRAMES[name]))
    if "tail: " in name:
        assert error.code == "bad_json"


@pytest.mark.parametrize("name", list(bad_messages.BAD_NUMBERS))
def test_a_number_that_is_not_finite(name: str) -> None:
    protocol = server("binary")
    (message,) = (
        protocol.receive(frame)
        for frame in frames(protocol.codec.framer, bad_messages.BAD_NUMBERS[name])
    )
    assert isinstance(message, Observation)
    assert not protocol.codec.finite(Kind.OBSERVATION)


def test_there_are_enough_of_them() -> None:
    assert len(LINES) >= 300
    assert len(FRAMES) + len(bad_messages.BAD_NUMBERS) >= 200


def test_the_same_without_the_fault_is_accepted() -> None:
    for kind, data in {
        "json": json.dumps({"type": "obs", "data": bad_messages.GOOD}).encode() + b"\n",
        "binary": bad_messages.frame(body=bad_messages.BODY),
    }.items():
        protocol = server(kind)
        (message,) = (protocol.receive(f) for f in frames(protocol.codec.framer, data))
        assert isinstance(message, Observation)
        assert protocol.codec.finite(Kind.OBSERVATION)
        assert set(message.arrays) == {field.name for field in CONTRACT.observation}


def test_a_bad_line_hurts_no_later_one() -> None:
    protocol = server("json")
    good = json.dumps({"type": "obs", "data": bad_messages.GOOD}).encode()
    for line in list(LINES.values())[::7]:
        for frame in frames(protocol.codec.framer, line + b"\n"):
            with pytest.raises(RemoteProtocolError):
                protocol.receive(frame)
    (message,) = (protocol.receive(f) for f in frames(protocol.codec.framer, good + b"\n"))
    assert isinstance(message, Observation)
