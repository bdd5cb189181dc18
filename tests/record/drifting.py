"""A made-up log of hash mismatches whose truth is known."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from isthmus.provenance import first_difference, randomization_hash

START = 1_795_406_400.0
"""2026-11-23 04:00:00 UTC."""

EPISODES = 40
EPISODE_S = 10.0
STEPS = 5
DRIFTS_FROM = 12
"""Episode from which the friction of joint 3 drifts in session b, by 1 % more in each."""


def drawn(episode: int) -> dict[str, Any]:
    """What should be in force."""
    return {"friction": [0.1, 0.2, 0.3, 0.4 + episode % 3 / 100], "delay": 1}


def applied(session: str, episode: int) -> dict[str, Any]:
    """What is: session b drifts, session c has another delay in episode 5, session a is right."""
    values = drawn(episode)
    if session == "b" and episode >= DRIFTS_FROM:
        values["friction"][3] *= 1 + (episode - DRIFTS_FROM + 1) / 100
    if session == "c" and episode == 5:
        values["delay"] = 2
    return values


def events() -> list[dict[str, Any]]:
    """The lines that a gateway writes, in the order of their times."""
    found = []
    for episode in range(EPISODES):
        for step in range(STEPS):
            for offset, session in enumerate("abc"):
                difference = first_difference(drawn(episode), applied(session, episode))
                if difference is None:
                    continue
                seq = episode * STEPS + step
                found.append(
                    {
                        "ts": START + episode * EPISODE_S + step + offset / 10,
                        "corr_id": f"{session}-{seq}",
                        "expected": randomization_hash(drawn(episode)),
                        "actual": randomization_hash(applied(session, episode)),
                        "session": session,
                        "obs_seq": seq,
                        "sim_time": step * 0.04,
                        **difference.to_dict(),
                    }
                )
    return found


def old_events() -> list[dict[str, Any]]:
    """Lines as the first system wrote them."""
    return [
        {"ts": START + at, "corr_id": f"old-{at}", "expected": "aaa", "actual": actual}
        for at, actual in ((0, "bbb"), (1, "bbb"), (2, "ccc"), (100, "bbb"))
    ]


def text(lines: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def write(path: Path, lines: Iterable[dict[str, Any]]) -> Path:
    path.write_bytes(text(lines))
    return path
