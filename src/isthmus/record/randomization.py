"""What a run keeps of its randomization: the values in force, their hash, and where they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..provenance import first_difference, plain, randomization_hash

__all__ = ["randomization_facts", "randomization_summary", "run_hash"]


def randomization_facts(
    applied: Mapping[str, Any], drawn: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The facts of an episode that say what it ran with.

    Args:
        applied: the values in force, read back from the simulator.
        drawn: those that should be; None if nobody knows.

    Returns:
        JSON values: `randomization`, `rand_hash`, and with `drawn` `expected_rand_hash`; where the
        two are not the same also `rand_difference`, the first value that differs.

    Raises:
        ContractError: a value that cannot be hashed.
    """
    facts = {"randomization": plain(applied), "rand_hash": randomization_hash(applied)}
    if drawn is not None:
        facts["expected_rand_hash"] = randomization_hash(drawn)
        difference = first_difference(drawn, applied)
        if difference is not None:
            facts["rand_difference"] = difference.to_dict()
    return facts


def run_hash(episodes: Sequence[Mapping[str, Any]]) -> str | None:
    """One hash for a whole run: of its episodes' hashes, in their order.

    Args:
        episodes: the facts of each.

    Returns:
        The hash, or None unless every episode has one.
    """
    hashes = [facts.get("rand_hash") for facts in episodes]
    if not hashes or not all(isinstance(each, str) for each in hashes):
        return None
    return randomization_hash({"episodes": hashes})


def randomization_summary(episodes: Sequence[Mapping[str, Any]]) -> str:
    """In a few words, whether the values in force were the ones that were drawn."""
    known = [facts for facts in episodes if facts.get("rand_hash")]
    if not known:
        return "not recorded"
    samples = len({facts["rand_hash"] for facts in known})
    said = f"{samples} sample{'s' * (samples != 1)} in {_episodes(len(known))}"
    judged = [facts for facts in known if facts.get("expected_rand_hash")]
    if not judged:
        return said
    parted = [f for f in judged if f["expected_rand_hash"] != f["rand_hash"]]
    if not parted:
        return f"{said}, applied as drawn"
    keys = {str(facts.get("rand_difference", {}).get("key", "?")) for facts in parted}
    return f"{said}; not as drawn in {_episodes(len(parted))}: {', '.join(sorted(keys))}"


def _episodes(count: int) -> str:
    return f"{count} episode{'s' * (count != 1)}"
