"""`SimulationManager` and `SimulationEvent`."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from enum import Enum
from typing import Any

from fake_kit import STAGE


class SimulationEvent(Enum):
    """Those that the example knows."""

    PHYSICS_PRE_STEP = "isaacsim.simulation.physics_pre_step"
    PHYSICS_POST_STEP = "isaacsim.simulation.physics_post_step"


class SimulationManager:
    """Class methods only, as in the source."""

    @classmethod
    def setup_simulation(cls, dt: float | None = None, device: str | None = None) -> None:
        """Set the physics step."""
        STAGE.physics_dt = dt or STAGE.physics_dt

    @classmethod
    def step(cls, *, steps: int = 1, callback: Any = None, update_fabric: bool = False) -> None:
        """Simulate without drawing."""
        for _ in range(steps):
            STAGE.step()

    @classmethod
    def register_callback(
        cls, callback: Callable[..., Any], event: SimulationEvent, *, order: int = 0
    ) -> int:
        """Call it before each physics step, once there is a simulation view."""
        if event is not SimulationEvent.PHYSICS_PRE_STEP:
            raise ValueError(f"not in this stand-in: {event}")
        if hasattr(callback, "__self__"):
            proxy, name = weakref.proxy(callback.__self__), callback.__name__

            def call(dt: float) -> None:
                getattr(proxy, name)(dt, None)
        else:

            def call(dt: float) -> None:
                callback(dt, None)

        STAGE.callbacks.append(call)
        return len(STAGE.callbacks)
