"""Runtimes: looked at before anything starts, in a thread that nobody waits for."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes.settings import (
    ContractSettings,
    Manifest,
    ProcessSettings,
    RuntimeSettings,
)
from isthmus.runtimes.state import StateFolder
from isthmus.supervisor.aside import Aside
from isthmus.supervisor.preparing import Launched, Preparing
from isthmus.supervisor.registry import strays

from ..support.waiting import until
from .project import Project

NAMES = "import os; print(os.environ['ISTHMUS_RUNTIME'], os.environ['ISTHMUS_PROCESS'])"


def test_what_was_examined_is_written_down(project: Project) -> None:
    project.runtime("mine", python=sys.executable, must_import=["json"])
    up = project.process("a", NAMES, runtime="mine").done()
    assert up.status == 0, up.output
    assert up.log("a") == "mine a\n"
    facts = up.facts["runtimes"]["mine"]
    assert facts["python"] == ".".join(map(str, sys.version_info[:3]))
    assert facts["packages"]["pytest"] == pytest.__version__


def test_a_runtime_that_cannot_be_used_shows_before_anything_starts(project: Project) -> None:
    project.runtime("mine", python=sys.executable, must_import=["no_such_module"])
    project.process("first", "print('running')")
    project.process("second", NAMES, runtime="mine", depends_on=["first"])
    up = project.done()
    assert up.status == 3
    assert "no_such_module" in up.output
    assert "running" not in up.output
    assert up.facts["why"].startswith("nothing was started: ")
    assert "no_such_module" in up.facts["why"]
    assert "no_such_module" in up.log("isthmus")
    assert "nothing was started\n" in up.output
    assert up.nothing_is_left()


def test_what_is_not_there_is_said_before_another_is_built(project: Project) -> None:
    project.runtime("made", python="3", requirements=["numpy"])
    project.runtime("absent", python="${NO_SUCH_ROOT}/python.sh")
    project.process("first", "print('running')", runtime="made")
    project.process("second", NAMES, runtime="absent")
    up = project.done()
    assert up.status == 3
    assert "NO_SUCH_ROOT" in up.output
    assert not (project.folder / ".isthmus" / "envs" / "made").exists()


def test_a_program_beside_its_folder_is_found_there(project: Project) -> None:
    place = project.folder / "tools"
    place.mkdir()
    (place / "tool").write_text("#!/bin/sh\necho found\n", encoding="utf-8")
    (place / "tool").chmod(0o755)
    project.runtime("mine", python=sys.executable)
    project.process("a", "", runtime="mine", cwd="tools")
    project.command("a", "./tool")
    up = project.done()
    assert up.status == 0, up.output
    assert "found" in up.output


def test_probes_carry_the_run_s_id_and_trouble_with_folders_is_ours(tmp_path: Path) -> None:
    """Where supervisor and all are killed, `isthmus down` finds a probe that hangs by it."""
    seen: list[tuple[str, dict[str, str]]] = []

    def prepare(runtime: Any, *_: object, extra: Mapping[str, str], cwd: Path) -> Launched:
        seen.append((runtime.name, dict(extra)))
        raise PermissionError(13, "Permission denied", "/project/.isthmus")

    runtimes = {name: RuntimeSettings(name, ("3",)) for name in ("made", "found")}
    runtimes["made"] = replace(runtimes["made"], requirements=("numpy",))
    toml = tmp_path / "isthmus.toml"
    manifest = Manifest(toml, tmp_path / "runs", runtimes, {}, {}, ContractSettings())
    state = StateFolder.beside(tmp_path)
    preparing = Preparing(manifest, state, {}, prepare, print)
    processes = [ProcessSettings(name, ("python",), runtime=name) for name in runtimes]
    values = {"run_id": "one", "run": "/runs/one"}
    with pytest.raises(EnvironmentSetupError, match=r"prepared: /project/\.isthmus: Perm"):
        asyncio.run(preparing.examine(processes, values))
    # The one that needs no building comes first.
    assert seen == [("found", {"ISTHMUS_RUN_ID": "one", "ISTHMUS_RUN_DIR": "/runs/one"})]


SLOW = """
import asyncio, os, subprocess, sys, time
from pathlib import Path
from isthmus.runtimes.plan import plan
from isthmus.runtimes.settings import ContractSettings, Manifest, ProcessSettings, RuntimeSettings
from isthmus.runtimes.state import StateFolder
from isthmus.supervisor.run import Run

def build(runtime, command, state, environ, say, *, extra, cwd):
    say("building for a long time")
    for _ in range(3):  # one tool after the other
        time.sleep(0.005)
        subprocess.run(["sleep", "1000"])

here = Path.cwd()
runtimes = {"mine": RuntimeSettings("mine", ("3",))}
processes = {"a": ProcessSettings("a", ("python",), runtime="mine")}
manifest = Manifest(
    here / "isthmus.toml", here / "runs", runtimes, processes, {}, ContractSettings()
)
run = Run(manifest, plan(manifest), StateFolder.beside(here), os.environ, build)
sys.exit(asyncio.run(run.supervise()))
"""


def test_a_long_build_does_not_hold_up_the_end(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={"ISTHMUS_RUN_ID": str(tmp_path)},  # so that what is left can be found
    )
    assert process.stderr is not None
    assert any("building for a long time" in line for line in process.stderr)
    process.terminate()
    said = process.stderr.read()
    assert process.wait(60) == 143, said
    process.stderr.close()
    assert strays(str(tmp_path)) == {}


def test_work_aside_gives_back_what_it_gives_or_raises() -> None:
    async def both() -> None:
        aside = Aside()
        assert not aside.busy
        assert await aside.run(threading.get_ident) != threading.get_ident()
        with pytest.raises(ZeroDivisionError):
            await aside.run(lambda: 1 // 0)

    asyncio.run(both())


def test_work_aside_may_end_when_nobody_waits_any_more() -> None:
    go_on, done = threading.Event(), threading.Event()

    def work() -> None:
        go_on.wait()
        done.set()

    aside = Aside()

    async def give_up() -> None:
        waiting = asyncio.ensure_future(aside.run(work))
        await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(give_up())
    assert aside.busy
    go_on.set()
    assert done.wait(30)
    until(lambda: not aside.busy)
