"""The conversation as one table.

There are two kinds of link. A plain one asks an Observation and gets an Action, and can do nothing
else, so it cannot be trained. A link that can reset says so in Hello; it is told to reset before
its first Observation and whenever the policy side likes. Which of the two a session is, is a part
of its state, so that a Reset to a plain link is an undefined move and nothing special.

The rows name what travels, not who acts: the same row is a send for one role and a receipt for the
other, and `SENDER` says which. A move that is not in the table is a protocol error of whoever
made it. `docs/PROTOCOL.md` draws its diagram from here.
"""

from __future__ import annotations

from enum import Enum

from ..errors import LocalProtocolError, RemoteProtocolError
from .messages import Kind

__all__ = ["ROWS", "TABLE", "Event", "Machine", "Role", "State"]


class Role(Enum):
    """Who we are in the conversation."""

    CLIENT = "client"
    SERVER = "server"


class State(str, Enum):
    """Where a conversation stands. Names with DRIVEN belong to links that can reset.

    It is text too, because a plain Enum is hashed by a Python function, at every step.
    """

    START = "start"
    GREETING = "greeting"
    OPEN = "open"
    ASKED = "asked"
    PINGED = "pinged"
    MANAGED = "managed"
    UPGRADING = "upgrading"
    DRIVEN_GREETING = "driven_greeting"
    DRIVEN_UPGRADING = "driven_upgrading"
    DRIVEN_OPEN = "driven_open"
    DRIVEN_READY = "driven_ready"
    DRIVEN_RESETTING = "driven_resetting"
    DRIVEN_ACTING = "driven_acting"
    DRIVEN_ASKED = "driven_asked"
    DRIVEN_CALLED = "driven_called"
    CLOSED = "closed"


class Event(Enum):
    """What travels: a message's kind, with the two sorts of Hello told apart."""

    HELLO = "hello"
    HELLO_DRIVEN = "hello_driven"
    ATTACH = "attach"
    READY = "ready"
    OBSERVATION = "observation"
    RESULT = "result"
    PING = "ping"
    ADMIN = "admin"
    LOAD_POLICY = "load_policy"
    WELCOME = "welcome"
    ATTACHED = "attached"
    ACTION = "action"
    RESET = "reset"
    CALL = "call"
    PONG = "pong"
    ERROR = "error"
    ADMIN_ACK = "admin_ack"
    LOAD_POLICY_ACK = "load_policy_ack"
    TELEMETRY = "telemetry"
    BYE = "bye"


S, E = State, Event

ROWS: dict[tuple[State, Event], State] = {
    # a plain link: ask, act
    (S.START, E.HELLO): S.GREETING,
    (S.GREETING, E.WELCOME): S.OPEN,
    (S.GREETING, E.ERROR): S.CLOSED,
    (S.OPEN, E.ATTACH): S.UPGRADING,
    (S.UPGRADING, E.ATTACHED): S.OPEN,
    (S.UPGRADING, E.ERROR): S.OPEN,
    (S.OPEN, E.OBSERVATION): S.ASKED,
    (S.ASKED, E.ACTION): S.OPEN,
    (S.ASKED, E.ERROR): S.OPEN,
    (S.OPEN, E.PING): S.PINGED,
    (S.PINGED, E.PONG): S.OPEN,
    (S.OPEN, E.ADMIN): S.MANAGED,
    (S.OPEN, E.LOAD_POLICY): S.MANAGED,
    (S.MANAGED, E.ADMIN_ACK): S.OPEN,
    (S.MANAGED, E.LOAD_POLICY_ACK): S.OPEN,
    (S.MANAGED, E.ERROR): S.OPEN,
    (S.OPEN, E.TELEMETRY): S.OPEN,
    (S.ASKED, E.TELEMETRY): S.ASKED,
    # a link that can reset: ready, then whatever the policy side orders
    (S.START, E.HELLO_DRIVEN): S.DRIVEN_GREETING,
    (S.DRIVEN_GREETING, E.WELCOME): S.DRIVEN_OPEN,
    (S.DRIVEN_GREETING, E.ERROR): S.CLOSED,
    (S.DRIVEN_OPEN, E.ATTACH): S.DRIVEN_UPGRADING,
    (S.DRIVEN_UPGRADING, E.ATTACHED): S.DRIVEN_OPEN,
    (S.DRIVEN_UPGRADING, E.ERROR): S.DRIVEN_OPEN,
    (S.DRIVEN_OPEN, E.READY): S.DRIVEN_READY,
    (S.DRIVEN_READY, E.RESET): S.DRIVEN_RESETTING,
    (S.DRIVEN_READY, E.CALL): S.DRIVEN_CALLED,
    (S.DRIVEN_READY, E.ERROR): S.DRIVEN_OPEN,
    (S.DRIVEN_RESETTING, E.OBSERVATION): S.DRIVEN_ASKED,
    (S.DRIVEN_RESETTING, E.RESULT): S.DRIVEN_READY,
    (S.DRIVEN_ASKED, E.ACTION): S.DRIVEN_ACTING,
    (S.DRIVEN_ASKED, E.RESET): S.DRIVEN_RESETTING,
    (S.DRIVEN_ASKED, E.CALL): S.DRIVEN_CALLED,
    (S.DRIVEN_ASKED, E.ERROR): S.DRIVEN_ACTING,
    (S.DRIVEN_ACTING, E.OBSERVATION): S.DRIVEN_ASKED,
    (S.DRIVEN_ACTING, E.RESULT): S.DRIVEN_ASKED,
    (S.DRIVEN_ACTING, E.TELEMETRY): S.DRIVEN_ACTING,
    (S.DRIVEN_ASKED, E.TELEMETRY): S.DRIVEN_ASKED,
    (S.DRIVEN_CALLED, E.RESULT): S.DRIVEN_ASKED,
    # anybody may leave at any time
    **{(state, E.BYE): S.CLOSED for state in State if state is not State.CLOSED},
}
"""(state, what travels) -> state. A Result in RESETTING or ACTING reports that the order failed.

Telemetry may follow an Observation before its answer: the link has nothing else to do then.
"""

SENDER: dict[Event, Role | None] = {
    **dict.fromkeys(
        (E.HELLO, E.HELLO_DRIVEN, E.ATTACH, E.READY, E.OBSERVATION, E.RESULT, E.PING, E.ADMIN,
         E.LOAD_POLICY, E.TELEMETRY),
        Role.CLIENT,
    ),
    **dict.fromkeys(
        (E.WELCOME, E.ATTACHED, E.ACTION, E.RESET, E.CALL, E.PONG, E.ERROR, E.ADMIN_ACK,
         E.LOAD_POLICY_ACK),
        Role.SERVER,
    ),
    E.BYE: None,
}  # fmt: skip
"""Who may send what; None = both."""

TABLE: dict[tuple[Role, State, str, Event], State] = {
    (role, state, verb, event): after
    for (state, event), after in ROWS.items()
    for role in Role
    for verb in ("send", "receive")
    if SENDER[event] is None or (SENDER[event] is role) == (verb == "send")
}
"""(role, state, send or receive, event) -> state: the whole conversation of either role."""

EVENTS: dict[Kind, Event] = {kind: Event[kind.name] for kind in Kind}


class Machine:
    """One side's place in the table."""

    __slots__ = ("_receive", "_send", "driven", "role", "state")

    def __init__(self, role: Role) -> None:
        """Stand at the start, as `role`."""
        self.role = role
        self.state = State.START
        self.driven = False
        self._send = _moves(role, "send")
        self._receive = _moves(role, "receive")

    def sent(self, kind: Kind) -> None:
        """We send a message of this kind.

        Raises:
            LocalProtocolError: the conversation does not allow it now.
        """
        after = self._send[self.state].get(kind)
        if after is None:
            raise LocalProtocolError(
                f"this side cannot send {kind.name} in state {self.state.value}; "
                f"it may send {_words(self._send[self.state])}"
            )
        self.state = after

    def received(self, kind: Kind) -> None:
        """The peer sent a message of this kind.

        Raises:
            RemoteProtocolError: the conversation does not allow it now.
        """
        after = self._receive[self.state].get(kind)
        if after is None:
            raise RemoteProtocolError(
                f"{kind.name} came in state {self.state.value}; "
                f"expected {_words(self._receive[self.state])}"
            )
        self.state = after

    def greet(self, driven: bool) -> None:
        """A Hello travels, of a link that can reset (`driven`) or not.

        Raises:
            LocalProtocolError: we greet a second time.
            RemoteProtocolError: the peer does.
        """
        event = Event.HELLO_DRIVEN if driven else Event.HELLO
        after = ROWS.get((self.state, event))
        if after is None:
            local = self.role is Role.CLIENT
            error = LocalProtocolError if local else RemoteProtocolError
            raise error(f"HELLO in state {self.state.value}; it is the first message and only once")
        self.state, self.driven = after, driven


def _moves(role: Role, verb: str) -> dict[State, dict[Kind, State]]:
    by_event = {event: kind for kind, event in EVENTS.items() if kind is not Kind.HELLO}
    moves: dict[State, dict[Kind, State]] = {state: {} for state in State}
    for (who, state, what, event), after in TABLE.items():
        if who is role and what == verb and event in by_event:
            moves[state][by_event[event]] = after
    return moves


def _words(moves: dict[Kind, State]) -> str:
    return ", ".join(kind.name for kind in moves) or "nothing"
