"""Every state x every event x both roles x both directions, against the table."""

from __future__ import annotations

import pytest

from isthmus.errors import LocalProtocolError, RemoteProtocolError
from isthmus.protocol.messages import KINDS, Kind
from isthmus.protocol.states import ROWS, SENDER, TABLE, Event, Machine, Role, State

MOVES = [
    pytest.param(role, state, verb, kind, id=f"{role.value}-{state.value}-{verb}-{kind.name}")
    for role in Role
    for state in State
    for verb in ("send", "receive")
    for kind in Kind
    if kind is not Kind.HELLO
]


def at(role: Role, state: State) -> Machine:
    machine = Machine(role)
    machine.state = state
    return machine


@pytest.mark.parametrize(("role", "state", "verb", "kind"), MOVES)
def test_a_move_is_in_the_table_or_an_error(
    role: Role, state: State, verb: str, kind: Kind
) -> None:
    machine = at(role, state)
    move = machine.sent if verb == "send" else machine.received
    after = TABLE.get((role, state, verb, Event[kind.name]))
    if after is not None:
        move(kind)
        assert machine.state is after
        return
    with pytest.raises(LocalProtocolError if verb == "send" else RemoteProtocolError) as caught:
        move(kind)
    assert machine.state is state, "a refused move changes nothing"
    assert kind.name in str(caught.value)
    assert state.value in str(caught.value)
    assert caught.value.code == "schema_violation"


@pytest.mark.parametrize("driven", [False, True])
@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("role", list(Role))
def test_a_hello_is_the_first_message_and_only_once(role: Role, state: State, driven: bool) -> None:
    machine = at(role, state)
    if state is State.START:
        machine.greet(driven)
        assert machine.state is (State.DRIVEN_GREETING if driven else State.GREETING)
        assert machine.driven is driven
        return
    with pytest.raises(LocalProtocolError if role is Role.CLIENT else RemoteProtocolError):
        machine.greet(driven)
    assert machine.state is state


def test_both_roles_see_one_conversation() -> None:
    for (state, event), after in ROWS.items():
        sender = SENDER[event]
        for role in Role:
            verb = "send" if sender in (None, role) else "receive"
            assert TABLE[role, state, verb, event] is after


def test_no_move_leaves_a_closed_conversation() -> None:
    assert not [state for state, _ in ROWS if state is State.CLOSED]


def test_every_state_can_be_reached_and_left() -> None:
    reached = {State.START, *ROWS.values()}
    assert reached == set(State)
    assert {state for state, _ in ROWS} == set(State) - {State.CLOSED}


def test_every_question_has_an_answer() -> None:
    asked = {event for event, sender in SENDER.items() if sender is Role.CLIENT}
    for (_, event), after in ROWS.items():
        if event in asked - {Event.TELEMETRY}:
            answers = {e for (state, e) in ROWS if state is after and SENDER[e] is Role.SERVER}
            assert answers, f"nobody answers {event.name}"


def test_every_message_has_a_kind_and_every_kind_an_event() -> None:
    assert set(KINDS.values()) == set(Kind)
    assert {event.name for event in Event} - {kind.name for kind in Kind} == {"HELLO_DRIVEN"}
