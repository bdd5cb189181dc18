"""The other half of the conversation: a link that is told when to reset and what to call."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.errors import LocalProtocolError, RemoteProtocolError
from isthmus.protocol import State
from isthmus.protocol.messages import (
    Action,
    Arrays,
    Call,
    ErrorAnswer,
    Kind,
    Message,
    Observation,
    Outcome,
    Ready,
    Reset,
    Result,
)

from .peers import CODECS, Pair, bound, chosen, decoded, encoded, look, plain, some

both = pytest.mark.parametrize("kind", list(CODECS))

REWARDS: Arrays = {
    "reward": np.array([-0.0]),
    "terminated": np.array([True]),
    "truncated": np.array([False]),
}


def trained(seed: int = 0, *, final: bool = False) -> Observation:
    return Observation(
        some(seed=seed),
        training=REWARDS,
        final=some(seed=seed + 1) if final else None,
        infos={"episode": [{"r": 1.5}]} if final else None,
    )


@both
def test_a_whole_episode(kind: str) -> None:
    pair = Pair(kind, driven=True)
    reset = pair.exchange(Ready(), Reset([True], [7], {"goal": [0.1]}))
    assert isinstance(reset, Reset)
    assert (reset.mask, reset.seeds, reset.options) == ([True], [7], {"goal": [0.1]})
    assert pair.client.state is State.DRIVEN_RESETTING
    for step in range(3):
        last = step == 2
        seen = pair.to_server(pair.ask(trained(step, final=last)))
        assert isinstance(seen, Observation)
        assert plain(seen.arrays) == plain(some(seed=step))
        assert plain(seen.training) == plain(REWARDS)
        assert plain(seen.final) == plain(some(seed=step + 1) if last else None)
        assert seen.infos == ({"episode": [{"r": 1.5}]} if last else None)
        assert pair.to_client(pair.answer(Action(chosen()))) is not None
    assert pair.client.state is pair.server.state is State.DRIVEN_ACTING


@both
def test_a_method_is_called_between_steps(kind: str) -> None:
    pair = Pair(kind, driven=True)
    pair.exchange(Ready(), Reset())
    call = pair.exchange(trained(), Call("set_wind", [1.5, "north"], [0]))
    assert call == Call("set_wind", [1.5, "north"], [0], seq=2)
    with pytest.raises(LocalProtocolError, match="driven_called"):
        pair.ask(trained())
    action = pair.exchange(Result({"wind": 1.5}), Action(chosen()))
    assert isinstance(action, Action)


@both
def test_an_order_that_failed_is_reported(kind: str) -> None:
    pair = Pair(kind, driven=True)
    pair.exchange(Ready(), Reset())
    seen = pair.to_server(pair.ask(Result(error="the simulator cannot reset")))
    assert isinstance(seen, Result)
    assert seen.error == "the simulator cannot reset"
    assert pair.server.state is State.DRIVEN_READY
    assert isinstance(pair.to_client(pair.answer(Reset())), Reset)


@both
def test_a_reset_may_answer_an_observation(kind: str) -> None:
    pair = Pair(kind, driven=True)
    pair.exchange(Ready(), Reset())
    assert isinstance(pair.exchange(trained(), Reset(None, [3])), Reset)
    assert pair.client.state is State.DRIVEN_RESETTING


@both
def test_nothing_is_observed_before_ready(kind: str) -> None:
    pair = Pair(kind, driven=True)
    with pytest.raises(LocalProtocolError, match="READY"):
        pair.ask(trained())
    with pytest.raises(RemoteProtocolError, match="READY"):
        pair.to_server(encoded(pair.client.codec, trained()._replace(seq=1)))


@both
def test_an_error_lets_the_learner_go_on(kind: str) -> None:
    pair = Pair(kind, driven=True)
    pair.exchange(Ready(), Reset())
    assert isinstance(pair.exchange(trained(), ErrorAnswer("inference_failed")), ErrorAnswer)
    assert pair.client.state is pair.server.state is State.DRIVEN_ACTING
    assert isinstance(pair.exchange(trained(), Action({}, outcome=Outcome.MISS)), Action)


@both
def test_rewards_from_a_link_that_cannot_reset_are_refused(kind: str) -> None:
    data = encoded(bound(kind, training=True, asks=True), trained())
    with pytest.raises(RemoteProtocolError, match="training|bound"):
        decoded(bound(kind), data)


@pytest.mark.parametrize("block", ["training", "final"])
def test_a_reward_that_is_not_finite_is_found(block: str) -> None:
    codec = bound("binary", training=True)
    bad = {
        "training": {**REWARDS, "reward": np.array([np.nan])},
        "final": {**some(), "q": np.full((1, 3), np.inf, np.float32)},
    }[block]
    sender = bound("binary", training=True, asks=True)
    message = decoded(codec, encoded(sender, trained(final=True)._replace(**{block: bad})))
    assert isinstance(message, Observation)
    assert not codec.finite(Kind.OBSERVATION)
    assert decoded(codec, encoded(sender, look())) is not None
    assert codec.finite(Kind.OBSERVATION), (
        "what is left of a longer frame is no part of a shorter one"
    )


def _connected(kind: str) -> Pair:
    """A driven link with one step done."""
    pair = Pair(kind, driven=True)
    pair.exchange(Ready(), Reset(), keep=True)
    pair.exchange(trained(0), Action(chosen()), keep=True)
    return pair


def _again(pair: Pair, kind: str, epoch: int = 1) -> Pair:
    return Pair(kind, driven=True, memory=pair.server.memory, lost=pair.client, epoch=epoch)


@both
def test_a_lost_question_is_processed_once(kind: str) -> None:
    pair = _connected(kind)
    pair.ask(trained(1))  # and the connection ends
    question = trained(1)._replace(seq=pair.client.seq)
    after = _again(pair, kind)
    seen = after.to_server(after.ask(question, again=True))
    assert isinstance(seen, Observation)
    assert not after.server.repeat
    assert isinstance(after.to_client(after.answer(Action(chosen()), keep=True)), Action)


@both
def test_a_lost_answer_is_given_again_and_the_question_reaches_nobody(kind: str) -> None:
    pair = _connected(kind)
    pair.to_server(pair.ask(trained(1)))
    given = pair.answer(Action(chosen(), infer_ns=9), keep=True)  # and the connection ends
    assert given
    question = trained(1)._replace(seq=pair.client.seq)
    after = _again(pair, kind)
    for _ in range(2):  # lost twice
        after.to_server(after.ask(question, again=True))
        assert after.server.repeat
        size = after.server.answer_again(after.room.reserve)
        last, after = after, _again(after, kind, after.client.epoch + 1)
    last.client.epoch = last.server.epoch
    answer = last.back(size)
    assert isinstance(answer, Action)
    assert answer.infer_ns == 9


@both
def test_a_question_still_worked_on_is_answered_by_the_new_connection(kind: str) -> None:
    pair = _connected(kind)
    pair.to_server(pair.ask(trained(1)))  # the learner thinks, and the connection ends
    after = _again(pair, kind)
    question = trained(1)._replace(seq=pair.client.seq)
    assert after.to_server(after.ask(question, again=True)) is None, "it is not processed twice"
    assert isinstance(after.to_client(after.answer(Action(chosen()), keep=True)), Action)


@both
def test_a_question_given_up_by_the_server_is_as_good_as_new(kind: str) -> None:
    pair = _connected(kind)
    pair.to_server(pair.ask(trained(1)))
    pair.server.abandon()
    after = _again(pair, kind)
    question = trained(1)._replace(seq=pair.client.seq)
    assert isinstance(after.to_server(after.ask(question, again=True)), Observation)
    assert isinstance(after.to_client(after.answer(Action(chosen()), keep=True)), Action)


@both
def test_a_connection_lost_between_answer_and_question_goes_on_where_it_was(kind: str) -> None:
    after = _again(_connected(kind), kind)
    assert after.client.state is State.DRIVEN_ACTING
    assert isinstance(after.exchange(trained(1), Action(chosen()), keep=True), Action)


@both
def test_a_gateway_that_was_restarted_begins_anew(kind: str) -> None:
    pair = _connected(kind)
    pair.ask(trained(1))
    after = Pair(kind, driven=True, lost=pair.client, epoch=1)
    assert after.client.state is State.DRIVEN_OPEN
    seen: Message | None = after.exchange(Ready(), Reset(), keep=True)
    assert isinstance(seen, Reset)


@both
def test_answers_of_an_old_connection_are_dropped(kind: str) -> None:
    pair = _connected(kind)
    pair.to_server(pair.ask(trained(1)))
    old = pair.answer(Action(chosen()), keep=True)
    after = _again(pair, kind)
    after.to_server(after.ask(trained(1)._replace(seq=pair.client.seq), again=True))
    assert after.to_client(old) is None
    assert after.client.stale == 1
