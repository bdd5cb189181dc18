"""A request's head, read; and an answer, written. Pure: bytes in, bytes out.

Only what a scraper, `curl` and a browser's address bar send: GET and HEAD of a path, no body. All
else is refused by its status, and every answer ends the connection.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["MAX_HEAD", "Refusal", "Request", "Response", "head_size", "parse", "write"]

MAX_HEAD = 8192
"""Bytes of a request line and its headers."""

REASONS: dict[int, str] = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}

TEXT = "text/plain; charset=utf-8"

_LINE = re.compile(r"([A-Z]{1,20}) (/[!-~]*) HTTP/(\d)\.(\d)")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*?)[ \t]*")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z.-]+)(:\d{0,5})?")


class Refusal(Exception):  # noqa: N818 - an answer, and no fault of ours
    """A request that is answered with an error.

    Attributes:
        status: one of `REASONS`.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


@dataclass(frozen=True)
class Request:
    """What was asked.

    Attributes:
        method: `GET` or `HEAD`.
        path: begins with a slash; without a query.
        headers: name in lower case -> value.
    """

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Response:
    """What is answered."""

    status: int
    body: bytes
    content_type: str = TEXT
    headers: Mapping[str, str] = field(default_factory=dict)


def head_size(received: bytes | bytearray) -> int:
    """Bytes of the head with the empty line that ends it; 0 while that has not come.

    Raises:
        Refusal: more than `MAX_HEAD` bytes.
    """
    found = re.search(rb"\r?\n\r?\n", received)
    if len(received) > MAX_HEAD and (found is None or found.end() > MAX_HEAD):
        raise Refusal(431, f"the head of a request may have {MAX_HEAD} bytes")
    return found.end() if found else 0


def parse(head: bytes) -> Request:
    """Read a head.

    Raises:
        Refusal: it is no HTTP/1 request for a path of ours by a name of this machine's own.
    """
    first, *lines = [line.rstrip("\r") for line in head.decode("latin-1").strip("\r\n").split("\n")]
    asked = _LINE.fullmatch(first)
    if asked is None:
        raise Refusal(400, "expected a request such as `GET /metrics HTTP/1.1`")
    method, target, major, minor = asked.groups()
    if major != "1":
        raise Refusal(505, "expected HTTP/1.0 or HTTP/1.1")
    if method not in ("GET", "HEAD"):
        raise Refusal(405, f"{method} is not possible: everything here is read, with GET or HEAD")
    headers = _headers(lines)
    _check_host(headers.get("host"), required=minor != "0")
    return Request(method, target.partition("?")[0], headers)


def _headers(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        header = _HEADER.fullmatch(line)
        if header is None:
            raise Refusal(400, "expected headers such as `Accept: text/plain`")
        name, value = header[1].lower(), header[2]
        if name == "host" and name in found:
            raise Refusal(400, "expected one Host header, got more")
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _check_host(host: str | None, *, required: bool) -> None:
    """Answer only who asked for this machine by a name of its own.

    A web page can have its name resolve to 127.0.0.1, and its visitor's browser then asks us and
    shows the page what we answer (DNS rebinding). The Host header still says the page's name.
    """
    if host is None:
        if required:
            raise Refusal(400, "expected a Host header")
        return
    authority = _AUTHORITY.fullmatch(host)
    if authority is None or not _is_loopback(authority[1].lower()):
        raise Refusal(403, "asked by a name that is not this machine's; ask 127.0.0.1 or localhost")


def _is_loopback(name: str) -> bool:
    if name.rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def write(response: Response, *, with_body: bool = True) -> bytes:
    """The bytes of an answer; HEAD has all of it but the body."""
    headers = {
        "Content-Type": response.content_type,
        "Content-Length": str(len(response.body)),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Connection": "close",
        **response.headers,
    }
    lines = [f"HTTP/1.1 {response.status} {REASONS[response.status]}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    return head + response.body if with_body else head
