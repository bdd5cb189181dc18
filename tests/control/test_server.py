"""The HTTP server: its pages, and clients that want to hold it up."""

from __future__ import annotations

import gc
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest

from isthmus.control import web
from isthmus.control.request import MAX_HEAD, TEXT, Request, Response
from isthmus.control.server import FRESH_S, PAGES, ControlServer
from isthmus.control.web import MAX_CONNECTIONS, Web
from isthmus.errors import AddressError, Error, TransportError
from isthmus.telemetry import Snapshot
from isthmus.transport import parse
from isthmus.transport.sockets import Listener, listen

from ..support.waiting import LAST_RESORT, until
from .snapshots import busy, idle


@pytest.fixture
def server() -> Iterator[ControlServer]:
    found = ControlServer("127.0.0.1:0", busy)
    with closing(found):
        yield found


def port_of(server: ControlServer) -> int:
    return int(server.url.rpartition(":")[2])


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=LAST_RESORT)


def said(sock: socket.socket) -> bytes:
    """Everything until the server closes."""
    pieces = []
    try:
        while piece := sock.recv(65536):
            pieces.append(piece)
    except ConnectionResetError:
        pass
    return b"".join(pieces)


def ask(port: int, raw: bytes) -> bytes:
    with connected(port) as sock:
        sock.sendall(raw)
        return said(sock)


def get(server: ControlServer, path: str, method: str = "GET", **headers: str) -> HTTPResponse:
    connection = HTTPConnection("127.0.0.1", port_of(server), timeout=LAST_RESORT)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    response.content = response.read()  # type: ignore[attr-defined]
    connection.close()
    return response


def body(response: HTTPResponse) -> str:
    found: bytes = response.content  # type: ignore[attr-defined]
    return found.decode()


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


# pages ------------------------------------------------------------------------------------


def test_it_lists_its_pages(server: ControlServer) -> None:
    listed = body(get(server, "/"))
    assert [line.split()[0] for line in listed.splitlines()] == list(PAGES)
    assert all(get(server, path).status == 200 for path in PAGES)


def test_metrics_come_in_the_format_asked_for(server: ControlServer) -> None:
    plain = get(server, "/metrics")
    assert plain.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "isthmus_observations_total 400.0\n" in body(plain)
    asked = get(server, "/metrics?x=y", Accept="application/openmetrics-text;version=1.0.0")
    assert asked.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert body(asked).endswith("# EOF\n")


def test_who_asks_without_end_gets_the_same_page_for_a_moment() -> None:
    clock, taken = Clock(), 0

    def snapshot() -> Snapshot:
        nonlocal taken
        taken += 1
        return busy(counters={"observations": taken})

    with closing(ControlServer("127.0.0.1:0", snapshot, clock=clock)) as server:
        pages = [body(get(server, "/metrics")) for _ in range(50)]
        assert len(set(pages)) == taken == 1
        assert body(get(server, "/metrics", Accept="application/openmetrics-text")) not in pages
        clock.now += FRESH_S
        assert "isthmus_observations_total 3.0\n" in body(get(server, "/metrics"))


def test_labels_are_on_where_they_were_asked_for() -> None:
    with closing(ControlServer("127.0.0.1:0", busy, instance_id="cell-3", labels=True)) as server:
        line = 'isthmus_observations_total{instance_id="cell-3",policy_kind="onnx"} 400.0\n'
        assert line in body(get(server, "/metrics"))


def test_head_is_get_without_the_body(server: ControlServer) -> None:
    whole, only_head = get(server, "/readyz"), get(server, "/readyz", "HEAD")
    assert only_head.status == 200 and body(only_head) == ""
    assert only_head.headers["Content-Length"] == whole.headers["Content-Length"] == "3"


def test_health_is_what_the_check_says() -> None:
    wrong = ""
    with closing(ControlServer("127.0.0.1:0", busy, health=lambda: wrong)) as server:
        assert (get(server, "/healthz").status, body(get(server, "/healthz"))) == (200, "ok\n")
        wrong = "the engine has been in one pass for 9 s"
        assert (get(server, "/healthz").status, body(get(server, "/healthz"))) == (
            503,
            wrong + "\n",
        )
        assert get(server, "/readyz").status == 200


def test_it_is_ready_once_a_policy_is_served() -> None:
    now = idle()
    with closing(ControlServer("127.0.0.1:0", lambda: now)) as server:
        assert get(server, "/readyz").status == 503
        assert "no policy is served" in body(get(server, "/readyz"))
        now = busy()
        assert get(server, "/readyz").status == 200


def test_it_is_ready_when_the_check_says_so() -> None:
    with closing(ControlServer("127.0.0.1:0", busy, readiness=lambda: "closing")) as server:
        assert (get(server, "/readyz").status, body(get(server, "/readyz"))) == (503, "closing\n")


def test_alerts_are_json(server: ControlServer) -> None:
    response = get(server, "/alerts")
    assert response.headers["Content-Type"] == "application/json"
    found = json.loads(body(response))
    assert found["severity"] == 2 and found["active"] == 2
    assert found["alerts"][0]["name"] == "deadline_miss_rate"


def test_alerts_come_from_who_knows_more() -> None:
    rows = [{"name": "x", "severity": 1, "value": 3.0}]
    with closing(ControlServer("127.0.0.1:0", busy, alerts=lambda: rows)) as server:
        (told,) = json.loads(body(get(server, "/alerts")))["alerts"]
        assert (told["name"], told["value"], told["action"]) == ("x", 3.0, None)


def test_a_snapshot_that_fails_is_no_traceback_and_no_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken() -> Any:
        raise ZeroDivisionError("secret")

    with closing(ControlServer("127.0.0.1:0", broken)) as server:
        response = get(server, "/metrics")
        assert response.status == 500 and "secret" not in body(response)
        assert get(server, "/healthz").status == 200
    assert "secret" in caplog.text


# addresses --------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:0", ":0"])
def test_loopback_by_any_name(address: str) -> None:
    with closing(ControlServer(address, busy)) as server:
        assert port_of(server) > 0


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"])
def test_elsewhere_is_refused(address: str) -> None:
    with pytest.raises(AddressError, match="not loopback.*SSH tunnel"):
        ControlServer(address, busy)


@pytest.mark.parametrize("address", ["", "9464", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(AddressError, match="expected HOST:PORT"):
        ControlServer(address, busy)


def test_a_port_in_use_is_said(server: ControlServer) -> None:
    with pytest.raises(AddressError, match="in use"):
        ControlServer(f"127.0.0.1:{port_of(server)}", busy)


# abuse ------------------------------------------------------------------------------------


def status(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1.1 ")
    return int(answer[9:12])


LOCAL = b"\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (b"\x00\x01\x02 garbage \xff\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b'{"type":"ping"}\n\n', 400),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 9" + LOCAL + b"some body", 405),
        (b"DELETE /alerts HTTP/1.1" + LOCAL, 405),
        (b"GET /../../etc/passwd HTTP/1.1" + LOCAL, 404),
        (b"GET /%2e%2e/etc/passwd HTTP/1.1" + LOCAL, 404),
        (b"GET //metrics HTTP/1.1" + LOCAL, 404),
        (b"GET /metrics/ HTTP/1.1" + LOCAL, 404),
        (b"GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
        (b"GET /metrics HTTP/3.0" + LOCAL, 505),
        (b"GET /" + b"a" * 10 * MAX_HEAD, 431),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * MAX_HEAD, 431),
        (b"x" * 2_000_000, 431),
    ],
    ids=lambda given: str(given)[:40] if isinstance(given, bytes) else str(given),
)
def test_bad_requests_are_told_so(server: ControlServer, raw: bytes, wanted: int) -> None:
    with connected(port_of(server)) as sock:
        try:
            sock.sendall(raw)
        except (BrokenPipeError, ConnectionResetError):
            assert len(raw) > 1_000_000  # more than it reads before it closes
        answer = said(sock)
    assert status(answer) == wanted
    assert get(server, "/metrics").status == 200


def test_one_connection_is_one_answer(server: ControlServer) -> None:
    """Keep-alive and pipelining would let one client stay for ever."""
    asked = b"GET /readyz HTTP/1.1\r\nConnection: keep-alive" + LOCAL
    answer = ask(port_of(server), asked * 3)
    assert answer.count(b"HTTP/1.1 ") == 1 and b"Connection: close" in answer


def test_a_request_may_come_byte_by_byte(server: ControlServer) -> None:
    with connected(port_of(server)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"GET /readyz HTTP/1.1" + LOCAL:
            sock.send(bytes([byte]))
        assert said(sock).endswith(b"ok\n")


def test_a_client_that_stops_sending_is_still_answered(server: ControlServer) -> None:
    with connected(port_of(server)) as sock:
        sock.sendall(b"GET /readyz HTTP/1.1" + LOCAL)
        sock.shutdown(socket.SHUT_WR)
        assert said(sock).endswith(b"ok\n")


def test_idle_connections_never_keep_a_scraper_out(server: ControlServer) -> None:
    with ExitStack() as stack:
        for _ in range(4 * MAX_CONNECTIONS):
            sock = stack.enter_context(connected(port_of(server)))
            sock.sendall(b"GET /metr")
        assert get(server, "/metrics").status == 200


def test_clients_that_leave_half_way_leave_nothing_behind(server: ControlServer) -> None:
    get(server, "/metrics")
    before = descriptors()
    whole = b"GET /metrics HTTP/1.1" + LOCAL
    for size in range(0, len(whole) + 1, 3):
        with connected(port_of(server)) as sock:
            sock.sendall(whole[:size])
            if size % 2:  # leave with a reset, and with an answer under way
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    until(lambda: descriptors() <= before, "their connections are closed")
    assert get(server, "/metrics").status == 200


def test_it_closes_with_clients_connected_and_can_be_closed_again() -> None:
    get(server := ControlServer("127.0.0.1:0", busy), "/metrics")  # what is imported first stays
    server.close()
    before = descriptors()
    server = ControlServer("127.0.0.1:0", busy)
    with connected(port_of(server)) as sock:
        get(server, "/metrics")
        server.close()
        assert said(sock) == b""
        with pytest.raises(ConnectionRefusedError):
            connected(port_of(server))
    server.close()
    assert descriptors() <= before
    assert not any(thread.name == "isthmus-http" for thread in threading.enumerate())


# time -------------------------------------------------------------------------------------


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


Handler = Callable[[Request], Response]


class Small:
    """A `Web` at a clock of its own."""

    def __init__(self, handler: Handler | None = None, listener: Listener | None = None) -> None:
        self.clock = Clock()
        self.listener = listener or listen(parse("tcp://127.0.0.1:0"))
        self.port = self.listener.address.port
        self.web = Web(
            self.listener, handler or (lambda _: Response(200, b"ok\n")), clock=self.clock
        )

    def look(self) -> bytes:
        """Ask; after the answer it has looked at its clock."""
        return ask(self.port, b"GET / HTTP/1.1" + LOCAL)


@pytest.fixture
def small() -> Iterator[Small]:
    found = Small()
    with closing(found.web):
        yield found


def test_a_request_that_trickles_does_not_get_more_time(small: Small) -> None:
    with connected(small.port) as sock:
        small.look()  # its time has begun
        for byte in b"GET / HT":
            sock.send(bytes([byte]))
            small.clock.now += web.READ_S / 10
            assert small.look().endswith(b"ok\n")
        small.clock.now += web.READ_S / 4
        assert small.look().endswith(b"ok\n")
        assert said(sock) == b""


def test_a_request_in_time_is_answered_however_slow_others_are(small: Small) -> None:
    with connected(small.port) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: local")
        small.clock.now += web.READ_S * 0.9
        small.look()
        sock.sendall(b"host\r\n\r\n")
        assert said(sock).endswith(b"ok\n")


def test_who_does_not_take_the_answer_loses_it() -> None:
    big = Response(200, b"x" * 30_000_000, TEXT)
    small = Small(lambda request: big if request.path == "/big" else Response(200, b"ok\n"))
    with closing(small.web), connected(small.port) as sock:
        sock.sendall(b"GET /big HTTP/1.1" + LOCAL)
        assert sock.recv(1, socket.MSG_PEEK)  # it is being written, and does not fit
        small.look()
        small.clock.now += web.WRITE_S + 1
        small.look()
        assert len(said(sock)) < len(big.body)


def test_who_does_not_hang_up_after_the_answer_is_hung_up_on(small: Small) -> None:
    with connected(small.port) as sock:
        sock.sendall(b"GET / HTTP/1.1" + LOCAL)
        assert said(sock).endswith(b"ok\n")  # it has stopped sending, and waits for us to
        assert not hung_up(sock)
        small.clock.now += web.DRAIN_S + 0.1
        small.look()
        until(lambda: hung_up(sock), "it hangs up on who does not")


def hung_up(sock: socket.socket) -> bool:
    """True once what is sent comes back as a reset."""
    try:
        sock.send(b"more")
    except (BrokenPipeError, ConnectionResetError):
        return True
    return False


def test_time_ends_connections_without_any_other_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "READ_S", 0.01)
    server = ControlServer("127.0.0.1:0", busy)
    with closing(server), connected(port_of(server)) as sock:
        assert said(sock) == b""


class Exhausted(Listener):
    """A listener of a process whose descriptors are used up, once."""

    tries = 0

    def accept(self) -> socket.socket | None:
        self.tries += 1
        if self.tries == 1:
            raise TransportError("cannot accept: Too many open files")
        return super().accept()


def test_it_accepts_again_once_there_are_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "PAUSE_S", 0.01)
    plain = listen(parse("tcp://127.0.0.1:0"))
    exhausted = Exhausted(plain.address, plain.sock)
    found = Web(exhausted, lambda _: Response(200, b"ok\n"))
    with closing(found):
        assert ask(plain.address.port, b"GET / HTTP/1.1" + LOCAL).endswith(b"ok\n")
    assert exhausted.tries >= 2


def test_an_unexpected_end_of_its_thread_is_logged_and_closes_the_door(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(Web, "_accept", broken)
    with closing(ControlServer("127.0.0.1:0", busy)) as server:
        until(lambda: refuses(port_of(server)), "its port is closed")
    assert "a fault of ours" in caplog.text


def refuses(port: int) -> bool:
    """True if nobody listens there."""
    try:
        connected(port).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # it had just come when the port was closed
        pass
    return False


def test_every_refusal_is_one_of_our_errors() -> None:
    with pytest.raises(Error):
        ControlServer("0.0.0.0:0", busy)
