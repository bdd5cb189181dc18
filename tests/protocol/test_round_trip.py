"""Whatever a contract allows comes over bit by bit, by either codec."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from isthmus import ActionField, Contract, Field
from isthmus.contract.fields import DTYPES
from isthmus.errors import LocalProtocolError
from isthmus.protocol.messages import (
    Action,
    Admin,
    AdminAck,
    Arrays,
    Bye,
    Call,
    ErrorAnswer,
    Hello,
    Kind,
    Message,
    Observation,
    Outcome,
    Ping,
    Pong,
    Ready,
    Reset,
    Result,
    Telemetry,
    Welcome,
)

from .peers import CODECS, bound, decoded, encoded, plain

both = pytest.mark.parametrize("kind", list(CODECS))

names = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp", "Zs")),
    min_size=1,
    max_size=8,
)
shapes = st.lists(st.integers(1, 3), max_size=3).map(tuple)
u64 = st.integers(0, (1 << 64) - 1)
words = st.text(st.characters(codec="utf-8"), max_size=20)
times = st.floats(-1e15, 1e15) | st.just(math.nan)


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    observed = draw(st.lists(st.tuples(names, shapes, st.sampled_from(DTYPES)), min_size=1,
                             max_size=4, unique_by=lambda row: row[0]))  # fmt: skip
    acted = draw(st.lists(st.tuples(names, shapes, st.sampled_from(DTYPES)), min_size=1,
                          max_size=3, unique_by=lambda row: row[0]))  # fmt: skip
    return Contract(
        name="any",
        observation=tuple(Field(*row) for row in observed),
        action=tuple(ActionField(*row, semantics="opaque", fallback="zero") for row in acted),
        control_dt_ns=1_000_000,
    )


def values(draw: st.DrawFn, field: Field, num_envs: int) -> Any:
    """Any finite numbers: extremes, denormals and both zeros are among them."""
    options: dict[str, Any] = {}
    if field.is_float:
        options = {"allow_nan": False, "allow_infinity": False}
    dtype = np.dtype(field.dtype)
    return draw(
        arrays_of.arrays(
            dtype,
            (num_envs, *field.shape),
            elements=arrays_of.from_dtype(dtype, **options),
            fill=st.nothing(),
        )
    )


@st.composite
def steps(draw: st.DrawFn) -> tuple[Contract, int, bool, Observation, Action]:
    contract, num_envs = draw(contracts()), draw(st.integers(1, 5))
    training = draw(st.booleans())

    def observed() -> Arrays:
        return {f.name: values(draw, f, num_envs) for f in contract.observation}

    rewards = {
        "reward": values(draw, Field("reward", (), "float64"), num_envs),
        "terminated": values(draw, Field("terminated", (), "bool"), num_envs),
        "truncated": values(draw, Field("truncated", (), "bool"), num_envs),
    }
    observation = Observation(
        observed(), draw(u64), draw(st.integers(0, (1 << 32) - 1)), draw(times), draw(u64),
        draw(u64), draw(u64), draw(words), draw(words), draw(words),
        draw(st.none() | st.just({}) | st.just({"mask": None, "seed": 3})),
        rewards if training else None,
        observed() if training and draw(st.booleans()) else None,
        draw(st.none() | st.just({"a": [1, None]})),
    )  # fmt: skip
    missed = draw(st.booleans())
    action = Action(
        {} if missed else {f.name: values(draw, f, num_envs) for f in contract.action},
        observation.seq, observation.epoch, Outcome.MISS if missed else Outcome.FALLBACK,
        draw(u64), draw(u64), draw(u64), draw(u64), draw(times), draw(u64), draw(u64),
        draw(words), draw(words), draw(words),
    )  # fmt: skip
    return contract, num_envs, training, observation, action


def same(sent: Message, came: Message) -> None:
    for name, left, right in zip(sent._fields, sent, came, strict=True):
        if name in ("arrays", "training", "final"):
            assert plain(left) == plain(right), name
        elif isinstance(left, float) and math.isnan(left):
            assert math.isnan(right)
        else:
            assert left == right, name
            assert type(left) is type(right) or isinstance(left, int), name


@both
@settings(max_examples=150, deadline=None)
@given(step=steps())
def test_steps_come_over_bit_by_bit(
    kind: str, step: tuple[Contract, int, bool, Observation, Action]
) -> None:
    contract, num_envs, training, observation, action = step
    link = bound(kind, contract, num_envs, training=training, asks=True)
    gateway = bound(kind, contract, num_envs, training=training)
    for _ in range(2):  # the second time through memory that is in use already
        same(observation, decoded(gateway, encoded(link, observation)))
        assert gateway.finite(Kind.OBSERVATION)
        same(action, decoded(link, encoded(gateway, action)))


MESSAGES: list[Message] = [
    Hello(1, "0.1", "ab", {"name": "x"}, "p", "lockstep", 3, 9, True, "s", "t", {"a": 1}, 0, 4),
    Hello(1, "0.1"),
    Welcome(1, "0.1", "s", "t", {"name": "x"}, {"kind": "onnx"}, "realtime", True, {"n": "1"}),
    Ready(7, 1),
    Reset([True, False], [1, None], {"goal": [0.5]}, 7, 1),
    Reset(None, None, None, 7, 1),
    Call("m", [1, "two", None], [0], 7, 1),
    Result({"value": [1]}, "", 7, 1),
    Result(None, "é\U0001f600 failed", 7, 1),
    Ping(7, 1, "c"),
    Pong(7, 1, 1_500_000_000_000_000_000, "c"),
    Admin("flush_metrics", 7, 1, "c"),
    AdminAck("get_counters", {"x": 1.5}, 7, 1, 1_500_000_000_000_000_000, "c"),
    ErrorAnswer("not_finite", "why", True, 7, 1, "c"),
    Telemetry({"p99": 0.25}, 7, 1),
    Bye("done", 7, 1),
]


@both
@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_messages_without_arrays_come_over(kind: str, message: Message) -> None:
    assert decoded(CODECS[kind](), encoded(CODECS[kind](), message)) == message


def test_what_the_policy_clipped_comes_over() -> None:
    codec = bound("binary")
    action = Action({}, outcome=Outcome.MISS, clipped=(0, 2))
    came = decoded(bound("binary", asks=True), encoded(codec, action))
    assert isinstance(came, Action)
    assert came.clipped == (0, 2)


def test_a_large_finite_number_raises_no_alarm() -> None:
    contract = Contract(
        name="large",
        observation=(Field("x", (400,), "float32"), Field("h", (3,), "float16")),
        action=(ActionField("a", (1,), "float32", semantics="opaque", fallback="zero"),),
        control_dt_ns=1,
    )
    link, gateway = bound("binary", contract, asks=True), bound("binary", contract)
    arrays = {
        "x": np.full((1, 400), 3e38, np.float32),
        "h": np.full((1, 3), 65504, np.float16),
    }
    decoded(gateway, encoded(link, Observation(arrays)))
    assert gateway.finite(Kind.OBSERVATION)


def test_what_lies_between_two_arrays_raises_no_alarm() -> None:
    contract = Contract(
        name="padding",
        observation=(Field("a", (1,), "float16"), Field("b", (1,), "float16")),
        action=(ActionField("c", (1,), "float32", semantics="opaque", fallback="zero"),),
        control_dt_ns=1,
    )
    codec = bound("binary", contract, asks=True)
    memory = memoryview(bytearray(b"}" * 1024))  # of an older frame's JSON; NaN as float16
    arrays = {name: np.ones((1, 1), np.float16) for name in "ab"}
    codec.encode(Observation(arrays), lambda _: memory)
    assert codec.finite(Kind.OBSERVATION)


def _named(observed: str, acted: str) -> Contract:
    return Contract(
        name="names",
        observation=(Field(observed, (), "float32"),),
        action=(ActionField(acted, (2,), "bool", semantics="opaque", fallback="zero"),),
        control_dt_ns=1,
    )


@both
def test_a_name_may_stand_on_both_sides(kind: str) -> None:
    contract = _named("x", "x")
    link, gateway = bound(kind, contract, asks=True), bound(kind, contract)
    observation = Observation({"x": np.array([1.5], np.float32)})
    assert plain(decoded(gateway, encoded(link, observation)).arrays) == plain(observation.arrays)  # type: ignore[union-attr]
    action = Action({"x": np.array([[True, False]])})
    assert plain(decoded(link, encoded(gateway, action)).arrays) == plain(action.arrays)  # type: ignore[union-attr]


@pytest.mark.parametrize(("observed", "acted"), [("sim_time", "a"), ("q", "ts_policy")])
def test_a_name_that_json_needs_itself_is_refused_there(observed: str, acted: str) -> None:
    bound("binary", _named(observed, acted))
    with pytest.raises(LocalProtocolError, match="rename the field or use the binary codec"):
        bound("json", _named(observed, acted))
