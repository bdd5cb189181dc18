"""Contracts to test with, and both ways the gate computes."""

from __future__ import annotations

from typing import Any

import pytest

from isthmus.contract import ActionField, Contract, Field, Limits
from isthmus.safety import limiter


class Contracts:
    """Builds contracts with one action field `a` and its measured pose `q`."""

    T = 40_000_000

    def one(
        self,
        semantics: str = "position",
        joints: int = 3,
        limits: Limits | None = None,
        dtype: str = "float32",
        actuator: str = "simulated",
        posed: bool = True,
        **options: Any,
    ) -> Contract:
        if semantics == "opaque":
            options.setdefault("fallback", "zero")
        if posed and semantics in ("position", "delta", "velocity"):
            options.setdefault("measured_position", "q")
        return Contract(
            name="test",
            observation=(Field("q", (joints,), "float32", "rad"),),
            action=(ActionField("a", (joints,), dtype, semantics=semantics, **options),),
            control_dt_ns=self.T,
            actuator=actuator,
            limits={} if limits is None else {"a": limits},
        )

    def box(self, joints: int = 3, **bounds: float) -> Limits:
        return Limits(**{name: (value,) * joints for name, value in bounds.items()})


@pytest.fixture(scope="session")
def contracts() -> Contracts:
    return Contracts()


@pytest.fixture(params=["loop", "array"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test by the loop and by numpy, whatever the size."""
    monkeypatch.setattr(limiter, "LOOP_MAX", 10**9 if request.param == "loop" else 0)
    return str(request.param)
