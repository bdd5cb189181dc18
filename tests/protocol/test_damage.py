"""Frames cut short and frames with a bit turned: refused by name, or harmless, never a crash."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.errors import RemoteProtocolError
from isthmus.protocol import BinaryCodec, Codec
from isthmus.protocol.bounds import ERROR_CODES
from isthmus.protocol.header import CRC_AT, HEADER_SIZE
from isthmus.protocol.messages import Action, Hello, Kind, Message, Observation

from .peers import CONTRACT, bound, chosen, decoded, encoded, frames, some

STEP = Observation(some(), 1, corr_id="abc", sim_time=1.5)
CASES = {
    "step": (STEP, {}),
    "step with a checksum": (STEP, {"body_crc": True}),
    "training step": (
        STEP._replace(
            training={
                "reward": np.ones(1),
                "terminated": np.ones(1, bool),
                "truncated": np.zeros(1, bool),
            },
            final=some(seed=1),
            infos={"a": [1]},
        ),
        {"training": True},
    ),
    "json step": (STEP, {}),
    "hello": (Hello(1, "0", contract=CONTRACT.to_dict()), {}),
    "json hello": (Hello(1, "0", contract=CONTRACT.to_dict()), {}),
}


def sides(case: str) -> tuple[bytes, Codec]:
    message, options = CASES[case]
    kind = "json" if case.startswith("json") else "binary"
    data = encoded(bound(kind, asks=True, **options), message)
    return data, bound(kind, **options)


def outcome(codec: Codec, data: bytes) -> Message | RemoteProtocolError | None:
    """A message, a typed refusal, or None if more bytes are waited for."""
    try:
        for frame in frames(codec.framer, data):
            return codec.decode(frame)
    except RemoteProtocolError as exc:
        assert exc.code in ERROR_CODES
        return exc
    return None


@pytest.mark.parametrize("case", list(CASES))
def test_cut_short_at_every_byte(case: str) -> None:
    data, _ = sides(case)
    for length in range(len(data)):
        _, codec = sides(case)
        assert outcome(codec, data[:length]) is None, f"cut to {length} of {len(data)} bytes"


@pytest.mark.parametrize("case", [case for case in CASES if not case.startswith("json")])
def test_every_turned_bit_under_a_checksum_is_refused(case: str) -> None:
    data, codec = sides(case)
    whole = outcome(codec, data)
    assert not isinstance(whole, RemoteProtocolError)
    options = CASES[case][1]
    body = len(data) - HEADER_SIZE - len(_tail(data))
    for position in range(8 * len(data)):
        covered = options.get("body_crc") or not HEADER_SIZE <= position // 8 < HEADER_SIZE + body
        _, codec = sides(case)
        found = outcome(codec, flipped(data, position))
        if covered:
            assert found is None or isinstance(found, RemoteProtocolError), f"bit {position}"
        else:
            assert isinstance(found, (Observation, RemoteProtocolError)), f"bit {position}"


@pytest.mark.parametrize("case", ["json step", "json hello"])
def test_every_turned_bit_of_a_line_ends_in_a_message_or_a_refusal(case: str) -> None:
    data, _ = sides(case)
    for position in range(8 * len(data)):
        _, codec = sides(case)
        found = outcome(codec, flipped(data, position))
        if isinstance(found, Observation):
            assert {n: a.shape for n, a in found.arrays.items()} == {
                n: a.shape for n, a in STEP.arrays.items()
            }
            assert np.isfinite(found.arrays["q"]).all()


def test_a_turned_bit_in_a_boolean_is_no_third_truth() -> None:
    data, _ = sides("step")
    at = data.index(b"\x01" if STEP.arrays["on"][0] else b"\x00", HEADER_SIZE + 128)
    for bit in range(1, 8):
        codec = bound("binary")
        found = outcome(codec, flipped(data, 8 * at + bit))
        assert isinstance(found, RemoteProtocolError)
        assert "bool" in str(found)


def test_an_action_that_is_not_finite_is_found() -> None:
    sender, receiver = bound("binary"), bound("binary", asks=True)
    arrays = {**chosen(), "push": np.array([[0.0, np.nan]], np.float32)}
    assert isinstance(decoded(receiver, encoded(sender, Action(arrays))), Action)
    assert isinstance(receiver, BinaryCodec)
    assert not receiver.finite(Kind.ACTION)


def flipped(data: bytes, position: int) -> bytes:
    damaged = bytearray(data)
    damaged[position // 8] ^= 1 << (position % 8)
    return bytes(damaged)


def _tail(data: bytes) -> bytes:
    size = int.from_bytes(data[12:16], "little")
    return data[len(data) - size :]


def test_the_checksum_is_the_last_word_of_the_header() -> None:
    assert HEADER_SIZE - CRC_AT == 4
