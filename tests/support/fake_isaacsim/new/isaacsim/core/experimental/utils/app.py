"""The timeline."""

from __future__ import annotations

from fake_kit import STAGE


def play(*, commit: bool | None = True) -> None:
    """Start."""
    STAGE.play(callbacks_while_warming_up=False)


def is_playing() -> bool:
    """Whether time passes."""
    return STAGE.playing


def is_stopped() -> bool:
    """Whether Stop was pressed, or Play never."""
    return STAGE.stopped
