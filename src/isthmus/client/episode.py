"""What is in force in an episode, and what of its start the gateway has not been told yet."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ContractError, Error, ObservationError
from ..protocol.bounds import MAX_TEXT
from ..provenance import randomization_hash, sample_to_send

__all__ = ["Episode", "check_hash"]

Values = Mapping[str, Any]


class Episode:
    """The randomization in force, and the resets that travel with the next observation.

    Attributes:
        rand_hash: of the randomization as applied; "" if it is not known.
        expected_rand_hash: of the one that should be in force; "" if nobody said.
        untold: what the next observation says of resets; None if there was none.
    """

    def __init__(self) -> None:
        """Nothing is known, and nothing has begun."""
        self.rand_hash = self.expected_rand_hash = ""
        self.untold: dict[str, Any] | None = None

    def begin(
        self,
        rows: NDArray[np.bool_] | None,
        seed: int | None,
        randomization: Values | None,
        expected_randomization: Values | None,
        expected_rand_hash: str | None,
    ) -> None:
        """An episode starts; nothing changes if an argument is wrong.

        Args:
            rows: bool (num_envs,), the environments that start; None = all.
            seed: as handed to `Link.reset`, and so are
            randomization: the values as applied,
            expected_randomization: those that should be, and
            expected_rand_hash: their hash.

        Raises:
            ContractError: the seed is no 63-bit number, a value cannot be hashed, or the two
                ways to say what is expected contradict each other.
        """
        told: dict[str, Any] = {} if seed is None else {"seed": _seed(seed)}
        applied = _hash_of(randomization)
        expected = _expected(expected_randomization, expected_rand_hash)
        if randomization is not None:
            told["randomization"] = sample_to_send(randomization)
        if expected_randomization is not None and expected != applied:
            told["expected_randomization"] = sample_to_send(expected_randomization)
        if rows is None:
            self.rand_hash, self.expected_rand_hash = applied or "", expected or ""
        else:  # what nothing was said of is in force still
            self.rand_hash = self.rand_hash if applied is None else applied
            if expected is not None:
                self.expected_rand_hash = expected
        kept = _without_samples(self.untold) if rows is None else self.untold
        self.untold = {
            **_also_reset(kept, rows),
            **{name: value for name, value in told.items() if value is not None},
        }

    def told(self) -> None:
        """The gateway has taken it, or never will."""
        self.untold = None


def check_hash(name: str, text: object, error: type[Error] = ObservationError) -> None:
    """See that a hash can cross.

    Raises:
        Error: it is no printable text, or too long; of the class that was asked for.
    """
    if not isinstance(text, str) or len(text) > MAX_TEXT or not text.isprintable():
        raise error(
            f"{name}: expected printable text of at most {MAX_TEXT} characters, got "
            f"{type(text).__name__} {str(text)[:40]!r}"
        )


def _hash_of(values: Values | None) -> str | None:
    return None if values is None else randomization_hash(values)


def _expected(values: Values | None, given: str | None) -> str | None:
    """The hash that is expected; None if nothing was said."""
    if given is not None:
        check_hash("expected_rand_hash", given, ContractError)
    found = _hash_of(values)
    if found is not None and given is not None and found != given:
        raise ContractError(
            f"expected_randomization has the hash {found} and expected_rand_hash is {given!r:.80}; "
            "give one of the two, or two that agree"
        )
    return given if found is None else found


def _seed(seed: object) -> int:
    try:
        number = operator.index(seed)  # type: ignore[arg-type]
    except TypeError:
        number = -1
    if not 0 <= number < 1 << 63:
        raise ContractError(f"seed: expected a whole number from 0 to 2^63 - 1, got {seed!r:.60}")
    return number


def _also_reset(untold: dict[str, Any] | None, rows: NDArray[np.bool_] | None) -> dict[str, Any]:
    """Every environment reset since the last observation that arrived."""
    if untold is None:
        return {"mask": None if rows is None else rows.tolist()}
    before = untold["mask"]
    if rows is None or before is None:
        return {**untold, "mask": None}
    return {**untold, "mask": (rows | np.array(before)).tolist()}


def _without_samples(untold: dict[str, Any] | None) -> dict[str, Any] | None:
    """What remains to be told when everything begins anew: not what was in force before."""
    if untold is None:
        return None
    samples = ("randomization", "expected_randomization")
    return {name: value for name, value in untold.items() if name not in samples}
