"""A warden and its process, without a run around them."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from isthmus.errors import SupervisionError
from isthmus.supervisor import warden
from isthmus.supervisor.ward import Ending, Order, Ward

from ..support.waiting import until


class Household:
    """Starts wards in a folder, and collects what they say."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = b""
        self.pause = 0.0
        self.wardens: set[int] = set()
        self.lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR)

    async def start(self, code: str, *arguments: str, patience: float = 10.0) -> Ward:
        program = [sys.executable, "-I", "-S", "-c", textwrap.dedent(code), *arguments]
        return await self.order(program, patience=patience)

    async def order(self, argv: list[str], *, cwd: str = "", patience: float = 10.0) -> Ward:
        order = Order(
            argv=tuple(argv),
            executable=argv[0],
            environ={"LEFT": "right", "BYTES": "\udcff"},
            cwd=cwd or str(self.folder),
            sockets=str(self.folder / "private"),
            log=str(self.folder / "log"),
            signal=signal.SIGTERM,
            patience=patience,
        )
        return await Ward.start(
            order, run_id="test", name="p", lock=self.lock, wardens=self.wardens, output=self.take
        )

    def take(self, data: bytes) -> None:
        self.output += data
        time.sleep(self.pause)

    def die(self, ward: Ward) -> None:
        """Let a warden see what it sees when the supervisor is killed, and wait for its end."""
        ward._loop.remove_reader(ward._control)
        ward._control.close()
        ward._close_output()
        assert ward._process.wait(60) == 0
        self.wardens.discard(ward.warden)

    async def said(self, text: bytes) -> None:
        while text not in self.output:
            await asyncio.sleep(0.002)


@pytest.fixture
def house(tmp_path: Path) -> Household:
    return Household(tmp_path)


def lived(house: Household, code: str, *arguments: str) -> Ending:
    """Let a process live to its end."""

    async def live() -> Ending:
        ward = await house.start(code, *arguments)
        ending = await ward.wait()
        await ward.dismiss()
        return ending

    return asyncio.run(live())


@pytest.fixture(autouse=True)
def _nothing_is_left(house: Household) -> Iterator[None]:
    yield
    os.close(house.lock)
    assert house.wardens == set()


@pytest.mark.parametrize("status", [0, 1, 255, -signal.SIGKILL, -signal.SIGSEGV])
def test_the_status_is_the_process_s_own(house: Household, status: int) -> None:
    code = (
        "import os, sys; n = int(sys.argv[1]); os._exit(n) if n >= 0 else os.kill(os.getpid(), -n)"
    )
    assert lived(house, code, str(status)) == Ending(status)


def test_a_child_gets_its_environment_and_nothing_of_ours(house: Household) -> None:
    code = """
        import os, signal, stat
        print(dict(os.environb) == {b"LEFT": b"right", b"BYTES": b"\\xff", b"LC_CTYPE": b"C.UTF-8"}
              or dict(os.environb) == {b"LEFT": b"right", b"BYTES": b"\\xff"})
        print(os.getcwd())
        print(sorted(int(n) for n in os.listdir("/proc/self/fd"))[:-1])
        print(os.readlink("/proc/self/fd/0"))
        print(os.getpgrp() == os.getpid(), os.getsid(0) == os.getppid())
        with open("/proc/self/status") as file:
            sets = [line.split()[1] for line in file if line.startswith(("SigIgn", "SigBlk"))]
        print([f"{int(each, 16) & ~(3 << 31):016x}" for each in sets])
    """
    assert lived(house, code) == Ending(0)
    # Signals 32 and 33, left out above, are the C library's own; `make` ignores them.
    python_ignores = f"{1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1:016x}"  # its own doing
    assert house.output.decode().splitlines() == [
        "True", str(house.folder), "[0, 1, 2]", "/dev/null", "True True",
        f"['{'0' * 16}', '{python_ignores}']",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("argv", "cwd", "said"),
    [
        (["/nowhere/python"], "", "/nowhere/python: No such file or directory"),
        (["/etc/passwd"], "", "/etc/passwd: Permission denied"),
        ([sys.executable], "/nowhere", "/nowhere: No such file or directory"),
    ],
)
def test_what_cannot_be_started_is_said(
    house: Household, argv: list[str], cwd: str, said: str
) -> None:
    with pytest.raises(SupervisionError, match=said):
        asyncio.run(house.order(argv, cwd=cwd))


def test_a_folder_that_others_can_read_is_refused(house: Household) -> None:
    (house.folder / "private").mkdir(mode=0o755)
    with pytest.raises(SupervisionError, match="private: expected a private folder"):
        asyncio.run(house.start(""))


def test_the_folder_is_the_user_s_alone_and_stays_after_a_dismissal(house: Household) -> None:
    assert lived(house, "") == Ending(0)
    assert (house.folder / "private").stat().st_mode == 0o040700


def test_ignoring_the_signal_ends_in_sigkill(house: Household) -> None:
    async def live() -> Ending:
        ward = await house.start(
            "import signal, time; signal.signal(15, signal.SIG_IGN); print('x', flush=True)\n"
            "while True: time.sleep(1000)"
        )
        await house.said(b"x")
        ward.stop(signal.SIGTERM, 0.05)
        ending = await ward.wait()
        await ward.dismiss()
        return ending

    assert asyncio.run(live()) == Ending(-signal.SIGKILL)


def test_the_whole_group_hears_the_signal(house: Household) -> None:
    async def live() -> Ending:
        ward = await house.order(["/bin/sh", "-c", "trap '' TERM; sleep 1000; echo over; exit 4"])
        await asyncio.sleep(0)
        until(lambda: len(children_of(ward.pid)) == 1)
        ward.stop(signal.SIGTERM, 1000)
        await asyncio.sleep(0)
        # sleep inherits the trap's ignoring; a second, stronger one reaches it as well
        ward.stop(signal.SIGINT, 1000)
        ending = await ward.wait()
        await ward.dismiss()
        return ending

    assert asyncio.run(live()).status in (4, -signal.SIGINT)


FORKS_ON = """
    import os, sys, time
    print("x", flush=True)
    while True:  # every generation lives a moment, in a session of its own
        if os.fork():
            time.sleep(0.0005)
            os._exit(0)
        os.setsid()
"""


def test_who_forks_on_and_on_is_caught(house: Household) -> None:
    async def live() -> Ending:
        ward = await house.start(FORKS_ON)
        ending = await ward.wait()
        await ward.dismiss()
        return ending

    ending = asyncio.run(live())
    assert ending.status == 0
    assert ending.leftovers > 0


def test_a_lost_warden_takes_its_process_along(house: Household) -> None:
    async def live() -> Ending:
        ward = await house.start("import signal; print('x', flush=True); signal.pause()")
        await house.said(b"x")
        os.kill(ward.warden, signal.SIGKILL)
        ending = await ward.wait()
        await ward.dismiss()
        until(lambda: not os.path.exists(f"/proc/{ward.pid}"))
        return ending

    assert asyncio.run(live()) == Ending(-signal.SIGKILL, orphaned=True)


def test_a_terminated_warden_ends_its_process_well(house: Household) -> None:
    async def live() -> Ending:
        ward = await house.start("import signal; print('x', flush=True); signal.pause()")
        await house.said(b"x")
        os.kill(ward.warden, signal.SIGTERM)
        ending = await ward.wait()
        await ward.dismiss()
        return ending

    assert asyncio.run(live()) == Ending(-signal.SIGTERM)
    assert (house.folder / "private").exists()


FLOODS = """
    import os, signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.write(1, b"begun")
    while True: os.write(1, b"all work and no play\\n" * 3000)
"""


def test_an_unwritable_log_keeps_no_orphan_alive(house: Household) -> None:
    """The pipe and the disk are full, the warden has hardly a descriptor; it ends all the same."""
    (house.folder / "log").symlink_to("/dev/full")

    async def live() -> int:
        ward = await house.start(FLOODS, patience=0.1)
        await house.said(b"begun")
        resource.prlimit(ward.warden, resource.RLIMIT_NOFILE, (16, 16))
        house.die(ward)
        return ward.pid

    pid = asyncio.run(live())
    assert not os.path.exists(f"/proc/{pid}")
    assert not (house.folder / "private").exists()


def test_an_orphan_is_killed_also_when_no_file_can_be_opened(house: Household) -> None:
    async def live() -> int:
        ward = await house.start(FLOODS, patience=0.1)
        await house.said(b"begun")
        resource.prlimit(ward.warden, resource.RLIMIT_NOFILE, (3, 3))
        house.die(ward)
        return ward.pid

    assert not os.path.exists(f"/proc/{asyncio.run(live())}")


def test_of_the_last_words_of_an_orphan_so_much_is_kept(house: Household) -> None:
    much = warden.LAST_WORDS + (3 << 20)
    code = f"""
        import os, signal
        signal.signal(signal.SIGTERM, lambda *_: None)
        os.write(1, b"begun")
        signal.pause()
        left = {much}
        while left: left -= os.write(1, b"x" * min(left, 1 << 16))
    """

    async def live() -> None:
        ward = await house.start(code)
        await house.said(b"begun")
        house.die(ward)

    asyncio.run(live())
    log = (house.folder / "log").read_bytes()
    assert log[:-100].strip(b"x") == b""
    assert log.count(b"x") == warden.LAST_WORDS
    assert log.endswith(b"[isthmus: of what came last, %d bytes are missing]\n" % (3 << 20))


def test_last_words_that_were_lost_are_counted(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.symlink_to("/dev/full")
    words = warden.LastWords(str(log))
    before = len(os.listdir("/proc/self/fd"))
    words.write(b"12345")
    words.write(b"67890")
    assert len(os.listdir("/proc/self/fd")) <= before + 1
    words.close()
    assert len(os.listdir("/proc/self/fd")) == before
    words = warden.LastWords(str(tmp_path / "other"), room=7)
    words.write(b"12345")
    words.write(b"67890")
    words.close()
    kept = (tmp_path / "other").read_bytes()
    assert kept == b"1234567[isthmus: of what came last, 3 bytes are missing]\n"


def test_signals_that_are_blocked_where_we_start_are_not_for_a_process(house: Household) -> None:
    code = """
        with open("/proc/self/status") as file:
            print(*[line.split()[1] for line in file if line.startswith("SigBlk")])
    """
    old = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD, signal.SIGUSR1])
    try:
        assert lived(house, code) == Ending(0)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)
    assert house.output == b"0" * 16 + b"\n"


def test_no_descriptor_of_ours_is_left(house: Household) -> None:
    lived(house, "")
    before = sorted(os.listdir("/proc/self/fd"))
    lived(house, "")
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_all_output_comes_before_the_end(house: Household) -> None:
    assert lived(house, "import os; os.write(1, b'x' * 60000); os.write(2, b'y')") == Ending(0)
    assert house.output == b"x" * 60000 + b"y"


def test_a_slow_reader_misses_nothing_also_when_a_stranger_writes_on(house: Household) -> None:
    code = """
        import os, signal
        signal.signal(signal.SIGTERM, lambda *_: None)
        os.write(1, b"begun")
        signal.pause()
        left = 3 << 19
        while left: left -= os.write(1, b"x" * left)
        os.write(1, b"last")
    """
    over = threading.Event()

    def write_on(descriptor: int) -> None:
        while not over.is_set():
            os.write(descriptor, b"stranger" * 1000)

    async def live() -> None:
        ward = await house.start(code)
        await house.said(b"begun")
        house.pause = 0.2
        descriptor = os.open(f"/proc/{ward.pid}/fd/1", os.O_WRONLY)
        ward.stop(signal.SIGTERM, 1000)
        stranger = threading.Thread(target=write_on, args=(descriptor,))
        ended = asyncio.create_task(ward.wait())
        while not ward._over.done():
            await asyncio.sleep(0)
        stranger.start()
        assert await ended == Ending(0)
        over.set()
        house.pause = 0.0
        assert b"last" in house.output
        await ward.dismiss()
        ward._close_output()
        stranger.join()
        os.close(descriptor)

    asyncio.run(live())
    assert house.output.count(b"x") == 3 << 19


def test_a_stopped_warden_is_woken(house: Household) -> None:
    async def live() -> Ending:
        ward = await house.start("import signal; print('x', flush=True); signal.pause()")
        await house.said(b"x")
        os.kill(ward.warden, signal.SIGSTOP)
        ward.stop(signal.SIGTERM, 1000)
        ending = await ward.wait()
        os.kill(ward.warden, signal.SIGSTOP)
        await ward.dismiss()
        return ending

    assert asyncio.run(live()) == Ending(-signal.SIGTERM)


@pytest.mark.parametrize("when", ["kill", "dismiss"])
def test_a_stuck_warden_is_killed(
    house: Household, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isthmus.supervisor.ward.GRACE", 0.02)

    async def live() -> Ending:
        ward = await house.start("import signal; print('x', flush=True); signal.pause()")
        await house.said(b"x")
        if when == "dismiss":
            ward.stop(signal.SIGTERM, 1000)
            await ward.wait()
        monkeypatch.setattr("isthmus.supervisor.ward.signal.SIGCONT", 0)
        os.kill(ward.warden, signal.SIGSTOP)
        if when == "kill":
            ward.kill()
        ending = await ward.wait()
        await ward.dismiss()
        until(lambda: not os.path.exists(f"/proc/{ward.pid}"))
        return ending

    assert asyncio.run(live()) == (
        Ending(-signal.SIGKILL, orphaned=True) if when == "kill" else Ending(-signal.SIGTERM)
    )


def test_children_of_every_thread_are_ours_also_where_the_kernel_keeps_no_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with subprocess.Popen(["sleep", "1000"]) as one, ThreadPoolExecutor(1) as thread:
        other = thread.submit(subprocess.Popen, ["sleep", "1000"]).result()
        with other:
            listed = warden.own_children()
            assert {one.pid, other.pid} <= set(listed)
            real = os.listdir

            def without_list(place: str) -> list[str]:
                if place == "/proc/self/task":
                    raise FileNotFoundError(place)
                return real(place)

            monkeypatch.setattr(os, "listdir", without_list)
            assert sorted(warden.own_children()) == sorted(listed)
            monkeypatch.undo()
            warden.signal_children([one.pid], signal.SIGKILL)
            assert one.wait() == -signal.SIGKILL
            assert other.poll() is None
            other.kill()


def children_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
