"""A warden owns one process of a run, and everything that comes from it. A program of its own.

    python -I -S warden.py RUN_ID PROCESS LOCK_FD OUTPUT_FD    (0: a socket to the supervisor)

Theory of operation. The kernel gives an orphan to its nearest ancestor that is a *subreaper*. The
warden is one, so whatever its child forks, double-forks or detaches comes back to it, and when the
warden has no children left (`waitpid` says so) nothing of that process is left. It signals only its
own children, and their groups: those cannot have been reaped by anyone else, so no process number
can have passed to a stranger. Killing a child makes its children ours; so killing, again and again,
reaches everyone, also those being forked meanwhile.

The warden leads a session of its own: neither a terminal's Ctrl-C nor a kill of the supervisor's
group reaches it. The end of its socket means that the supervisor is gone, however it went; then the
warden ends its child, writes the last words to the log itself (it has the pipe's other end too, so
that a child which saves its work is not ended by a broken pipe), removes the run's private folder,
and goes. From then on nobody else reads the pipe: the warden itself must not write into it.
Should the warden be killed itself, its child dies with it (PDEATHSIG) and the rest falls to the
supervisor, a subreaper too.

One JSON object a line. First comes what to start; then `{"stop": SIGNAL, "patience": SECONDS}`,
`{"kill": true}`, `{"dismiss": true}`. It says `{"started": PID}` or `{"failed": TEXT}`,
`{"ended": STATUS}` (negative: by that signal), `{"over": LEFTOVERS}` when nobody is left, and stays
until dismissed: as long as the run's folder is there, somebody is there to remove it.

Standard library only, and nothing of isthmus: it starts in a few milliseconds.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import select
import signal
import sys
from time import monotonic

TYPE_CHECKING = False  # that of `typing` would cost a quarter of a warden's start
if TYPE_CHECKING:
    from typing import Any

CONTROL = 0
PR_SET_PDEATHSIG, PR_SET_NAME, PR_SET_CHILD_SUBREAPER = 1, 15, 36

LEFTOVER_GRACE = 0.1
"""Seconds that what outlives the process has to end by itself; a pipeline's parts go one by one."""
LEFTOVER_PATIENCE = 1.0
"""Seconds that what a process left behind has between SIGTERM and SIGKILL."""
ORPHAN_PATIENCE = 5.0
"""Seconds, at most, that the process itself has when the supervisor is gone."""
SHORTEST_LOOK, LONGEST_LOOK = 0.005, 0.25
"""Seconds between two looks for newly orphaned children; no signal announces those."""
LAST_WORDS = 32 << 20
"""Bytes that are kept of what comes after the supervisor's end."""
_READ = 1 << 16
_LONGEST_REST = 1 << 20  # bytes that a pipe holds; whoever writes more at the end is a stranger

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""Sent to the warden itself, these end its process."""


def prctl(option: int, value: int | bytes) -> None:
    """Ask the kernel something about this process.

    Raises:
        OSError: it refused.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    argument = value if isinstance(value, bytes) else ctypes.c_ulong(value)
    zero = ctypes.c_ulong(0)
    if libc.prctl(option, argument, zero, zero, zero) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def own_children() -> list[int]:
    """List this process's children, ended ones that were not waited for among them."""
    children: list[int] = []
    try:
        for thread in os.listdir("/proc/self/task"):  # each has those that it started
            with open(f"/proc/self/task/{thread}/children", encoding="ascii") as file:
                children += map(int, file.read().split())
    except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN, or a thread that has ended
        return [other for other in _all_processes() if _parent_of(other) == os.getpid()]
    return children


def signal_children(children: list[int], *numbers: int) -> None:
    """Signal children and their process groups; a group is told at once, forks in flight too."""
    own = os.getpgrp()
    groups = set()
    for pid in children:
        try:
            group = os.getpgid(pid)
        except ProcessLookupError:  # somebody has just waited for it
            continue
        groups.add(-pid if group == own else group)
    for group in groups:
        for number in numbers:
            try:
                os.killpg(group, number) if group > 0 else os.kill(-group, number)
            except (ProcessLookupError, PermissionError):
                pass  # ended, or runs as another user: nobody may do more


def make_private(folder: str) -> None:
    """Make a folder that is the user's alone; a folder of another's making is refused.

    Raises:
        OSError: it cannot be made, or was there and is not ours.
    """
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        found = os.lstat(folder)
        if found.st_uid != os.geteuid() or found.st_mode != 0o040700:
            words = "expected a private folder of this user, found another"
            raise PermissionError(errno.EPERM, words, folder) from None


def remove_tree(folder: str) -> None:
    """Remove a folder as far as it can be; another warden may be at it too."""
    for place, folders, files in os.walk(folder, topdown=False):
        for name in files + folders:
            path = os.path.join(place, name)
            _try(os.rmdir if name in folders and not os.path.islink(path) else os.unlink, path)
    _try(os.rmdir, folder)


class LastWords:
    """Writes to the log what the supervisor can no longer read: so much of it, and never raises.

    Args:
        path: of the log.
        room: how many bytes are kept.
    """

    def __init__(self, path: str, room: int = LAST_WORDS) -> None:
        self.path = path
        self.room = room
        self.lost = 0
        self.file = -1

    def write(self, data: bytes) -> None:
        """Append to the log, or count what is lost."""
        kept = data[: self.room]
        self.room -= len(kept)
        self.lost += len(data) - len(kept)
        left = memoryview(kept)
        try:
            if left:
                self.open()
            while left:
                left = left[os.write(self.file, left) :]
        except OSError:  # a full disk; nobody is there to be told, and there may be room later
            self.lost += len(left)

    def close(self) -> None:
        """Note what is missing, and let go of the log."""
        try:
            if self.lost:
                self.open()
                note = b"[isthmus: of what came last, %d bytes are missing]\n"
                os.write(self.file, note % self.lost)
        except OSError:
            pass  # as above
        if self.file >= 0:
            os.close(self.file)
            self.file = -1

    def open(self) -> None:
        """Open the log, once.

        Raises:
            OSError: it cannot be written.
        """
        if self.file < 0:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self.file = os.open(self.path, flags, 0o666)


class Warden:
    """One process, from its start until nothing of it is left.

    Args:
        output: the end of the child's output pipe that is read.
    """

    def __init__(self, output: int) -> None:
        self.output = output
        self.last_words: LastWords | None = None
        self.order: dict[str, Any] = {}
        self.child = 0
        self.leftovers: set[int] = set()
        self.told: set[int] = set()
        self.spare_until = 0.0
        self.kill_at: float | None = None
        self.look = SHORTEST_LOOK
        self.supervised = True
        self.dismissed = False
        self.buffer = b""
        # Opened now: later there may be no descriptor to be had.
        self.nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        self.signals, self.wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> int:
        """Live a warden's life; the exit status."""
        signal.set_wakeup_fd(self.wakeup, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, *ENDING):
            if signal.getsignal(number) is not signal.SIG_IGN or number != signal.SIGHUP:
                signal.signal(number, lambda *_: None)
        # What is blocked where we were started would keep signals from us, and from the process.
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        while self.supervised and not self.order:
            self.wait(None)
        if self.supervised and self.start():
            while self.reap():
                self.act(monotonic())
                self.wait(self.patience(monotonic()))
            self.tell(over=len(self.leftovers))
        self.close_output()
        while self.supervised and not self.dismissed:
            self.wait(None)
        if not self.supervised and self.order:
            self.keep_rest()
            remove_tree(self.order["sockets"])
        return 0

    def start(self) -> bool:
        """Start the child; if that fails, say why."""
        try:
            make_private(self.order["sockets"])
            self.child = self.spawn()
        except OSError as error:
            self.tell(failed=f"{error.filename or self.order['executable']}: {error.strerror}")
            return False
        self.tell(started=self.child)
        return True

    def spawn(self) -> int:
        """Fork and exec.

        Raises:
            OSError: the program or its folder is missing or unusable.
        """
        told, tell = os.pipe2(os.O_CLOEXEC)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            become(self.order, parent, tell)
        os.close(tell)
        with open(told, "rb") as pipe:
            trouble = pipe.read()
        if trouble:
            os.waitpid(pid, 0)
            number, path = json.loads(trouble)
            raise OSError(number, os.strerror(number), path)
        return pid

    def reap(self) -> bool:
        """Wait for whoever has ended; False once nobody is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            self.told.discard(pid)
            if pid == self.child:
                self.child = 0
                now = monotonic()
                self.spare_until = now + LEFTOVER_GRACE
                self.kill_by(now + LEFTOVER_GRACE + LEFTOVER_PATIENCE)
                self.tell(ended=os.waitstatus_to_exitcode(status))

    def act(self, now: float) -> None:
        """Send the signals that are due."""
        late = self.kill_at is not None and now >= self.kill_at
        if not late and (self.child or now < self.spare_until):
            return
        try:
            children = own_children()
        except OSError:  # there is no descriptor to be had; the next look may find one
            children = [self.child] if self.child else []
        if not self.child:
            self.leftovers.update(children)
        if late:
            signal_children(children, signal.SIGKILL)
        else:
            new = [pid for pid in children if pid not in self.told]
            signal_children(new, signal.SIGTERM, signal.SIGCONT)
            self.told.update(new)

    def stop(self, number: int, patience: float) -> None:
        """Ask the child to end, and see to it that it does."""
        self.kill_by(monotonic() + patience)
        if self.child:
            # A stopped process hears of its end only when it is continued.
            signal_children([self.child], number, signal.SIGCONT)

    def kill_by(self, moment: float) -> None:
        """Give whoever is left until then, or until an earlier moment set before."""
        self.kill_at = moment if self.kill_at is None else min(self.kill_at, moment)

    def patience(self, now: float) -> float | None:
        """Seconds until there is something to do again; None if only others can tell."""
        if self.child and self.kill_at is None:
            return None
        if self.child and self.kill_at is not None and self.kill_at > now:
            return self.kill_at - now
        self.look = min(self.look * 1.5, LONGEST_LOOK)
        return self.look

    def wait(self, timeout: float | None) -> None:
        """Wait for an order, a signal or the time; take note of what came."""
        poller = select.poll()
        poller.register(self.signals, select.POLLIN)
        if self.supervised:
            poller.register(CONTROL, select.POLLIN)
        elif self.output >= 0:
            poller.register(self.output, select.POLLIN)
        for descriptor, _ in poller.poll(None if timeout is None else timeout * 1000):
            if descriptor == CONTROL:
                self.listen()
            elif descriptor == self.output:
                self.keep_output()
            elif any(number in ENDING for number in os.read(self.signals, 512)):
                self.end_child()

    def listen(self) -> None:
        """Read orders; the end of the socket is the end of the supervisor."""
        try:
            data = os.read(CONTROL, 1 << 16)
        except ConnectionError:
            data = b""
        if not data:
            self.abandon()
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        for line in lines:
            self.obey(json.loads(line))

    def obey(self, order: dict[str, Any]) -> None:
        """Carry out one order."""
        if "argv" in order:
            self.order = order
        elif "stop" in order:
            self.stop(order["stop"], order["patience"])
        elif "kill" in order:
            self.stop(signal.SIGKILL, 0.0)
        elif "dismiss" in order:
            self.dismissed = True

    def abandon(self) -> None:
        """Nobody will tell us any more: end what we own."""
        self.supervised = False
        self.close_output()
        self.end_child()

    def end_child(self) -> None:
        """Ask the child to end, as its settings say, and soon."""
        if self.order:
            self.stop(self.order["signal"], min(self.order["patience"], ORPHAN_PATIENCE))

    def tell(self, **event: object) -> None:
        """Tell the supervisor."""
        try:
            os.write(CONTROL, json.dumps(event).encode() + b"\n")
        except OSError:
            self.abandon()

    def keep_output(self) -> int:
        """Write to the log some of what the supervisor can no longer read; how many bytes."""
        try:
            data = os.read(self.output, _READ)
        except BlockingIOError:
            return 0
        if not data:
            os.close(self.output)
            self.output = -1
        if self.last_words is None:
            self.last_words = LastWords(self.order["log"])
        self.last_words.write(data)
        return len(data)

    def keep_rest(self) -> None:
        """Write to the log what is left in the pipe when everybody has ended."""
        rest = 0
        while self.output >= 0 and rest < _LONGEST_REST and (kept := self.keep_output()):
            rest += kept
        if self.last_words is not None:
            self.last_words.close()

    def close_output(self) -> None:
        """Let go of the pipe: whoever reads it is to see its end, and we write nothing into it."""
        os.dup2(self.nowhere, 1)
        os.dup2(self.nowhere, 2)


def become(order: dict[str, Any], parent: int, tell: int) -> None:
    """In the forked child: turn into the program, or say why not. Does not return."""
    path = order["cwd"]
    try:
        os.setpgid(0, 0)
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(127)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ, *ENDING):
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        os.dup2(nothing, 0)
        os.chdir(path)
        path = order["executable"]
        os.execve(path, order["argv"], order["environ"])
    except OSError as error:
        os.write(tell, json.dumps([error.errno, path]).encode())
    finally:
        os._exit(127)


def main(argv: list[str]) -> int:
    """Set the stage, and begin."""
    lock, output = map(int, argv[3:5])
    os.set_inheritable(lock, False)  # only held: as long as it is, the run counts as alive
    os.set_inheritable(output, False)
    os.set_blocking(output, False)  # as the supervisor would, who may be gone already
    prctl(PR_SET_NAME, b"isthmus-warden")
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    return Warden(output).run()


def _all_processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _parent_of(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except OSError:  # it has ended
        return 0


def _try(remove: Any, path: str) -> None:
    try:
        remove(path)
    except OSError:
        pass  # gone already, or not empty yet: another warden comes after us


if __name__ == "__main__":
    sys.exit(main(sys.argv))
