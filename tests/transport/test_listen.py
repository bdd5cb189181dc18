"""Who may listen where, and who may take a path over."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from isthmus.errors import AddressError, ConnectError, TransportError
from isthmus.transport import parse
from isthmus.transport.sockets import (
    Listener,
    begin_connect,
    finish_connect,
    listen,
    peer_of,
    resolve,
    writable,
)

from .ends import nothing_left


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "s")


def connected(url: str) -> socket.socket:
    sock = begin_connect(*resolve(parse(url)))
    while not writable(sock):
        pass
    finish_connect(sock)
    return sock


@pytest.mark.parametrize("scheme", ["unix", "shm"])
def test_only_this_user_can_open_the_socket(scheme: str, path: str) -> None:
    with nothing_left():
        old = os.umask(0)
        try:
            listener = listen(parse(f"{scheme}:{path}"))
        finally:
            os.umask(old)
        found = os.stat(path)
        assert stat.S_ISSOCK(found.st_mode)
        assert stat.S_IMODE(found.st_mode) == 0o600
        lock = os.path.join(os.path.dirname(path), ".s.isthmus-lock")
        assert stat.S_IMODE(os.stat(lock).st_mode) == 0o600
        sock = connected(f"unix:{path}")
        accepted = listener.accept()
        assert accepted is not None
        assert listener.accept() is None
        peer = peer_of(accepted)
        assert peer is not None
        assert (peer.pid, peer.uid, peer.gid) == (os.getpid(), os.getuid(), os.getgid())
        sock.close()
        accepted.close()
        listener.close()
        listener.close()
    assert os.listdir(os.path.dirname(path)) == []


def test_a_folder_is_made_for_this_user_alone(tmp_path: Path) -> None:
    listener = listen(parse(f"unix:{tmp_path}/new/s"))
    assert stat.S_IMODE(os.stat(tmp_path / "new").st_mode) == 0o700
    listener.close()


def test_no_more_than_one_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(AddressError, match=f"there is no folder '{tmp_path}/absent'; make it"):
        listen(parse(f"unix:{tmp_path}/absent/new/s"))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["$sockets", "${sockets}", "{sockets}"])
def test_a_name_that_nobody_replaced_makes_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AddressError, match="nothing put a value in place of the name"):
        listen(parse(f"unix:{name}/s"))
    assert os.listdir(tmp_path) == []
    (tmp_path / name).mkdir()  # whoever has such a folder may use it
    listen(parse(f"unix:{name}/s")).close()


def test_a_folder_that_everyone_can_write_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(AddressError, match="everyone"):
        listen(parse(f"unix:{folder}/s"))
    folder.chmod(0o1777)
    listen(parse(f"unix:{folder}/s")).close()


HOLD = """
import sys
from isthmus.transport import parse
from isthmus.transport.sockets import listen
listener = listen(parse(sys.argv[1]))
print("ready", flush=True)
sys.stdin.read()
"""


def holder(url: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, url],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_a_path_of_a_dead_process_is_taken_over(path: str) -> None:
    end(holder(f"unix:{path}"))
    assert os.path.exists(path), "kill -9 leaves the path"
    listener = listen(parse(f"unix:{path}"))
    connected(f"unix:{path}").close()
    listener.close()


def test_a_path_of_a_live_process_is_not(path: str) -> None:
    process = holder(f"unix:{path}")
    try:
        with nothing_left(), pytest.raises(AddressError, match="in use by another process"):
            listen(parse(f"unix:{path}"))
        connected(f"unix:{path}").close()
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(AddressError, match="in use"):
            listen(parse(f"unix:{path}"))
    finally:
        end(process)


def test_a_path_of_another_program_is_not(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        other.listen(0)
        with nothing_left(), pytest.raises(AddressError, match="not isthmus"):
            listen(parse(f"unix:{path}"))
        with pytest.raises(AddressError, match="not isthmus"):
            listen(parse(f"unix:{path}"))  # that question filled its queue
    listen(parse(f"unix:{path}")).close()


def test_a_file_that_is_no_socket_is_kept(path: str) -> None:
    Path(path).write_text("precious")
    with nothing_left(), pytest.raises(AddressError, match="no socket"):
        listen(parse(f"unix:{path}"))
    assert Path(path).read_text() == "precious"
    assert os.listdir(os.path.dirname(path)) == ["s"], "a refused path leaves no lock"


@pytest.mark.parametrize("name", ["s.lock", ".s.isthmus-lock"])
def test_no_file_of_somebody_else_is_removed(name: str, path: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("precious")
    with nothing_left():
        if name == "s.lock":
            listen(parse(f"unix:{path}")).close()
        else:
            with pytest.raises(AddressError, match="no lock of isthmus"):
                listen(parse(f"unix:{path}"))
    assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).read_text() == "precious"


def test_what_took_our_files_place_is_kept(path: str, tmp_path: Path) -> None:
    listener = listen(parse(f"unix:{path}"))
    for name in ("s", ".s.isthmus-lock"):
        (tmp_path / name).unlink()
        (tmp_path / name).write_text("precious")
    listener.close()
    assert sorted(os.listdir(tmp_path)) == [".s.isthmus-lock", "s"]


def test_a_lock_that_somebody_wrote_to_is_kept(path: str, tmp_path: Path) -> None:
    listener = listen(parse(f"unix:{path}"))
    (tmp_path / ".s.isthmus-lock").write_text("precious")
    listener.close()
    assert os.listdir(tmp_path) == [".s.isthmus-lock"]


def test_the_right_path_goes_after_a_change_of_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "s").write_text("precious")
    monkeypatch.chdir(tmp_path)
    listener = listen(parse("unix:s"))
    monkeypatch.chdir(tmp_path / "other")
    listener.close()
    assert os.listdir(tmp_path) == ["other"]
    assert os.listdir(tmp_path / "other") == ["s"]


def test_a_lock_that_is_a_link_is_not_followed(path: str, tmp_path: Path) -> None:
    (tmp_path / ".s.isthmus-lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AddressError, match="cannot listen"):
        listen(parse(f"unix:{path}"))
    assert not (tmp_path / "elsewhere").exists()


def _race(url: str, barrier: object, results: object, done: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    try:
        listener = listen(parse(url))
    except AddressError:
        results.put(0)  # type: ignore[attr-defined]
        return
    results.put(1)  # type: ignore[attr-defined]
    done.wait()  # type: ignore[attr-defined]
    listener.close()


def test_of_several_that_race_one_wins(path: str) -> None:
    end(holder(f"unix:{path}"))
    context = multiprocessing.get_context("spawn")
    barrier, results, done = context.Barrier(3), context.Queue(), context.Event()
    racers = [
        context.Process(target=_race, args=(f"unix:{path}", barrier, results, done))
        for _ in range(3)
    ]
    for racer in racers:
        racer.start()
    assert sum(results.get(timeout=60) for _ in racers) == 1
    done.set()
    for racer in racers:
        racer.join()
    results.close()
    results.join_thread()


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "192.0.2.1"])
def test_a_port_for_everyone_is_refused(host: str) -> None:
    with nothing_left(), pytest.raises(AddressError, match="not loopback"):
        listen(parse(f"tcp://{host}:0"))


def test_tcp_on_loopback() -> None:
    with nothing_left():
        listener = listen(parse("tcp://127.0.0.1:0"))
        assert listener.address.port
        sock = connected(listener.address.url)
        accepted = listener.accept()
        assert accepted is not None
        for one in (sock, accepted):
            assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert not one.getblocking()
            assert peer_of(one) is None
            one.close()
        with pytest.raises(AddressError, match="cannot listen"):
            listen(listener.address)
        listener.close()
        with pytest.raises(ConnectError, match="refused"):
            connected(listener.address.url)


def test_memory_is_no_place_to_listen() -> None:
    with pytest.raises(AddressError, match="own process"):
        listen(parse("memory:model.onnx"))


def test_a_full_queue_is_no_wait(path: str) -> None:
    listener = listen(parse(f"unix:{path}"))
    listener.sock.listen(0)
    waiting = []
    with nothing_left(), pytest.raises(ConnectError, match="queue is full"):
        try:
            while True:
                waiting.append(begin_connect(socket.AF_UNIX, path))
        finally:
            for sock in waiting:
                sock.close()
    listener.close()


@pytest.mark.parametrize("where", ["missing", "a" * 200, "\ud800"])
def test_a_path_where_nobody_listens(where: str, tmp_path: Path) -> None:
    with nothing_left(), pytest.raises(ConnectError):
        begin_connect(socket.AF_UNIX, str(tmp_path / where))


def test_used_up_descriptors_are_named(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def accept(self) -> None:
            raise OSError(24, "Too many open files")

    listener = Listener(parse(f"unix:{path}"), Full())  # type: ignore[arg-type]
    with pytest.raises(TransportError, match="Too many open files"):
        listener.accept()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_is_told_apart() -> None:
    listener = listen(parse("unix:\0isthmus-test-" + os.urandom(8).hex()))
    script = (
        "import os, socket, sys; os.setuid(65534); s = socket.socket(socket.AF_UNIX); "
        "s.connect(sys.argv[1].replace('@', chr(0))); sys.stdin.read()"
    )
    name = "@" + listener.address.path[1:]
    child = subprocess.Popen([sys.executable, "-c", script, name], stdin=subprocess.PIPE)
    while (sock := listener.accept()) is None:
        assert child.poll() is None
    peer = peer_of(sock)
    assert peer is not None
    assert (peer.uid, peer.pid) == (65534, child.pid)
    sock.close()
    listener.close()
    child.communicate()
