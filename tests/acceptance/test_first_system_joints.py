"""Joint specification: limits and rates that the gateway keeps, and joints that are missing."""

from __future__ import annotations

from typing import Any

import pytest

from ..support.bare import bare_model
from ..support.waiting import until
from .first_clients import Connection, observe
from .first_files import JOINTS, dummy, joint_spec, moody_policy
from .processes import NEVER, PATIENT, Gateway, Starter


@pytest.fixture(scope="module")
def limited(starter: Starter) -> Gateway:
    """A policy that adds 0.01 at every step, under the limits of a joint specification."""
    folder = starter.folder()
    return starter.serve(
        *moody_policy(folder), *PATIENT, "--joint-spec", joint_spec(folder),
        "--joint-spec-mismatch-cooldown", NEVER, "--metrics-interval", NEVER,
        folder=folder,
    )  # fmt: skip


def test_joint_spec_keeps_q_plus_delta_inside(limited: Gateway) -> None:
    data = limited.ask(observe(0.5, -1.5))["data"]
    assert data["delta"][0] == pytest.approx(0.01)
    data = limited.ask(observe(0.995, -1.5))["data"]
    assert data["delta"][0] == pytest.approx(0.005, abs=1e-6)
    assert data["joint_limit_clipped"] is True and 0 in data["clipped_joint_indices"]
    limited.flush()
    assert limited.metrics()["counters"]["joint_limit_violation"] >= 1


def test_joint_rates_are_kept(limited: Gateway) -> None:
    """0.1 rad/s is 0.004 rad in a period of 40 ms; the policy wants 0.01."""
    with Connection(limited.address) as connection:
        for step in range(5):
            data = connection.ask(observe(0.0, 0.0, sim_time=0.04 * step))["data"]
        assert data["delta"] == pytest.approx([0.01, 0.004], abs=1e-4)


def test_joint_spec_with_a_policy_file_of_the_operators(starter: Starter) -> None:
    folder = starter.folder()
    spec = joint_spec(folder, rates=False)
    gateway = starter.script(
        "--policy", dummy(folder, 2), "--joint-spec", spec, *PATIENT, folder=folder
    )
    data = gateway.ask(observe(1.01, -2.01))["data"]
    assert -1.0 <= 1.01 + data["delta"][0] <= 1.0
    assert -2.0 <= -2.01 + data["delta"][1] <= 2.0
    assert data["clipped_joint_indices"] == [0, 1]
    # From far outside it comes back step by step: an arm is never made to jump.
    q, steps = [1.5, -2.5], 0
    while not (-1.0 <= q[0] <= 1.0 and -2.0 <= q[1] <= 2.0):
        delta = gateway.ask(observe(*q))["data"]["delta"]
        assert all(abs(value) < 0.1 for value in delta) and delta[0] <= 0 <= delta[1]
        q, steps = [value + change for value, change in zip(q, delta, strict=True)], steps + 1
        assert steps < 100


def test_joint_spec_mismatch_is_counted_and_said_once_in_its_cooldown(limited: Gateway) -> None:
    for _ in range(3):
        limited.ask(observe(0.0, 0.0, 0.0))
    limited.event(type="joint_spec_mismatch")
    limited.flush()
    assert limited.metrics()["counters"]["joint_spec_mismatch"] == 3
    assert len(limited.events(type="joint_spec_mismatch")) == 1


def test_consecutive_empty_joint_states_are_warned_of(starter: Starter) -> None:
    folder = starter.folder()
    gateway = starter.script("--policy", dummy(folder), "--metrics-interval", "0.5", folder=folder)

    def warned() -> list[dict[str, Any]]:
        answer = gateway.ask({"type": "obs", "data": {"q": []}})
        assert answer["error"] == "schema_violation"
        return [e for e in gateway.lines() if e["phase"] != "recv" and "empty" in str(e)
                and e["phase"] in ("alert", "event", "advisory")]  # fmt: skip

    assert until(warned, "a warning of empty joint states")


def test_joint_names_that_cannot_be_checked_are_said(starter: Starter) -> None:
    """The contract names no joints: the order of the specification is taken."""
    folder = starter.folder()
    limited = starter.script(
        *moody_policy(folder), *PATIENT, "--joint-spec", joint_spec(folder), "--policy-dir", ".",
        folder=folder,
    )  # fmt: skip
    [line] = [line for line in limited.said if line.startswith("joint-spec: ")]
    names = ", ".join(JOINTS)
    assert line == f"joint-spec: policy moods:moody names no joints; order taken: {names}"
    assert limited.events(type="joint_order_assumed") == []
    bare_model(limited.folder / "another.onnx", inputs=2, outputs=2)
    answer = limited.ask({"type": "load_policy", "path": "another.onnx"})
    assert answer["type"] == "load_policy_ack", answer["detail"]
    event = limited.event(type="joint_order_assumed")
    assert (event["policy"], event["joints"]) == ("another", list(JOINTS))


def test_joint_names_that_fit_need_no_word(starter: Starter) -> None:
    folder = starter.folder()
    gateway = starter.script(
        "--policy", dummy(folder, 2), "--joint-spec", joint_spec(folder, rates=False), *PATIENT,
        folder=folder,
    )  # fmt: skip
    assert not [line for line in gateway.said if line.startswith("joint-spec: ")]
