"""Both ends of a link from the wheel: it serves and connects with numpy alone.

Also where Python was built without `os.memfd_create`, as older builds of uv's and conda's are.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from isthmus import ActionField, Contract, Field
from isthmus.contract.text import dumps
from isthmus.runtimes import Environment

Install = Callable[[Environment], Path]

pytestmark = [pytest.mark.packaging, pytest.mark.cross_python]

GATEWAY = """
import os, sys
if sys.argv[1] == "without":
    del os.memfd_create
from isthmus.cli.main import main
sys.exit(main(sys.argv[2:]))
"""

LINK = """
import json, os, sys
if sys.argv[1] == "without":
    del os.memfd_create
import isthmus
with isthmus.connect(sys.argv[2]) as link:
    link.reset(seed=1)
    action = link.act(q=[0.25, -0.25], sim_time=0.0, deadline=5.0)
    print(json.dumps([link.transport, action.status, action["speed"].tolist()]))
"""

JOINTS = ("a", "b")
SPEED = ActionField(
    "speed", (2,), "float32", "rad/s", JOINTS, semantics="velocity", fallback="zero"
)
CONTRACT = Contract(
    name="pair",
    observation=(Field("q", (2,), "float32", "rad", JOINTS),),
    action=(SPEED,),
    control_dt_ns=20_000_000,
)


@contextmanager
def gateway(python: Path, memfd: str, folder: Path) -> Iterator[str]:
    """Serve a constant policy until the block ends; the address."""
    contract = folder / "pair.json"
    contract.write_text(dumps(CONTRACT), encoding="utf-8")
    address = f"unix:{folder / 'isthmus.sock'}"
    serve = ["serve", "constant:0.5", "--contract", str(contract), "--listen", address]
    process = subprocess.Popen(
        [str(python), "-I", "-c", GATEWAY, memfd, *serve],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
    )
    assert process.stdout is not None
    try:
        said = iter(process.stdout.readline, "")
        assert "ready" in [line.strip() for line in _until_ready(said)]
        yield address
        process.terminate()
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _until_ready(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield line
        if line.strip() == "ready":
            return


@pytest.mark.parametrize("memfd", ["with", "without"])
def test_a_gateway_and_a_link_from_the_wheel(installed: Path, memfd: str, tmp_path: Path) -> None:
    with gateway(installed, memfd, tmp_path) as address:
        assert connect(installed, memfd, address) == ["shm", "policy", [0.5, 0.5]]


def test_the_oldest_and_the_newest_python_meet(
    install: Install, oldest_python: Environment, newest_python: Environment, tmp_path: Path
) -> None:
    with gateway(install(newest_python), "with", tmp_path) as address:
        assert connect(install(oldest_python), "with", address) == ["shm", "policy", [0.5, 0.5]]


def connect(python: Path, memfd: str, address: str) -> list[object]:
    """Take one step over a link of another Python; transport, status and action."""
    done = subprocess.run(
        [str(python), "-I", "-c", LINK, memfd, address],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: list[object] = json.loads(done.stdout)
    return answer
