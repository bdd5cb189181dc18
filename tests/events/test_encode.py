"""Whatever is in an event, its line is one strict ASCII JSON object, and says it truthfully."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus import strictjson
from isthmus.events.encode import MAX_DEPTH, MAX_LINE, MAX_PARSED, MAX_TEXT, encode
from isthmus.events.kinds import new_event
from isthmus.events.mailbox import Entry

BOOT = "0123456789ab"


def line_of(event: Mapping[str, Any]) -> bytes:
    return encode(7, BOOT, Entry(12.5, 99, 0, 0, event))


def read(event: Mapping[str, Any]) -> dict[str, Any]:
    """Encode an event and parse it as a strict reader does."""
    line = line_of(event)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert line.isascii() and line[:-1].decode().isprintable()
    found = strictjson.loads(line.decode())
    assert (found["seq"], found["boot"]) == (7, BOOT)
    return dict(found)


def raw(data: bytes) -> Any:
    return read(new_event("received", msg_type="obs", raw=data))["raw"]


def test_a_line_is_numbered_and_timed() -> None:
    found = read(new_event("policy_loaded", path="a.onnx", policy_kind="onnx"))
    assert found == {
        "seq": 7, "boot": BOOT, "ts_wall": 12.5, "mono_ns": 99, "phase": "event",
        "type": "policy_loaded", "severity": 0, "path": "a.onnx", "policy_kind": "onnx",
    }  # fmt: skip


def test_an_event_may_bring_its_own_times_and_no_number() -> None:
    found = read({"ts_wall": 3.25, "mono_ns": 4, "seq": 1000, "boot": "forged", "type": "dropped"})
    assert (found["ts_wall"], found["mono_ns"]) == (3.25, 4)
    assert read({"ts_wall": float("nan"), "mono_ns": "soon"})["ts_wall"] == 12.5
    assert read({}) == {"seq": 7, "boot": BOOT, "ts_wall": 12.5, "mono_ns": 99}


def test_a_message_that_is_an_object_stays_one() -> None:
    assert raw(b'{"type":"obs","data":{"q":[0.5,1]}}\n') == {"type": "obs", "data": {"q": [0.5, 1]}}


FORGED = b'{"seq":8,"boot":"0123456789ab","type":"gateway_stopped"}'


@pytest.mark.parametrize(
    "data",
    [
        b"x\n" + FORGED,
        b"x\r" + FORGED + b"\r\n",
        "x\u2028".encode() + FORGED,
        b'"}\n' + FORGED,
        b'{"a":"' + FORGED.replace(b'"', b'\\"') + b'"}',
        b'{"raw":' + FORGED + b"}",
        b'{"a":1,"a":2}',
        b'{"a":NaN}',
        b'{"a":1e999}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":"\\ud800"}',
        b"[" * 100_000,
        b'{"a":' * 9000 + b"1" + b"}" * 9000,
        b"\xff\xfe{}\x00\x1b[2J",
        b"",
        b"{",
    ],
    ids=range(16),
)
def test_a_message_cannot_forge_a_line_or_a_key(data: bytes) -> None:
    found = read(new_event("received", msg_type="obs", corr_id="c", raw=data))
    assert set(found) <= {
        "seq", "boot", "ts_wall", "mono_ns", "phase", "type", "severity", "msg_type", "corr_id",
        "raw", "raw_bytes",
    }  # fmt: skip
    assert found["type"] == "received"
    said = found["raw"]
    if isinstance(said, dict):
        assert said == json.loads(data)
    else:
        assert said == data.decode("utf-8", "backslashreplace").rstrip("\r\n")


@pytest.mark.parametrize("form", ['{"a":', "["])
def test_a_message_is_an_object_only_as_deep_as_every_reader_can_go(form: str) -> None:
    close = "}" if form[0] == "{" else "]"
    for depth, kind in ((MAX_DEPTH - 1, dict), (MAX_DEPTH, str), (300, str)):
        text = '{"x":' + form * depth + "1" + close * depth + "}"
        assert isinstance(raw(text.encode()), kind)
    wide = {"a": [[number] for number in range(200)]}
    assert raw(json.dumps(wide).encode()) == wide


def test_a_message_keeps_its_own_writing() -> None:
    line = line_of(new_event("received", msg_type="obs", raw=b' {"q": [1.50, 1e-3, -0]}\r\n'))
    assert line.endswith(b',"raw":{"q": [1.50, 1e-3, -0]}}\n')
    line = line_of(new_event("received", msg_type="obs", raw='{"a":\n\t"é\u2028"}'.encode()))
    assert line.endswith(b',"raw":{"a":"\\u00e9\\u2028"}}\n')


def test_text_that_only_looks_like_an_object_is_text() -> None:
    assert raw(b'"{\\"a\\":1}"') == '"{\\"a\\":1}"'
    assert raw(b'{"a":1}') == {"a": 1}
    assert raw(b"[1,2]") == "[1,2]"


def test_a_large_message_is_text_and_a_huge_one_its_beginning() -> None:
    large = b'{"a":"' + b"x" * MAX_PARSED + b'"}'
    assert raw(large) == large.decode()
    huge = b'{"a":"' + b"x" * MAX_TEXT + b'"}'
    found = read(new_event("received", msg_type="obs", raw=memoryview(huge)))
    assert found["raw"] == huge[:MAX_TEXT].decode()
    assert found["raw_bytes"] == len(huge)


def test_what_makes_a_line_too_long_is_left_out_and_said() -> None:
    long = {"text": "x" * (MAX_LINE + 1)}
    found = read(new_event("sent", msg_type="action", corr_id="c", resp=long))
    assert found["left_out"] == "longer than a line may be" and "resp" not in found
    assert (found["type"], found["corr_id"], found["msg_type"]) == ("sent", "c", "action")
    found = read(new_event("error_answer", corr_id="c", code="x", detail="y" * (MAX_LINE + 1)))
    assert found["left_out"] == "longer than a line may be" and "detail" not in found
    assert (found["type"], found["corr_id"]) == ("error_answer", "c")


def test_numbers_that_json_has_not_are_words() -> None:
    found = read({"a": float("nan"), "b": [float("inf"), {"c": -float("inf")}], 1: None})
    assert (found["a"], found["b"], found["1"]) == ("nan", ["inf", {"c": "-inf"}], None)


def test_arrays_are_numbers_and_large_ones_base64() -> None:
    small = np.array([[1.5, np.nan]], np.float32)
    large = np.arange(6000, dtype=np.float32).reshape(2, 3000)[:, ::2]
    found = read(
        new_event("received", msg_type="obs", arrays={"q": small, "image": large, "n": np.int32(4)})
    )["arrays"]
    assert found["q"] == [[1.5, "nan"]] and found["n"] == 4
    image = found["image"]
    data = np.frombuffer(base64.b64decode(image["base64"]), image["dtype"]).reshape(image["shape"])
    assert np.array_equal(data, large)


def test_foreign_objects_are_said_in_words() -> None:
    class Odd:
        def __repr__(self) -> str:
            return "odd\n" * 100

    found = read({"a": Odd(), "b": b"\xff", "c": {2, 1}, "d": Path("x"), "e": (1, 2)})
    assert found["a"].startswith("odd\n") and len(found["a"]) == 200
    assert (found["b"], found["c"], found["e"]) == ("\\xff", [1, 2], [1, 2])
    assert "x" in found["d"]


def test_an_event_that_cannot_be_written_leaves_what_finds_it() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("not now")

    endless: list[Any] = []
    endless.append(endless)
    for value in (Broken(), endless):
        found = read(new_event("refused", corr_id="c", session="s", code=value, detail=""))
        assert (found["type"], found["corr_id"], found["session"]) == ("refused", "c", "s")
        assert "Error: " in found["left_out"]


def test_a_half_of_a_surrogate_pair_does_no_harm() -> None:
    line = line_of({"detail": "\ud800", "\udfff": 1})
    assert line.isascii() and json.loads(line)["detail"] == "\ud800"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), json_values, max_size=6), st.binary(max_size=200))
def test_any_event_is_one_line(event: dict[str, Any], data: bytes) -> None:
    line = line_of({**event, "raw": data})
    assert line.isascii() and line.count(b"\n") == 1 and line[:-1].decode().isprintable()
    found = json.loads(line, parse_constant=pytest.fail)
    assert (found["seq"], found["boot"]) == (7, BOOT)
