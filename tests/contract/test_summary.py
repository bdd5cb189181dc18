"""A contract as a table for people."""

from __future__ import annotations

import numpy as np

from isthmus import ActionField, Contract, Field, Limits
from isthmus.contract.summary import summary


def test_a_continuous_joint_is_unbounded() -> None:
    largest = float(np.finfo(np.float32).max)
    field = ActionField("v", (2,), "float32", "rad/s", semantics="velocity")
    limits = Limits(low=(-largest, -1.0), high=(largest, 1.0))
    contract = Contract(
        "wheel", (Field("q", (2,), "float32"),), (field,), 1_000_000, limits={"v": limits}
    )
    rows = [line.split() for line in summary(contract).splitlines()]
    assert ["0", "unbounded", "unbounded"] in rows
    assert ["1", "-1", "1"] in rows
