"""Putting files on the stage."""

from __future__ import annotations

from fake_kit import STAGE


def add_reference_to_stage(usd_path: str, prim_path: str, prim_type: str = "Xform") -> None:
    """Add the robot."""
    STAGE.reference(usd_path, prim_path)
