"""Asking and answering on a plain link: one question at a time, each answered once."""

from __future__ import annotations

import math

import numpy as np
import pytest

from isthmus.errors import (
    LocalProtocolError,
    ObservationError,
    PeerError,
    RefusedError,
    RemoteProtocolError,
)
from isthmus.protocol import State
from isthmus.protocol.client import raise_peer_error
from isthmus.protocol.messages import (
    Action,
    Admin,
    AdminAck,
    Attach,
    Attached,
    Bye,
    ErrorAnswer,
    Hello,
    Observation,
    Outcome,
    Ping,
    Pong,
    Ready,
    Telemetry,
)

from .peers import CODECS, Pair, Room, chosen, encoded, look, plain, some

both = pytest.mark.parametrize("kind", list(CODECS))


@both
def test_ask_and_act(kind: str) -> None:
    pair = Pair(kind)
    for number in range(1, 4):
        question = look(number)._replace(sim_time=0.1 * number, corr_id=f"c{number}")
        data = pair.ask(question)
        assert pair.client.waiting
        seen = pair.to_server(data)
        assert isinstance(seen, Observation)
        assert (seen.seq, seen.sim_time, seen.corr_id) == (number, question.sim_time, f"c{number}")
        assert plain(seen.arrays) == plain(question.arrays)
        action = pair.to_client(pair.answer(Action(chosen(), infer_ns=7, corr_id=seen.corr_id)))
        assert isinstance(action, Action)
        assert (action.seq, action.outcome, action.infer_ns) == (number, Outcome.POLICY, 7)
        assert plain(action.arrays) == plain(chosen())
        assert not pair.client.waiting
    assert pair.client.state is pair.server.state is State.OPEN


@both
def test_a_miss_carries_no_numbers(kind: str) -> None:
    action = Pair(kind).exchange(look(), Action({}, outcome=Outcome.MISS))
    assert isinstance(action, Action)
    assert action.outcome == Outcome.MISS
    assert not action.arrays


@both
def test_one_question_at_a_time(kind: str) -> None:
    pair = Pair(kind)
    pair.ask(look())
    with pytest.raises(LocalProtocolError, match="still open"):
        pair.ask(look())
    with pytest.raises(LocalProtocolError, match="still open"):
        pair.client.ask_observation(look(), pair.room.reserve)


@both
def test_a_peer_that_asks_twice_is_refused(kind: str) -> None:
    pair = Pair(kind)
    first = pair.ask(look())
    pair.to_server(first)
    second = encoded(pair.client.codec, look()._replace(seq=2))
    with pytest.raises(RemoteProtocolError, match="one question at a time"):
        pair.to_server(second)


@both
def test_a_late_answer_is_dropped_and_only_then_is_asked_again(kind: str) -> None:
    pair = Pair(kind)
    pair.to_server(pair.ask(look()))
    pair.client.give_up()
    with pytest.raises(LocalProtocolError, match="still open"):
        pair.ask(look())
    assert pair.to_client(pair.answer(Action(chosen()))) is None
    assert pair.client.stale == 1
    assert pair.exchange(look(), Action(chosen())) is not None


@both
@pytest.mark.parametrize(("seq", "epoch"), [(0, 0), (2, 0), (1, 1), (1 << 63, 0)])
def test_what_answers_another_question_is_dropped(kind: str, seq: int, epoch: int) -> None:
    pair = Pair(kind)
    pair.to_server(pair.ask(look()))
    stray = encoded(pair.server.codec, Action(chosen(), seq=seq, epoch=epoch))
    assert pair.to_client(stray) is None
    assert pair.client.stale == 1
    assert pair.client.waiting
    assert isinstance(pair.to_client(pair.answer(Action(chosen()))), Action)


@both
def test_an_answer_counts_once(kind: str) -> None:
    pair = Pair(kind)
    pair.to_server(pair.ask(look()))
    data = pair.answer(Action(chosen()))
    assert pair.to_client(data) is not None
    assert pair.to_client(data) is None
    assert pair.client.stale == 1


@both
@pytest.mark.parametrize(("seq", "epoch"), [(1, 0), (3, 1), (2, 0)])
def test_an_old_question_reaches_nobody(kind: str, seq: int, epoch: int) -> None:
    pair = Pair(kind)
    for _ in range(2):
        pair.exchange(look(), Action(chosen()))
    assert pair.to_server(encoded(pair.client.codec, look()._replace(seq=seq, epoch=epoch))) is None
    assert pair.server.stale == 1
    assert pair.exchange(look(), Action(chosen())) is not None


@both
def test_an_error_answers_a_question(kind: str) -> None:
    pair = Pair(kind)
    answer = pair.exchange(look(), ErrorAnswer("inference_failed", "it raised", retryable=True))
    assert isinstance(answer, ErrorAnswer)
    with pytest.raises(PeerError, match="it raised") as caught:
        raise_peer_error(answer)
    assert (caught.value.code, caught.value.retryable) == ("inference_failed", True)
    assert pair.exchange(look(), Action(chosen())) is not None


@both
def test_ping_and_admin(kind: str) -> None:
    pair = Pair(kind)
    assert isinstance(pair.exchange(Ping(corr_id="p"), Pong(corr_id="p")), Pong)
    ack = pair.exchange(Admin("get_counters"), AdminAck("get_counters", {"n": 1}))
    assert isinstance(ack, AdminAck)
    assert ack.data == {"n": 1}


@both
def test_telemetry_and_goodbye_need_no_answer(kind: str) -> None:
    pair = Pair(kind)
    told = pair.over(pair.client.tell(Telemetry({"p99": 1.5}), pair.room.reserve))
    assert isinstance(told, Telemetry)
    assert told.data == {"p99": 1.5}
    bye = pair.back(pair.server.tell(Bye("closing"), pair.room.reserve))
    assert isinstance(bye, Bye)
    assert pair.client.state is State.CLOSED
    with pytest.raises(LocalProtocolError):
        pair.ask(look())


@both
def test_a_refused_handshake(kind: str) -> None:
    pair = Pair(kind, greet=False)
    pair.over(pair.client.greet(Hello(1, "0"), pair.room.reserve))
    size = pair.server.refuse(ErrorAnswer("pacing", "use lockstep"), pair.room.reserve)
    with pytest.raises(RefusedError, match="use lockstep") as caught:
        pair.back(size)
    assert caught.value.code == "pacing"


@both
def test_a_second_hello_is_refused(kind: str) -> None:
    pair = Pair(kind)
    with pytest.raises(RemoteProtocolError, match="only once"):
        pair.to_server(encoded(pair.client.codec, Hello(1, "0")))


@both
def test_a_step_before_the_handshake_is_refused(kind: str) -> None:
    pair = Pair(kind, greet=False)
    with pytest.raises((LocalProtocolError, RemoteProtocolError)):
        pair.ask(look())
    told = encoded(Pair(kind).client.codec, look()._replace(seq=1))
    if kind == "json":
        with pytest.raises(RemoteProtocolError, match="before the handshake"):
            pair.to_server(told)
    else:
        with pytest.raises(RemoteProtocolError, match="bound"):
            pair.to_server(told)


@both
def test_what_a_plain_link_cannot_do(kind: str) -> None:
    pair = Pair(kind)
    with pytest.raises(LocalProtocolError, match="READY"):
        pair.ask(Ready())
    assert not pair.client.waiting, "what was refused was not asked"
    with pytest.raises(RemoteProtocolError, match="READY"):
        pair.to_server(encoded(pair.client.codec, Ready(seq=1)))


@both
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_not_asked(kind: str, value: float) -> None:
    pair = Pair(kind)
    arrays = {**some(), "q": np.array([[0.0, value, 0.0]], np.float32)}
    with pytest.raises(ObservationError, match="NaN or infinity"):
        pair.ask(Observation(arrays))
    with pytest.raises(ObservationError, match="NaN or infinity"):
        pair.client.ask_observation(Observation(arrays, seq=1), pair.room.reserve)
    assert not pair.client.waiting
    assert pair.exchange(look(), Action(chosen())) is not None


@both
@pytest.mark.parametrize("infos", [{"x": object()}, {"x": math.nan}, {"x": np.ones(2)}, {1j: 1}])
def test_facts_that_are_no_json_are_not_asked(kind: str, infos: dict[str, object]) -> None:
    pair = Pair(kind)
    with pytest.raises(LocalProtocolError, match="JSON"):
        pair.ask(look()._replace(infos=infos))
    assert not pair.client.waiting
    assert pair.exchange(look(), Action(chosen())) is not None


@both
def test_an_answer_that_cannot_be_written_leaves_its_question_open(kind: str) -> None:
    pair = Pair(kind)
    pair.to_server(pair.ask(Admin("x")))
    with pytest.raises(LocalProtocolError, match="JSON"):
        pair.answer(AdminAck("x", {"n": math.nan}))
    assert isinstance(pair.to_client(pair.answer(ErrorAnswer("internal"))), ErrorAnswer)


@both
def test_nobody_answers_what_nobody_asked(kind: str) -> None:
    with pytest.raises(LocalProtocolError, match="without an open question"):
        Pair(kind).answer(Action(chosen()))


def test_moving_to_shared_memory_and_not_moving() -> None:
    pair = Pair("binary")
    pair.over(pair.client.ask(Attach("name", "nonce"), pair.room.reserve))
    assert pair.client.state is pair.server.state is State.UPGRADING
    moved = pair.back(pair.server.tell(Attached(4096, 4096), pair.room.reserve))
    assert moved == Attached(4096, 4096)
    pair.over(pair.client.ask(Attach("name", "nonce"), pair.room.reserve))
    refused = pair.back(pair.server.refuse(ErrorAnswer("upgrade_refused"), pair.room.reserve))
    assert isinstance(refused, ErrorAnswer)
    pair.client.ask(Attach("name", "nonce"), pair.room.reserve)
    pair.client.stay()
    assert pair.client.state is State.OPEN


@pytest.mark.parametrize("message", [Attach("s", "n"), Attached(1, 1)])
def test_json_has_no_way_to_shared_memory(message: Attach | Attached) -> None:
    with pytest.raises(LocalProtocolError, match="does not exist in the json codec"):
        Pair("json").client.codec.encode(message, Room().reserve)
