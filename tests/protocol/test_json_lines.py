"""The json codec's own words: names of lines, places of keys, what every action says."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from isthmus.errors import RemoteProtocolError
from isthmus.protocol import JsonCodec
from isthmus.protocol.messages import (
    Action,
    Admin,
    ErrorAnswer,
    LoadPolicy,
    LoadPolicyAck,
    Message,
    Observation,
    Outcome,
    Ping,
)

from ..support.contracts import DELTA, pair


def codec(names: str = "s", *, bound: bool = True) -> JsonCodec:
    found = JsonCodec(names)
    if bound:
        found.bind(pair(DELTA), 1, asks=False)
    return found


def read(found: JsonCodec, line: Any) -> Message:
    text = line if isinstance(line, bytes) else json.dumps(line).encode()
    return found.decode(memoryview(text))


def written(found: JsonCodec, message: Message) -> dict[str, Any]:
    memory = bytearray(1 << 16)
    size = found.encode(message, lambda size: memoryview(memory))
    return dict(json.loads(memory[:size]))


def action(**more: Any) -> Action:
    return Action({"speed": np.zeros((1, 2), np.float32)}, **more)


def test_lines_are_numbered_and_a_clients_own_name_goes_first() -> None:
    found = codec()
    names = []
    for line in ({"type": "ping"}, {"type": "ping", "corr_id": "mine"}, b"{", {"type": "ping"}):
        try:
            message = read(found, line)
            assert isinstance(message, Ping)
            assert message.corr_id == found.corr_id
        except RemoteProtocolError:
            pass
        names.append(found.corr_id)
    assert names == ["s-1", "mine", "s-3", "s-4"]


def test_a_codec_without_names_makes_none() -> None:
    found = codec("")
    assert read(found, {"type": "ping"}) == Ping()
    assert found.corr_id == ""


def test_what_was_answered_is_forgotten() -> None:
    found = codec()
    read(found, {"type": "obs", "data": {"q": [1, 2]}})
    assert (found.corr_id, found.joints, found.word) == ("s-1", 2, "obs")
    written(found, action())
    assert (found.corr_id, found.joints) == ("", None)


@pytest.mark.parametrize(
    ("line", "joints"),
    [
        ({"type": "obs", "data": {"q": [1, 2]}}, 2),
        ({"type": "obs", "data": {"observation": {"q": [1, 2, 3]}}}, 3),
        ({"type": "obs", "q": []}, 0),
        ({"type": "obs", "data": {"q": "ab"}}, None),
        ({"type": "obs", "data": {}}, None),
        ({"type": "ping", "q": [1]}, None),
    ],
)
@pytest.mark.parametrize("bound", [True, False])
def test_joints_are_counted_also_of_what_is_refused(line: Any, joints: Any, bound: bool) -> None:
    found = codec(bound=bound)
    read(found, {"type": "ping"})
    try:
        read(found, line)
    except RemoteProtocolError as exc:
        assert exc.code == "schema_violation"
    assert found.joints == joints


def test_why_there_is_no_policy_is_said_to_every_observation() -> None:
    found = codec(bound=False)
    found.vacancy = "nothing is loaded"
    for line in ({"type": "obs", "data": {"q": [1]}}, {"type": "obs"}):
        with pytest.raises(RemoteProtocolError, match="nothing is loaded") as caught:
            read(found, line)
        assert caught.value.code == "policy_unavailable"
    assert isinstance(read(found, {"type": "ping"}), Ping)
    found.bind(pair(DELTA), 1, asks=False)
    assert isinstance(read(found, {"type": "obs", "data": {"q": [1, 2]}}), Observation)


@pytest.mark.parametrize(
    "line",
    [
        {"path": "a"},
        {"policy": "a"},
        {"data": {"path": "a"}},
        {"data": {"policy": "a"}},
        {"path": "a", "policy": "b", "data": {"path": "c"}},
        {"path": "a", "force": True},
    ],
)
def test_the_places_of_a_path(line: dict[str, Any]) -> None:
    message = read(codec(), {"type": "load_policy", **line})
    assert message == LoadPolicy("a", corr_id="s-1")


@pytest.mark.parametrize(
    "line", [{}, {"data": {}}, {"data": 3, "path": "a"}, {"path": None}, {"path": "x" * 70_000}]
)
def test_what_is_no_load_policy(line: dict[str, Any]) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        read(codec(), {"type": "load_policy", **line})
    assert caught.value.code in ("schema_violation", "too_large")


def test_old_clients_may_say_more() -> None:
    assert read(codec(), {"type": "admin", "op": "x", "ts": 3}) == Admin("x", corr_id="s-1")


def test_answers_of_the_first_system() -> None:
    found = codec()
    ack = written(found, LoadPolicyAck("p.onnx", "onnx", corr_id="c"))
    assert ack == {
        "type": "load_policy_ack", "seq": 0, "epoch": 0, "path": "p.onnx", "policy_kind": "onnx",
        "corr_id": "c",
    }  # fmt: skip
    error = written(found, ErrorAnswer("load_failed", "why", corr_id="c"))
    assert (error["type"], error["error"], error["detail"]) == ("error", "load_failed", "why")


@pytest.mark.parametrize(
    ("outcome", "missed"),
    [
        (Outcome.POLICY, False),
        (Outcome.FALLBACK, False),
        (Outcome.MISS, True),
        (Outcome.MISS_FALLBACK, True),
    ],
)
def test_only_what_was_too_late_is_a_miss(outcome: Outcome, missed: bool) -> None:
    sent = action(outcome=outcome) if outcome != Outcome.MISS else Action({}, outcome=outcome)
    found = codec()
    assert written(found, sent)["data"]["deadline_miss"] is missed
    memory = bytearray(1 << 16)
    size = found.encode(sent, lambda size: memoryview(memory))
    assert found.decode(memoryview(memory)[:size]).outcome == outcome  # type: ignore[union-attr]


def test_why_an_action_was_replaced_comes_over() -> None:
    found = codec()
    assert "cause" not in written(found, action())["data"]
    sent = action(outcome=Outcome.FALLBACK, cause="no_pose")
    assert written(found, sent)["data"]["cause"] == "no_pose"
    memory = bytearray(1 << 16)
    size = found.encode(sent, lambda size: memoryview(memory))
    assert found.decode(memoryview(memory)[:size]).cause == "no_pose"  # type: ignore[union-attr]


def test_what_every_action_says_of_its_policy() -> None:
    found = codec()
    assert "policy_kind" not in written(found, action())["data"]
    found.describe('on"nx')
    assert written(found, action())["data"]["policy_kind"] == 'on"nx'
    found.describe("onnx", 0.5)
    data = written(found, action())["data"]
    assert (data["policy_kind"], data["action_scale_hint"]) == ("onnx", 0.5)
