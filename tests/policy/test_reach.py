"""The policy that comes with the project loads, and its twin gives the same answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from isthmus.policy import load

REACH = Path(__file__).resolve().parents[2] / "policies" / "reach.onnx"


def test_the_reaching_policy_and_its_twin(step):
    policy, twin = load(REACH), load(REACH.with_suffix(".npz"))
    assert (policy.kind, twin.kind) == ("onnx", "numpy")
    assert policy.contract == twin.contract
    bound = policy.contract.limits["delta"].max_rate
    for n in (1, 64):
        ours, its = step(policy, n)["action"]["delta"], step(twin, n)["action"]["delta"]
        np.testing.assert_allclose(ours, its, atol=1e-6)
        if bound is not None:
            assert (np.abs(ours) <= np.array(bound) * policy.contract.control_dt + 1e-6).all()
