"""A small HTTP server that no client can hold up: one thread, one selector, every wait bounded.

Theory of operation. A connection asks once: it READS a head, is answered (WRITES), and is closed.
Each phase has an instant by which it must be over, set when it begins and not moved by bytes that
trickle in. When all places are taken, the newcomer gets the place of whoever has been there
longest, so that connections that only sit there never keep a scraper out.

After the answer we stop sending and DRAIN for a moment what the client still sends: closing a
socket with unread bytes resets it, and the client would lose the answer that says what was wrong.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
from collections.abc import Callable
from time import monotonic

from ..errors import TransportError
from ..transport.sockets import Listener
from .request import Refusal, Request, Response, head_size, parse, write

__all__ = ["MAX_CONNECTIONS", "Web"]

log = logging.getLogger("isthmus.control")

MAX_CONNECTIONS = 32
READ_S = 5.0
WRITE_S = 10.0
DRAIN_S = 1.0
CLOSE_S = 5.0
"""For an answer that is being made; a thread that hangs in one is left behind."""
PAUSE_S = 0.5
"""Between two attempts to accept, when the process has no descriptor left."""

_PIECE = 65536

Handler = Callable[[Request], Response]


class _Connection:
    """One client."""

    def __init__(self, sock: socket.socket, now: float) -> None:
        self.sock = sock
        self.received = bytearray()
        self.answer = memoryview(b"")
        self.phase: Callable[[_Connection, float], None] | None = None
        self.ends = now + READ_S


class Web:
    """Serves until `close`.

    Args:
        listener: bound; it is ours from now on.
        handler: makes the answer to a request. Runs in our thread, one at a time.
        clock: seconds, monotonic.
    """

    def __init__(
        self, listener: Listener, handler: Handler, *, clock: Callable[[], float] = monotonic
    ) -> None:
        self._listener = listener
        self._handler = handler
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._wake, self._waker = socket.socketpair()
        self._connections: dict[socket.socket, _Connection] = {}  # in the order of their coming
        self._resume: float | None = None
        self._closing = False
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._selector.register(listener.sock, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="isthmus-http", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering and give every descriptor back. May be called again."""
        self._closing = True
        try:
            self._waker.send(b"\0")
        except OSError:  # closed before, or the thread has ended by itself
            pass
        self._thread.join(CLOSE_S)
        self._waker.close()

    def _run(self) -> None:
        try:
            while not self._closing:
                self._turn()
        except Exception:
            log.exception("the HTTP server stopped by an unexpected fault; the gateway goes on")
        finally:
            for connection in list(self._connections.values()):
                self._drop(connection)
            self._selector.close()
            self._listener.close()
            self._wake.close()

    def _turn(self) -> None:
        ready = self._selector.select(self._wait_s())
        now = self._clock()
        for key, _ in ready:
            if key.fileobj is self._listener.sock:
                self._accept(now)
            elif key.data is not None and key.fileobj in self._connections:
                self._step(key.data, now)
        for connection in list(self._connections.values()):
            if connection.ends <= now:
                self._drop(connection)
        if self._resume is not None and self._resume <= now:
            self._resume = None
            self._selector.register(self._listener.sock, selectors.EVENT_READ)

    def _wait_s(self) -> float | None:
        ends = [connection.ends for connection in self._connections.values()]
        if self._resume is not None:
            ends.append(self._resume)
        return max(0.0, min(ends) - self._clock()) if ends else None

    def _accept(self, now: float) -> None:
        try:
            sock = self._listener.accept()
        except TransportError as exc:
            log.warning("the HTTP server pauses: %s", exc)
            self._selector.unregister(self._listener.sock)
            self._resume = now + PAUSE_S
            return
        if sock is None:
            return
        if len(self._connections) >= MAX_CONNECTIONS:
            self._drop(next(iter(self._connections.values())))
        connection = _Connection(sock, now)
        connection.phase = self._read
        self._connections[sock] = connection
        self._selector.register(sock, selectors.EVENT_READ, connection)
        self._step(connection, now)  # its request has mostly come with it

    def _step(self, connection: _Connection, now: float) -> None:
        assert connection.phase is not None  # noqa: S101
        try:
            connection.phase(connection, now)
        except BlockingIOError:
            return
        except OSError:  # the client is gone, and nobody is left to tell
            self._drop(connection)

    def _read(self, connection: _Connection, now: float) -> None:
        piece = connection.sock.recv(_PIECE)
        if not piece:
            self._drop(connection)
            return
        connection.received += piece
        try:
            size = head_size(connection.received)
            if not size:
                return
            request = parse(bytes(connection.received[:size]))
            response = self._handler(request)
            answer = write(response, with_body=request.method == "GET")
        except Refusal as exc:
            allow = {"Allow": "GET, HEAD"} if exc.status == 405 else {}
            answer = write(Response(exc.status, f"{exc}\n".encode(), headers=allow))
        except Exception:
            log.exception("an HTTP request could not be answered")
            answer = write(Response(500, b"an unexpected fault; the gateway's log has it\n"))
        connection.received.clear()
        connection.answer = memoryview(answer)
        connection.phase, connection.ends = self._write, now + WRITE_S
        self._selector.modify(connection.sock, selectors.EVENT_WRITE, connection)
        self._write(connection, now)

    def _write(self, connection: _Connection, now: float) -> None:
        connection.answer = connection.answer[connection.sock.send(connection.answer) :]
        if connection.answer:
            return
        connection.sock.shutdown(socket.SHUT_WR)
        connection.phase, connection.ends = self._drain, now + DRAIN_S
        self._selector.modify(connection.sock, selectors.EVENT_READ, connection)
        self._drain(connection, now)

    def _drain(self, connection: _Connection, _: float) -> None:
        if not connection.sock.recv(_PIECE):
            self._drop(connection)

    def _drop(self, connection: _Connection) -> None:
        del self._connections[connection.sock]
        self._selector.unregister(connection.sock)
        connection.sock.close()
