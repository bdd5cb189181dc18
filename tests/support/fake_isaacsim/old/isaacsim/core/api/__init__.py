"""`World`: a timeline and a scene."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fake_kit import STAGE


class Scene:
    """What `reset` initializes."""

    def __init__(self) -> None:
        self.objects: list[Any] = []

    def add(self, thing: Any) -> Any:
        """Remember it."""
        self.objects.append(thing)
        return thing


class World:
    """The part of it that the example uses."""

    def __init__(
        self,
        physics_dt: float | None = None,
        rendering_dt: float | None = None,
        stage_units_in_meters: float | None = None,
    ) -> None:
        STAGE.physics_dt, STAGE.rendering_dt = physics_dt or 1 / 60, rendering_dt or 1 / 60
        self.scene = Scene()
        self._callbacks: dict[str, Callable[[float], None]] = {}

    def reset(self, soft: bool = False) -> None:
        """Stop, play, and make the handles."""
        STAGE.stop()
        STAGE.play(callbacks_while_warming_up=True)
        for thing in self.scene.objects:
            thing.initialize()

    def step(self, render: bool = True, update_fabric: bool = False) -> None:
        """Simulate a frame, or one physics step without a frame."""
        if render:
            STAGE.update()
        elif STAGE.playing:
            STAGE.step()

    def add_physics_callback(
        self, callback_name: str, callback_fn: Callable[[float], None]
    ) -> None:
        """Call it before each physics step."""
        self._callbacks[callback_name] = callback_fn
        STAGE.callbacks = list(self._callbacks.values())

    def is_playing(self) -> bool:
        """Whether time passes."""
        return STAGE.playing

    def is_stopped(self) -> bool:
        """Whether Stop was pressed, or Play never."""
        return STAGE.stopped
