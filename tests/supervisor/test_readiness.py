from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from isthmus.errors import ManifestError
from isthmus.supervisor import readiness
from isthmus.supervisor.readiness import LineWatch, Reach


def test_lines_are_found_in_order_whatever_lies_between() -> None:
    async def watch() -> None:
        found = LineWatch((r"port (?P<port>\d+)( of (?P<many>\d+))?", "^ready$"))
        for line in ("ready", "noise", "port 4711", "already", "port 1 of 2"):
            found.see(line)
            assert not found.done.is_set()
        assert found.missing == "no line has matched '^ready$'"
        found.see("ready")
        found.see("port 3 of 4")
        await found.until_reached()
        assert found.values == {"port": "4711"}

    asyncio.run(watch())


def test_a_socket_file_alone_is_not_ready(tmp_path: Path) -> None:
    path = tmp_path / "s"

    async def watch() -> None:
        old = await asyncio.start_unix_server(hang_up, path)
        old.close()
        path.touch()  # what one that died leaves
        reach = Reach("socket", str(path))
        waiting = asyncio.create_task(reach.until_reached())
        while "refused" not in reach.missing:
            await asyncio.sleep(0)
        assert not waiting.done()
        path.unlink()
        server = await asyncio.start_unix_server(hang_up, path)
        await waiting
        server.close()

    asyncio.run(watch())


def test_a_port_is_ready_when_it_accepts() -> None:
    async def watch() -> None:
        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        await Reach("port", f"127.0.0.1:{port}").until_reached()
        await Reach("port", str(port)).until_reached()
        server.close()

    asyncio.run(watch())


def test_http_is_ready_when_it_says_so() -> None:
    answers = [b"", b"garbage\n", b"HTTP/1.1 503 Not yet\r\n\r\n", b"HTTP/1.1 2\r\n\r\n"]
    answers += [b"HTTP/1.1 2999 x\r\n\r\n", b"HTTP/1.1 204 Well\r\n\r\n"]
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(answers[len(asked) - 1])
        await writer.drain()
        writer.close()

    async def watch() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        await Reach("http", f"http://127.0.0.1:{port}/health?deep=1").until_reached()
        server.close()

    asyncio.run(watch())
    assert asked == [b"GET /health?deep=1 HTTP/1.0\r\n"] * 6


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("port", "localhost"),
        ("port", "localhost:0"),
        ("port", "localhost:http"),
        ("port", "1:65536"),
        ("http", "https://127.0.0.1/"),
        ("http", "ftp://127.0.0.1/"),
        ("http", "http://127.0.0.1:99999/"),
        ("http", "http:///path"),
        ("http", "http://a..b"),
        ("http", f"http://{'a' * 300}/"),
        ("http", "http://[::1/"),
        ("http", "http://127.0.0.1:" + "9" * 5000),
        ("port", "a..b:80"),
    ],
)
def test_a_target_that_makes_no_sense_is_refused(kind: str, target: str) -> None:
    with pytest.raises(ManifestError, match="expected"):
        asyncio.run(Reach(kind, target).until_reached())


def test_a_name_server_that_is_silent_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answer = [], threading.Event()

    def look_up(host: str, *_: object, **__: object) -> list[Any]:
        asked.append(host)
        answer.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(readiness, "_TRY", 0.001)

    async def watch() -> None:
        reach = Reach("port", "robot.example:80")
        assert reach.missing == "port robot.example:80: does not answer"
        waiting = asyncio.create_task(reach.until_reached())
        while "looked up" not in reach.missing:
            await asyncio.sleep(0)
        before = reach.wanted
        assert before == "port robot.example:80 (the name robot.example is still being looked up)"
        await asyncio.sleep(0.05)  # a few more tries
        waiting.cancel()

    try:
        asyncio.run(watch())  # its end waits for no thread
        assert asked == ["robot.example"]
    finally:
        answer.set()


def test_who_listens_before_the_start_is_seen(tmp_path: Path) -> None:
    async def watch() -> None:
        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        targets = {"port": f"localhost:{port}", "http": f"http://127.0.0.1:{port}/"}
        for kind, target in targets.items():
            assert await Reach(kind, target).is_taken()
        server.close()
        await server.wait_closed()
        for kind, target in targets.items():
            assert not await Reach(kind, target).is_taken()
        server = await asyncio.start_unix_server(hang_up, tmp_path / "s")
        assert await Reach("socket", str(tmp_path / "s")).is_taken()
        assert not await Reach("socket", str(tmp_path / "t")).is_taken()
        server.close()
        assert not await Reach("port", "robot.example:80").is_taken()

    asyncio.run(watch())


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()
