"""Heads of requests: what is read, what is refused, and with which status."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.control.request import MAX_HEAD, Refusal, Response, head_size, parse, write


def head(line: str = "GET /metrics HTTP/1.1", *headers: str) -> bytes:
    return "\r\n".join([line, *(headers or ("Host: localhost",)), "", ""]).encode("latin-1")


def status_of(raw: bytes) -> int:
    with pytest.raises(Refusal) as refused:
        parse(raw)
    return refused.value.status


def test_a_head_is_read() -> None:
    found = parse(head("GET /metrics?x=1 HTTP/1.1", "Host: 127.0.0.1:9464", "ACCEPT:  text/plain "))
    assert (found.method, found.path) == ("GET", "/metrics")
    assert found.headers == {"host": "127.0.0.1:9464", "accept": "text/plain"}


def test_a_header_that_comes_twice_is_a_list() -> None:
    found = parse(head("GET / HTTP/1.1", "Host: localhost", "Accept: a", "Accept: b"))
    assert found.headers["accept"] == "a,b"


@pytest.mark.parametrize("raw", [b"GET / HTTP/1.0\n\n", b"GET / HTTP/1.0\r\n\r\n"])
def test_http_1_0_needs_no_host(raw: bytes) -> None:
    assert parse(raw).path == "/"


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("", 400),
        ("GET", 400),
        ("GET /", 400),
        ("get / HTTP/1.1", 400),
        ("GET  / HTTP/1.1", 400),
        ("GET metrics HTTP/1.1", 400),
        ("GET http://localhost/metrics HTTP/1.1", 400),
        ("GET /a b HTTP/1.1", 400),
        ("GET /\x00 HTTP/1.1", 400),
        ("GET /\xe9 HTTP/1.1", 400),
        ("GET / HTTP/11", 400),
        ("PRI * HTTP/2.0", 400),
        ("GET / HTTP/2.0", 505),
        ("POST / HTTP/1.1", 405),
        ("PUT /metrics HTTP/1.1", 405),
        ("DELETE / HTTP/1.1", 405),
        ("OPTIONS / HTTP/1.1", 405),
        ("CONNECT localhost:1 HTTP/1.1", 400),
    ],
)
def test_what_is_no_request_of_ours(line: str, status: int) -> None:
    assert status_of(head(line)) == status


@pytest.mark.parametrize("header", ["nonsense", ": x", "a b: c", "\tfolded", "x: \x00", "é: 1"])
def test_what_is_no_header(header: str) -> None:
    assert status_of(head("GET / HTTP/1.1", "Host: localhost", header)) == 400


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:9464", "localhost.", "127.0.0.1", "127.0.0.1:1", "127.9.9.9:80",
     "[::1]", "[::1]:9464"],
)  # fmt: skip
def test_names_of_this_machine(host: str) -> None:
    assert parse(head("GET / HTTP/1.1", f"Host: {host}")).path == "/"


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "evil.example:9464", "localhost.evil.example", "127.0.0.1.evil.example",
     "10.0.0.1", "0.0.0.0", "[::]", "[::1", "user@localhost", "localhost:99999999", "127.1",
     "2130706433", "localhost localhost"],
)  # fmt: skip
def test_a_page_that_rebound_its_name_learns_nothing(host: str) -> None:
    assert status_of(head("GET / HTTP/1.1", f"Host: {host}")) == 403


def test_a_host_is_said_once() -> None:
    assert status_of(head("GET / HTTP/1.1", "Accept: x")) == 400
    assert status_of(head("GET / HTTP/1.1", "Host: localhost", "Host: evil.example")) == 400


def test_a_head_ends_at_the_empty_line() -> None:
    raw = head()
    assert head_size(raw) == len(raw) == head_size(raw + b"more")
    assert all(head_size(raw[:size]) == 0 for size in range(len(raw)))


def test_a_head_is_bounded() -> None:
    fits = head("GET / HTTP/1.1", "Host: localhost", "X: ")
    fits = fits.replace(b"X: ", b"X: " + b"x" * (MAX_HEAD - len(fits)))
    assert head_size(fits) == MAX_HEAD
    for raw in (fits.replace(b"X: ", b"X: x"), b"x" * (MAX_HEAD + 1)):
        with pytest.raises(Refusal) as refused:
            head_size(raw)
        assert refused.value.status == 431


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    for candidate in (raw, b"GET / HTTP/1.1\r\n" + raw, b"GET /" + raw + b" HTTP/1.0\r\n\r\n"):
        try:
            assert parse(candidate).path.startswith("/")
        except Refusal as refused:
            assert b"\r\n\r\n" in write(Response(refused.status, str(refused).encode()))


def test_an_answer_says_how_long_it_is_and_that_it_is_the_last() -> None:
    raw = write(Response(200, b"ok\n"))
    start, _, body = raw.partition(b"\r\n\r\n")
    assert start.startswith(b"HTTP/1.1 200 OK\r\n") and body == b"ok\n"
    assert b"Content-Length: 3" in start and b"Connection: close" in start
    assert b"nosniff" in start and b"no-store" in start
    assert write(Response(200, b"ok\n"), with_body=False) == start + b"\r\n\r\n"
