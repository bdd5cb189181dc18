"""Reconnecting from inside a control loop, a step at a time."""

from __future__ import annotations

import logging

from ..channel import Channel, Dial, Opening, Wait, open_channel
from ..errors import ConnectError, Error
from ..protocol import ClientProtocol
from ..protocol.messages import Hello

__all__ = ["Reconnector"]

log = logging.getLogger("isthmus.link")

_FIRST_PAUSE_NS = 10_000_000
_LONGEST_PAUSE_NS = 1_000_000_000
_ATTEMPT_NS = 5_000_000_000
_STEPS = 8


class Reconnector:
    """Opens a channel without ever waiting: each `step` does what can be done at once.

    Attributes:
        url: where to.
        attempts: connections tried.
        error: why the last one failed; None after one that succeeded.
    """

    def __init__(self, dial: Dial, hello: Hello, channel: Channel) -> None:
        """Come back to the gateway, and as the session, of `channel`."""
        self._dial = dial
        self.url = dial.address.url
        self._hello = hello._replace(
            session=channel.welcome.session,
            token=channel.welcome.token,
            interface_hash=channel.contract.interface_hash,
            contract=channel.contract.to_dict(),
        )
        self._lost: ClientProtocol = channel.protocol
        self._opening: Opening[Channel] | None = None
        self._wait: Wait | None = None
        self._until_ns = 0
        self._next_ns = 0
        self._pause_ns = _FIRST_PAUSE_NS
        self.attempts = 0
        self.error: Error | None = None

    def step(self, now_ns: int) -> Channel | None:
        """The open channel, or None if it is not there yet."""
        if self._opening is None:
            if now_ns < self._next_ns:
                return None
            self._hello = self._hello._replace(epoch=self._hello.epoch + 1)
            self._opening = open_channel(self._dial, self._hello, lost=self._lost)
            self._wait = None
            self._until_ns = now_ns + _ATTEMPT_NS
            self.attempts += 1
        try:
            for _ in range(_STEPS):
                if self._wait is not None and not self._wait.ready():
                    if now_ns > self._until_ns:
                        self._pause(now_ns)
                    return None
                self._wait = next(self._opening)
        except StopIteration as stop:
            self._opening = self.error = None
            self._pause_ns = _FIRST_PAUSE_NS
            channel: Channel = stop.value
            welcome = channel.welcome
            self._hello = self._hello._replace(session=welcome.session, token=welcome.token)
            self._lost = channel.protocol
            return channel
        except Error as exc:
            self._failed(exc, now_ns)
        except OSError as exc:  # no descriptor is left for another attempt, for now
            self._failed(ConnectError(f"no connection can be made: {exc.strerror}"), now_ns)
        except BaseException:  # a signal handler raised: this attempt has ended half-way
            self._opening = self._wait = None
            self._next_ns = now_ns
            raise
        return None

    def close(self) -> None:
        """Drop an attempt that is under way."""
        if self._opening is not None:
            self._opening.close()
            self._opening = None

    def _failed(self, why: Error, now_ns: int) -> None:
        if str(why) != str(self.error):  # each reason once, not at every attempt
            log.warning("isthmus %s: cannot connect again yet: %s", self.url, why)
        self.error = why
        self._pause(now_ns)

    def _pause(self, now_ns: int) -> None:
        self.close()
        self._next_ns = now_ns + self._pause_ns
        self._pause_ns = min(self._pause_ns * 2, _LONGEST_PAUSE_NS)
