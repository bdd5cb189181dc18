"""Both hashes are golden: a change here orphans every model ever exported."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from isthmus.contract import ActionField, Contract, Field, Limits
from isthmus.runtimes import Interpreter, find_interpreters, newest_of_each_minor

Make = Callable[..., Contract]

# Labels outside ASCII and outside the basic plane, values with no short decimal form.
DOCUMENT: dict[str, Any] = {
    "contract_version": 1,
    "name": "golden",
    "robot_id": "arm-1",
    "actuator": "real",
    "autoreset_mode": "disabled",
    "control_dt_ns": 33_333_333,
    "obs_version": 3,
    "action_version": 2,
    "horizon": 1,
    "observation": [
        {
            "name": "q",
            "shape": [2],
            "dtype": "float32",
            "unit": "rad",
            "labels": ["팔꿈치", "Ellbögen\U0001f9be"],
        },
        {
            "name": "observation.images.top",
            "shape": [224, 224, 3],
            "dtype": "uint8",
            "unit": "",
            "labels": [],
        },
    ],
    "action": [
        {
            "name": "delta",
            "shape": [2],
            "dtype": "float32",
            "unit": "rad",
            "labels": ["팔꿈치", "Ellbögen\U0001f9be"],
            "semantics": "delta",
            "reference": "measured",
            "measured_position": "q",
            "measured_velocity": "",
            "fallback": "hold",
            "fallback_value": [],
        },
        {
            "name": "mode",
            "shape": [],
            "dtype": "int64",
            "unit": "",
            "labels": [],
            "semantics": "opaque",
            "reference": "target",
            "measured_position": "",
            "measured_velocity": "",
            "fallback": "value",
            "fallback_value": [2.0],
        },
    ],
    "limits": {
        "delta": {
            "low": [-1.5707963267948966, 0.1],
            "high": [1.5707963267948966, 1e300 / 1e299],
            "max_rate": [3.14, 1 / 3],
        },
        "mode": {"low": [0], "high": [4]},
    },
}
INTERFACE_HASH = "48e9e165a88bb6d5af332b4a2a21cb716d0a3f38db12e16bbd833daa25a74c3f"
LIMITS_HASH = "f1e19939a323e7965fd7f800eee9a40545101f1231ea588d3aad0ebc6f851914"

PROGRAM = """
import json, sys
from isthmus.contract import Contract
from isthmus.contract.text import dumps, loads
contract = Contract.from_dict(json.load(sys.stdin))
assert loads(dumps(contract)) == contract
assert "numpy" not in sys.modules
print(contract.interface_hash, contract.limits_hash)
"""


def test_the_golden_hashes() -> None:
    contract = Contract.from_dict(DOCUMENT)
    assert contract.interface_hash == INTERFACE_HASH
    assert contract.limits_hash == LIMITS_HASH


def test_the_interface_hash_is_what_the_design_says() -> None:
    """Recomputed from the document alone, as another language would."""
    fields = ("name", "shape", "dtype", "unit", "labels")
    meaning = ("semantics", "reference", "measured_position", "measured_velocity")
    versions = ("control_dt_ns", "obs_version", "action_version", "horizon")
    interface = {
        "observation": [{key: f[key] for key in fields} for f in DOCUMENT["observation"]],
        "action": [{key: f[key] for key in fields + meaning} for f in DOCUMENT["action"]],
        **{key: DOCUMENT[key] for key in versions},
    }
    interface["action"][1]["reference"] = ""  # of a delta only
    text = json.dumps(interface, sort_keys=True, separators=(",", ":"))
    assert text.isascii()
    assert hashlib.sha256(text.encode()).hexdigest() == INTERFACE_HASH


@pytest.fixture(scope="module")
def interpreters() -> list[Interpreter]:
    """One Python of each version found on this machine, with whatever packages it has."""
    return newest_of_each_minor(find_interpreters())


@pytest.mark.cross_python
def test_every_python_computes_the_same_hashes_without_numpy(
    interpreters: list[Interpreter],
) -> None:
    source = Path(__file__).resolve().parents[2] / "src"
    assert interpreters
    for interpreter in interpreters:
        answer = subprocess.run(
            [interpreter.path, "-S", "-c", PROGRAM],
            input=json.dumps(DOCUMENT),
            env={**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert answer.returncode == 0, f"{interpreter}: {answer.stderr}"
        assert answer.stdout.split() == [INTERFACE_HASH, LIMITS_HASH], str(interpreter)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"robot_id": "arm-2"},
        {"actuator": "real"},
        {"limits": {}},
        {"limits": {"delta": Limits(max_rate=(1.0, 1.0, 1.0))}},
        {"autoreset_mode": "same_step"},
    ],
)
def test_the_robots_own_facts_leave_the_interface_hash_alone(
    arm: Make, change: dict[str, Any]
) -> None:
    assert arm(**change).interface_hash == arm().interface_hash


@pytest.mark.parametrize(
    "change",
    [
        {"control_dt_ns": 40_000_001},
        {"obs_version": 2},
        {"action_version": 1},
        {"observation": (Field("q", (3,), "float32", "rad"), Field("dq", (3,), "float32"))},
    ],
)
def test_the_interface_changes_its_hash_alone(arm: Make, change: dict[str, Any]) -> None:
    assert arm(**change).interface_hash != arm().interface_hash
    assert arm(**change).limits_hash == arm().limits_hash


@pytest.mark.parametrize(
    "change",
    [
        {"actuator": "real"},
        {"limits": {}},
        {"limits": {"delta": Limits(max_rate=(4.0, 3.5, 3.0 + 1e-15))}},
    ],
)
def test_the_robots_side_changes_the_limits_hash(arm: Make, change: dict[str, Any]) -> None:
    assert arm(**change).limits_hash != arm().limits_hash


def test_the_fallback_is_the_robots_side(arm: Make) -> None:
    other = arm(action=(replace(arm().action[0], fallback="hold"),))
    assert other.interface_hash == arm().interface_hash
    assert other.limits_hash != arm().limits_hash


def test_equal_limits_hash_alike_however_they_are_written(arm: Make) -> None:
    ours = arm(limits={"delta": Limits(low=(0, 0, 0), high=(1, 1, 1))})
    theirs = arm(limits={"delta": Limits(low=(-0.0, 0.0, 0.0), high=(1.0, 1.0, 1.0))})
    assert ours.limits_hash == theirs.limits_hash
    assert arm(limits={}).limits_hash == arm(limits={"delta": Limits()}).limits_hash


def test_where_the_reference_means_nothing_it_is_not_hashed() -> None:
    def make(reference: str) -> Contract:
        field = ActionField("a", (), "float32", semantics="torque", reference=reference)
        return Contract("n", (Field("q", (), "float32"),), (field,), 1)

    assert make("target").interface_hash == make("measured").interface_hash


def test_this_python_is_one_of_those_found(interpreters: list[Interpreter]) -> None:
    assert sys.version_info[:2] in [found.version[:2] for found in interpreters]
