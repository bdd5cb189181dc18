"""URLs."""

from __future__ import annotations

import pytest

from isthmus.errors import AddressError
from isthmus.transport import Address, parse
from isthmus.transport.sockets import resolve


@pytest.mark.parametrize(
    ("url", "address", "written"),
    [
        ("shm:a.sock", Address("shm", path="a.sock"), "shm:a.sock"),
        ("unix:/run/a", Address("unix", path="/run/a"), "unix:/run/a"),
        ("unix:///run/a", Address("unix", path="/run/a"), "unix:/run/a"),
        ("memory:m.onnx", Address("memory", path="m.onnx"), "memory:m.onnx"),
        ("tcp://h:5", Address("tcp", host="h", port=5), "tcp://h:5"),
        ("tcp://:5", Address("tcp", host="127.0.0.1", port=5), "tcp://127.0.0.1:5"),
        ("tcp://[::1]:5", Address("tcp", host="::1", port=5), "tcp://[::1]:5"),
    ],
)
def test_good(url: str, address: Address, written: str) -> None:
    assert parse(url) == address
    assert address.url == written
    assert parse(written) == address


@pytest.mark.parametrize(
    "url",
    [
        "", "x", "a.sock", "http://h:1", "zmq+tcp://h:1", "unix:", "shm:", "memory:", "tcp:h:5",
        "tcp://h", "tcp://h:", "tcp://h:x", "tcp://h:-1", "tcp://h:65536", "tcp://h:٥", "unix://",
        "unix:" + "a" * 108, "shm:" + "é" * 54, "unix:a\0b", "memory:a\0b",
    ],
)  # fmt: skip
def test_bad(url: str) -> None:
    with pytest.raises(AddressError):
        parse(url)


def test_the_longest_path() -> None:
    assert parse("unix:" + "a" * 107).path == "a" * 107
    assert parse("unix:\0hidden").path == "\0hidden"
    assert parse("unix:\udce9").path == "\udce9", "a name that is no UTF-8"


def test_a_host_without_an_address() -> None:
    with pytest.raises(AddressError, match="no address for the host"):
        resolve(Address("tcp", host="a" * 70, port=1))


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("127.0.0.1:45200", "tcp://127.0.0.1:45200"),
        ("localhost:45200", "tcp://localhost:45200"),
        ("[::1]:45200", "tcp://[::1]:45200"),
        (":45200", "tcp://:45200"),
        ("45200", "tcp://127.0.0.1:45200"),
        ("/run/a", "unix:/run/a"),
        ("./a", "unix:./a"),
        ("a.sock", "unix:a.sock"),
    ],
)
def test_the_scheme_that_was_left_out_is_suggested(url: str, meant: str) -> None:
    assert parse(meant)
    with pytest.raises(AddressError) as caught:
        parse(url)
    assert str(caught.value).endswith(f"; did you mean {meant}?")


@pytest.mark.parametrize("url", ["", "x", "http://h:1", "h:x", "unix"])
def test_nothing_is_suggested_for_what_may_be_anything(url: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse(url)
    assert "did you mean" not in str(caught.value)
