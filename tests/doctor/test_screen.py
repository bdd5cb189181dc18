"""The screen: one line a runtime, grouped variables, and every finding with its fix."""

from __future__ import annotations

from dataclasses import replace

import pytest

from isthmus.doctor.kinds import KINDS, finding
from isthmus.doctor.report import Machine, Report, RuntimeFacts, Variable
from isthmus.doctor.screen import screen
from isthmus.runtimes.faults import FAULTS

MACHINE = Machine(True, True, True, "/run/user/1000", 1024, 524288)
SIM = RuntimeFacts(
    name="sim",
    python="/isaac/kit/python/bin/python3",
    version="3.11.13",
    numpy="1.26.0",
    kind="isaac",
    origin="Isaac Sim, by /isaac/python.sh",
    abilities={"memfd": "syscall", "eventfd": True, "pidfd": True},
    interface="ab" * 32,
    wire=1,
)
POLICY = replace(SIM, name="policy", version="3.12.1", abilities={"memfd": "", "eventfd": True})
HEALTHY = Report("/p/isthmus.toml", (SIM, POLICY), (), MACHINE, "ab" * 32, ())


def test_a_healthy_report() -> None:
    assert screen(HEALTHY).splitlines() == [
        "project  /p/isthmus.toml",
        "runtime  python   numpy   kind   shared memory    from",
        "sim      3.11.13  1.26.0  isaac  yes, by syscall  "
        "/isaac/kit/python/bin/python3 (Isaac Sim, by /isaac/python.sh)",
        "policy   3.12.1   1.26.0  isaac  no               "
        "/isaac/kit/python/bin/python3 (Isaac Sim, by /isaac/python.sh)",
        "",
        "interface  abababababababab, the same in sim, policy and the model, wire version 1",
        "",
        "machine  sealed memory yes, Unix sockets in /run/user/1000 yes, TCP on 127.0.0.1 yes, "
        "open files 1024",
        "",
        "No faults found.",
    ]


def test_interfaces_that_differ_are_shown_apart() -> None:
    other = replace(HEALTHY, runtimes=(SIM, replace(POLICY, interface="cd" * 32)))
    assert "interface  NOT the same, wire version 1" in screen(other)
    assert "  policy       cdcdcdcdcdcdcdcd" in screen(other)


def test_variables_of_one_program_are_one_entry() -> None:
    variables = tuple(
        Variable(name, value, "belongs to conda", "set by conda activate", f"unset {name}")
        for name, value in (("CONDA_PREFIX", "/opt/conda"), ("CONDA_SHLVL", "1"))
    )
    long = Variable("PYTHONPATH", "/x" * 100, "is another's", "set in bash", "unset PYTHONPATH")
    text = screen(replace(HEALTHY, variables=(*variables, long)))
    assert "  CONDA_PREFIX=/opt/conda (and CONDA_SHLVL)\n    belongs to conda\n" in text
    assert all(len(line) <= 110 for line in text.splitlines() if "PYTHONPATH" in line)


def test_faults_come_with_what_was_seen_and_what_to_do() -> None:
    found = finding("environment-stale", "runtime sim", ["there is none"])
    text = screen(replace(HEALTHY, findings=(found,)))
    assert "FAULT  runtime sim: the environment is not what its lock says" in text
    assert "isthmus run sim -- ..." in text
    assert "    there is none\n" in text
    assert text.count("isthmus doctor --fix") == 1


def test_what_was_done_is_said() -> None:
    assert "\ndid: built it\n" in screen(replace(HEALTHY, done=("built it",)))


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_says_what_to_do(name: str) -> None:
    found = finding(name, "shell", ["seen"], value="/opt/conda")
    assert found.title and found.breaks and found.fix
    assert "{value}" not in " ".join(found.fix)


def test_every_known_fault_is_a_kind() -> None:
    assert {row.id for row in FAULTS} <= set(KINDS)
