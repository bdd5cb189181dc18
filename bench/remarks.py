"""What the figures do not say by themselves: remarks for the page, by row."""

from __future__ import annotations

REMARKS: dict[str, str] = {
    "stages": (
        "Medians of `action.timing`, in microseconds. `encode`: checking and writing the "
        "observation; `wire`: both ways, with the waking of two processes; `queue`: reading and "
        "checking in the gateway; `infer`: the policy; `decode`: reading, limits, ladder. `total` "
        "is the call as it sees itself, without Python's way in and out."
    ),
}
