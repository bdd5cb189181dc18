"""How many sessions and rows there is room for."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import RefusedError
from .session import Session
from .settings import Settings

__all__ = ["check_room"]


def check_room(num_envs: int, others: Iterable[Session], settings: Settings) -> None:
    """See that one more session fits in.

    Args:
        num_envs: rows that it wants.
        others: who has been admitted.
        settings: the limits.

    Raises:
        RefusedError: it does not.
    """
    rows = [1 if other.arrays is None else other.arrays.num_envs for other in others]
    if len(rows) >= settings.max_sessions:
        raise RefusedError(
            f"the gateway has {settings.max_sessions} sessions and takes no more",
            code="too_many_sessions",
            retryable=True,
        )
    limit = settings.max_rows
    if num_envs + sum(rows) > limit:
        raise RefusedError(
            f"num_envs is {num_envs} and the other sessions have {sum(rows)}: the gateway takes "
            f"{limit} in all. Ask for fewer, or serve with a larger --max-rows",
            code="too_large",
            retryable=num_envs <= limit,
        )
