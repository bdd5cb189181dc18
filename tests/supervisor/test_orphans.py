"""What a killed warden leaves is ended; what another thread of ours has started is its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

# A process of its own: it becomes the one to whom the kernel gives orphans.
PROGRAM = """
import asyncio, os, signal, subprocess, sys, threading
from isthmus.supervisor.orphans import adopt_orphans, end_orphans
from isthmus.supervisor.warden import own_children

adopt_orphans()
started, statuses = threading.Event(), []
probe = []

def examine():
    probe.append(subprocess.Popen(["sleep", "1000"], start_new_session=True))
    started.set()
    if os.waitid(os.P_PID, probe[0].pid, os.WEXITED | os.WNOWAIT):  # as asking.py does
        os.killpg(probe[0].pid, signal.SIGKILL)  # its number is still its own
        statuses.append(probe[0].wait())

thread = threading.Thread(target=examine)
thread.start()
started.wait()
# A detached process whose parent is killed, as a warden may be.
parent = subprocess.Popen(["sh", "-c", "setsid sleep 1000 & echo $!; wait"], stdout=subprocess.PIPE)
orphan = int(parent.stdout.readline())
while os.getsid(orphan) != orphan:
    pass
parent.kill()
parent.wait()
while orphan not in own_children():
    pass
asyncio.run(end_orphans(()))
print("orphan", os.path.exists(f"/proc/{orphan}"), "probe", probe[0].poll())
if "tools" in sys.argv:
    asyncio.run(end_orphans((), tools=True))
else:
    probe[0].kill()
thread.join()
print("statuses", statuses, own_children())
"""


@pytest.mark.parametrize("how", ["tools", "itself"])
def test_a_probe_of_another_thread_is_left_to_its_owner(how: str) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROGRAM, how], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["orphan False probe None", "statuses [-9] []"]
