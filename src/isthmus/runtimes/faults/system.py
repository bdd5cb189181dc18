"""Known faults: sockets, shared memory and limits of the system; and isthmus' own refusals."""

# ruff: noqa: E501  what programs printed is quoted as it was

from __future__ import annotations

from .base import SYMPTOM, Fault

__all__ = ["SYSTEM_FAULTS"]

SYSTEM = "Sockets, shared memory, limits"
OURS = "What isthmus refuses"

SYSTEM_FAULTS = (
    Fault(
        id="socket-path-long",
        title="the path of a Unix socket is too long",
        patterns=(
            r"AF_UNIX path too long",
            r"AF_UNIX path length cannot exceed",
            r"the socket path in '(?P<what>[^'\n]*)' has \d+ bytes",
        ),
        causes="Linux takes at most 107 bytes. Deep project or temporary folders exceed it.",
        fix=(
            "In isthmus.toml write `unix:{sockets}/gateway.sock`: `{sockets}` is a short private "
            "folder.\n"
            "Elsewhere use a path under $XDG_RUNTIME_DIR or /tmp, or a relative one."
        ),
        example="""\
OSError: AF_UNIX path length cannot exceed 107 bytes: '/net/tdfcarhc/people/poebhkiwa/slurm_jobdir/1355700/tmp.t0016/ray/session_2025-04-16_17-26-47_592207_2944448/sockets/plasma_store'""",
        seen=("verl-project/verl#1120", "python/cpython#93852"),
        group=SYSTEM,
    ),
    Fault(
        id="no-memfd",
        title="this Python was built without memfd_create or eventfd",
        patterns=(
            r"module 'os' has no attribute '(?P<what>memfd_create|eventfd)'",
            r"this Python was built without (?P<what>eventfd)",
        ),
        causes=(
            "Portable builds of Python (uv's, conda's, Isaac Sim's) are compiled on an old Linux "
            "whose C library lacks them, though the kernel has both. isthmus makes shared memory "
            "by the system call then, and falls back to sockets where that fails too: slower, "
            "never wrong."
        ),
        fix=(
            "Nothing has to be done; `isthmus doctor` shows which way each runtime takes.\n"
            "For code of your own: use the distribution's Python, or a newer release of the "
            "portable one."
        ),
        example="""\
Traceback (most recent call last):
  File "<string>", line 1, in <module>
AttributeError: module 'os' has no attribute 'memfd_create'""",
        seen=("astral-sh/uv#15081",),
        group=SYSTEM,
    ),
    Fault(
        id="too-many-files",
        title="the limit of open files is reached",
        patterns=(r"\[Errno 24\] Too many open files", r"is the limit of open files reached\?"),
        causes=(
            "Each connection takes a descriptor, shared memory three more. The usual soft limit "
            "is 1024; Kit alone opens several hundred. It can also be a leak."
        ),
        fix=(
            "`ulimit -n 65536` in the shell that starts it; for good in /etc/security/limits.conf, "
            "or `LimitNOFILE=` of the systemd unit, or `--ulimit nofile=65536` of docker.\n"
            "Count them: `ls /proc/PID/fd | wc -l`; a number that only grows is a leak."
        ),
        example="OSError: [Errno 24] Too many open files: '/dev/null'",
        group=SYSTEM,
    ),
    Fault(
        id="address-in-use",
        title="another process listens there already",
        patterns=(
            r"Address already in use",
            r"'(?P<what>[^'\n]+)' is in use by (?:another process|a program)",
        ),
        causes="A gateway of an earlier run is still up, or two runs use one port or path.",
        fix=(
            "See what runs: `isthmus ps`, and end it: `isthmus down`. Others: `ss -ltnp`, "
            "`ss -lxp`.\n"
            "Use `tcp://127.0.0.1:0`, which takes a free port, or `unix:{sockets}/NAME.sock`, "
            "which is private to the run."
        ),
        example="""\
    b.bind(a.getsockname())
OSError: [Errno 98] Address already in use""",
        group=SYSTEM,
    ),
    Fault(
        id="nobody-listens",
        title="nobody listens at the address",
        patterns=(
            r"no gateway at (?P<what>\S{1,300}) after",
            r"ConnectionRefusedError: \[Errno 111\]",
        ),
        causes=(
            "The gateway was not started, has ended (its own log says why), listens elsewhere, or "
            "is not ready yet. Inside a container 127.0.0.1 is the container."
        ),
        fix=(
            "Start both sides as one: `isthmus up`; `depends_on` and `ready` make the simulator "
            "wait for the gateway.\n"
            "By hand: `isthmus serve MODEL --listen URL`, with the URL that `isthmus.connect` was "
            "given."
        ),
        example=(
            "isthmus.errors.ConnectError: no gateway at tcp://127.0.0.1:9 after 0.3 s: Connection "
            "refused. Start one with: isthmus serve MODEL --listen tcp://127.0.0.1:9"
        ),
        rank=SYMPTOM,
        group=SYSTEM,
    ),
    Fault(
        id="not-ready",
        title="a process of the run did not say that it was ready",
        patterns=(r"(?P<what>[\w.\-]{1,80}) was not ready within [\d.]+ s",),
        causes=(
            "`ready` of its `[process.NAME]` waits for a line, port, socket or page that did not "
            "come in `ready_timeout`: the program failed or hangs before it (its last words are "
            "below the message), says it in other words, or is slow on its first start. Kit takes "
            "minutes where its shader cache is cold."
        ),
        fix=(
            "Read its log: the run's folder has one for each process, `logs/NAME.log`.\n"
            "Compare `ready.line` with what it really prints; a Python program whose output is "
            'not a terminal keeps it back: `env = { PYTHONUNBUFFERED = "1" }`.\n'
            "Raise `ready_timeout` for a slow start."
        ),
        example="""\
isthmus | gateway was not ready within 1 s: no line has matched '^ready$'; its last words:
isthmus |     hello
isthmus | gateway was not ready within 1 s: no line has matched '^ready$'; stopping""",
        rank=SYMPTOM,
        group=SYSTEM,
    ),
    Fault(
        id="interface-mismatch",
        title="the two sides hold different contracts",
        patterns=(
            r"InterfaceMismatchError",
            r"the interfaces of .{1,200} differ:",
            r"the link's interface is \w+, that of policy",
            r"\binterface_mismatch\b",
        ),
        causes=(
            "The simulator's contract and the model's manifest describe different observations or "
            "actions: a field was added, renamed or reshaped, or an older model is served. The "
            "message lists every difference."
        ),
        fix=(
            "Compare: `isthmus contract diff CONTRACT MODEL`; `isthmus doctor` does it for "
            "`[contract]`.\n"
            "Retrain or export the model for this contract, or connect with the contract it was "
            "trained with (`contract=None` takes the gateway's)."
        ),
        example="""\
isthmus.errors.InterfaceMismatchError: the interfaces of the contract given (f9f484f41bc5) and reach (ed78747c5f40) differ:
  contract  control_dt: the contract given: 20000000 ns (50 Hz) | reach: 40000000 ns (25 Hz)
  contract  action_version: the contract given: 3 | reach: 2
what to change:
  - step at the rate the policy was trained at, or retrain it""",
        group=OURS,
    ),
    Fault(
        id="forbidden-import",
        title="one side imported what belongs to the other",
        patterns=(r"ForbiddenImportError",),
        causes=(
            "`forbid_import` of the runtime that the message names, or the guard's own list (omni, "
            "isaacsim, carb, pxr), says that the module belongs to the other side. Loading it here "
            "brings back the conflicts that two processes are there to avoid. The message has the "
            "chain of imports that led to it."
        ),
        fix=(
            "Move the import to the program of the other side, and send over the link what is "
            "needed of it.\n"
            "`isthmus guard check PATHS` finds all such imports, lazy ones too.\n"
            "If it is meant: take the name out of `forbid_import` of `[runtime.NAME]`."
        ),
        place=r"\((/[^()\n]{1,400}):\d+\)",
        example="""\
isthmus.errors.ForbiddenImportError: json.tool must not be imported in this process: forbid_import of [runtime.policy] in isthmus.toml forbids json.tool.
  prog.py (/home/user/project/prog.py:1)
  -> pk (/home/user/project/pk/__init__.py:1)
  -> pk.deep (/home/user/project/pk/deep.py:1)
  -> json.tool""",
        group=OURS,
    ),
    Fault(
        id="not-loopback",
        title="the gateway listens on this machine only",
        patterns=(r"(?P<what>tcp://[^\s/]{1,200}) is not loopback",),
        causes=(
            "There is no password on a gateway: whoever reaches it can move the robot. So it "
            "listens on loopback addresses alone."
        ),
        fix=(
            "Listen on `tcp://127.0.0.1:PORT` and reach it from the other machine by `ssh -L "
            "PORT:127.0.0.1:PORT HOST`."
        ),
        example=(
            "isthmus: tcp://0.0.0.0:5555 is not loopback: anyone on the network could move the "
            "robot. Listen on 127.0.0.1 and reach it through an SSH tunnel"
        ),
        group=OURS,
    ),
)
