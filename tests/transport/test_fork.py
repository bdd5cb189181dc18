"""A forked child keeps nothing of ours open, or nobody would ever see us die."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from isthmus.errors import ConnectionLostError
from isthmus.transport import Transport, Waiter, parse
from isthmus.transport.sockets import listen
from isthmus.transport.stream import StreamTransport

from .ends import frame, framer, number_of, put, shared, streams, take

PARENT = """
import os, sys
from isthmus.transport import parse
from isthmus.transport.sockets import begin_connect, finish_connect, listen, resolve
from isthmus.transport.stream import StreamTransport
from isthmus.protocol.binaryframer import BinaryFramer
sock = begin_connect(*resolve(parse(sys.argv[1])))
finish_connect(sock)
transport = StreamTransport(sock, "unix", BinaryFramer())
listener = listen(parse(sys.argv[2]))
child = os.fork()
if child:
    print(child, flush=True)
sys.stdin.read()
"""


def test_the_peer_sees_the_parents_death_although_its_child_lives(tmp_path: Path) -> None:
    ours = listen(parse(f"unix:{tmp_path}/ours"))
    theirs = f"unix:{tmp_path}/theirs"
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, f"unix:{tmp_path}/ours", theirs],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdin is not None
    child = int(process.stdout.readline())
    sock = ours.accept()
    assert sock is not None
    transport = StreamTransport(sock, "unix", framer())
    assert transport.poll() is None
    process.kill()
    process.wait()
    os.kill(child, 0)  # it lives
    waiter = Waiter(transport)
    assert waiter.wait(None)
    with pytest.raises(ConnectionLostError, match="closed"):
        transport.poll()
    taken_over = listen(parse(theirs))  # neither its socket nor its lock is held by the child
    taken_over.close()
    os.kill(child, signal.SIGKILL)
    waiter.close()
    transport.close()
    ours.close()
    process.stdin.close()
    process.stdout.close()


def in_child(check: object) -> int:
    """Run `check` in a forked child; its exit status."""
    child = os.fork()
    if not child:
        status = 1
        try:
            check()  # type: ignore[operator]
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("name", ["unix", "shm"])
def test_a_child_cannot_speak_for_its_parent(name: str) -> None:
    with streams() if name == "unix" else shared() as (left, right):
        inherited: list[Transport] = [left, right]

        def check() -> None:
            for transport in inherited:
                assert all(number < 0 for number, _ in transport.descriptors()[:1])
                with pytest.raises(ConnectionLostError):
                    transport.poll()
                transport.close()

        assert in_child(check) == 0
        assert put(left, frame(1)), "the parent goes on"
        assert number_of(take(right)) == 1


def test_a_child_leaves_the_parents_path(tmp_path: Path) -> None:
    listener = listen(parse(f"unix:{tmp_path}/s"))
    assert in_child(listener.close) == 0
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(f"{tmp_path}/s")
    assert sorted(os.listdir(tmp_path)) == [".s.isthmus-lock", "s"]
    listener.close()
