"""Stand-ins for both sides of the demo: they keep its promises about pipes and signals, no more."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

EVENT = {
    "event": "ended",
    "state": "finished",
    "run": "runs/x",
    "metrics": {
        "steps": 60,
        "episodes": 1,
        "reached": 1,
        "misses": 0,
        "status": {"policy": 60},
        "latency_us": {"wire": {"p50": 90.0, "p95": 120.0, "p99": 150.0, "max": 200.0}},
    },
    "meta": {
        "transport": "shm",
        "deadline_ns": 32_000_000,
        "contract": {"control_dt_ns": 40_000_000},
        "interface_hash": "ab" * 32,
        "episodes": [{"success": True, "started_ns": 0, "ended_ns": 1}],
        "sim": {"python": "3.11.9", "packages": {}},
    },
}

HEAD = """#!{python}
import json, os, signal, sys, time
def option(name):
    return sys.argv[sys.argv.index(name) + 1]
def note(name, value):
    with open(os.path.join({folder!r}, name), "w") as file:
        file.write(str(value))
"""

PROBE = """
if sys.argv[1] == "-c":
    print('{"python": "3.12.1", "packages": {}}')
    sys.exit(0)
note("gateway", os.getpid())
note("environ", json.dumps(dict(os.environ)))
"""

READY = (
    PROBE
    + """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("listening", option("--listen"), flush=True)
print("ready", flush=True)
"""
)

GATEWAYS = {
    "good": READY + "time.sleep(1000)\n",
    "dies": READY + "sys.stderr.write('out of ideas\\n'); time.sleep(0.3); sys.exit(9)\n",
    "sulks": READY
    + "signal.signal(signal.SIGTERM, lambda *_: sys.exit('left in anger'))\ntime.sleep(1000)\n",
    "silent": PROBE + "sys.stderr.write('no words for it\\n'); os.close(1); time.sleep(1000)\n",
    "never": PROBE + "sys.stderr.write('no such model\\n'); sys.exit(4)\n",
    "stubborn": READY + "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)\n",
}

TELL = """
if sys.argv[1].endswith("report.py"):
    note("report", sys.argv[2])
    sys.exit(0)
def tell(**event):
    os.write(int(option("--status-fd")), json.dumps(event).encode() + b"\\n")
note("url", sys.argv[2])
tell(event="running", episodes=1, run="runs/x")
"""

NOTE = "note('sim', os.getpid())\n"

SIMS = {
    "good": TELL + NOTE + "tell(**{event!r})\n",
    "fails": TELL + NOTE + "tell(**{event!r}); sys.exit(7)\n",
    "short": TELL + NOTE + "pass\n",
    "endless": TELL
    + "signal.signal(signal.SIGINT, lambda *_: (note('saved', 1), sys.exit(130)))\n"
    + NOTE
    + "time.sleep(1000)\n",
}


def program(folder: Path, name: str, body: str, event: dict[str, object] | None = None) -> Path:
    """Write an executable program that runs in this Python."""
    head = HEAD.format(python=sys.executable, folder=str(folder))
    path = folder / name
    path.write_text(head + body.replace("{event!r}", repr(event or EVENT)))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path
