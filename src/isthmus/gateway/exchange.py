"""Another policy in the place of the one that is served, while sessions ask.

Nobody waits for it and no answer is lost. The new policy is warm before this begins, and everything
that can fail (room for every session's rows) is done before anything is changed. Sessions that wait
for an answer of the old policy get it, and move over before they are read again; the others move at
once. The old policy's worker ends after its last batch, and the old policy with it.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from ..contract import Contract
from ..errors import ContractError, PolicyLoadError
from ..policy.base import Policy
from ..policy.reception import DEADLINE_SHARE
from ..policy.step import StepArrays
from .desk import Desk
from .executor import Executor
from .loading import Loaded
from .plain import dress
from .register import Register
from .session import Session
from .settings import Settings
from .watch import Watch

__all__ = ["Exchange"]


@dataclass(frozen=True)
class _Old:
    """What was served before, until its worker is idle."""

    policy: Policy
    executor: Executor


class Exchange:
    """Replaces the one policy that is served.

    Attributes:
        moving: sessions that wait for an answer of an old policy -> their rows for the new one.
        old: policies that were replaced, and whose workers may have something to deliver.
    """

    def __init__(
        self,
        desk: Desk,
        register: Register,
        watch: Watch,
        *,
        collect: Callable[[Executor, int], None],
        settings: Settings,
    ) -> None:
        """Work on the engine's parts; `collect` is called when a worker has finished."""
        self.moving: dict[Session, StepArrays] = {}
        self._desk = desk
        self._register = register
        self._watch = watch
        self._collect = collect
        self._settings = settings
        self.old: list[_Old] = []
        self._loaded: Policy | None = None

    def check_one(self) -> None:
        """See that there is one policy to replace, or none yet.

        Raises:
            PolicyLoadError: there are several.
        """
        served = self._register.policies
        if len(served) > 1:
            raise PolicyLoadError(
                f"expected a gateway that serves one policy, got {', '.join(served)}: which one is "
                "meant cannot be said; serve them one by one"
            )

    def replace(self, new: Loaded, sessions: Iterable[Session], deadline_ns: int) -> None:
        """Serve this policy from now on. Called by the engine, when no question is in its hands.

        Args:
            new: the policy, warm.
            sessions: who is connected.
            deadline_ns: of clients that name none.

        Raises:
            PolicyLoadError: it does not fit who is connected; nothing has changed.
        """
        self.check_one()
        policy = new.policy
        admitted = [session for session in sessions if session.admitted]
        _check_speed(new, deadline_ns, "clients that name no deadline")
        for session in admitted:
            if not session.plain:
                _check_link(session, new)
        rows = {session: _rows(session, policy) for session in admitted}
        self._serve(new)
        for session, arrays in rows.items():
            if session.busy:
                self.moving[session] = arrays
            else:
                self.moving.pop(session, None)  # it has not been read since the exchange before
                self._dress(session, arrays)

    def finish(self, session: Session) -> None:
        """Move a session over that has its answer now."""
        self._dress(session, self.moving.pop(session))

    def forget(self, session: Session) -> None:
        """A session ended."""
        self.moving.pop(session, None)

    def close(self) -> None:
        """Give back what was loaded; the worker of an old policy that hangs is left behind."""
        for old in self.old:
            old.executor.close()
            old.policy.close()
        self.old = []
        if self._loaded is not None:
            self._loaded.close()

    def _serve(self, new: Loaded) -> None:
        try:
            kind, executor = self._desk.start(new.policy, new.infer_ns)
        except (OSError, RuntimeError) as exc:  # no descriptor, no thread
            raise PolicyLoadError(f"no worker can be started for it: {exc}") from exc
        bell = executor.descriptor()
        if bell is not None:
            self._watch.add(bell, select.EPOLLIN, partial(self._collect, executor))
        policies = list(self._register.policies.values())
        former = self._desk.replace(new.policy.name, kind, executor)
        self.old += [_Old(*each) for each in zip(policies, former, strict=True)]
        self._register.replace(new.policy, new.infer_ns)
        self._loaded = new.policy
        self.tidy()

    def tidy(self) -> None:
        """Give back old policies whose worker is idle."""
        for old in [each for each in self.old if each.executor.idle]:
            bell = old.executor.descriptor()
            if bell is not None:
                self._watch.remove(bell)
            old.executor.close()
            old.policy.close()
            self.old.remove(old)

    def _dress(self, session: Session, arrays: StepArrays) -> None:
        if session.plain:
            dress(session, arrays.policy, arrays, self._settings)
        else:
            session.policy, session.arrays = arrays.policy, arrays


def _rows(session: Session, policy: Policy) -> StepArrays:
    """A session's rows for another policy; what the old one remembered is forgotten.

    Raises:
        PolicyLoadError: there is no room for them.
    """
    count = 1 if session.arrays is None else session.arrays.num_envs
    try:
        return StepArrays(policy, count)
    except Exception as exc:
        raise PolicyLoadError(
            f"no room for the {count} rows of session {session.name}: {type(exc).__name__}: {exc}"
        ) from exc


def _check_speed(new: Loaded, deadline_ns: int, who: str) -> None:
    if new.infer_ns >= deadline_ns:
        raise PolicyLoadError(
            f"policy {new.policy.name!r} takes {new.infer_ns / 1e6:.2f} ms for one inference, and "
            f"the deadline of {who} is {deadline_ns / 1e6:.2f} ms: it could never answer in time. "
            "Allow a longer deadline, or export a faster model"
        )


def _check_link(session: Session, new: Loaded) -> None:
    """A link keeps the contract that it was welcomed with, so the new policy must fit that one."""
    hello, served = session.hello, session.policy
    if hello is None or served is None:
        return
    contract, fresh = served.contract, new.policy.contract
    if fresh.interface_hash != contract.interface_hash:
        raise PolicyLoadError(
            f"session {session.name} is connected with interface {contract.interface_hash[:16]}, "
            f"and policy {new.policy.name!r} has {fresh.interface_hash[:16]}; close the links "
            "first, or load a policy that was made for the same contract"
        )
    if _is_tighter(fresh, contract):
        raise PolicyLoadError(
            f"session {session.name} is connected with wider limits than policy "
            f"{new.policy.name!r} allows, and a link learns its limits when it connects; close "
            "the links first"
        )
    if hello.pacing == "realtime":
        deadline_ns = hello.deadline_ns or int(contract.control_dt_ns * DEADLINE_SHARE)
        _check_speed(new, deadline_ns, f"session {session.name}")


def _is_tighter(fresh: Contract, known: Contract) -> bool:
    """True if limits of `fresh` are missing from `known`, or lie inside those."""
    for name, limits in fresh.limits.items():
        before = known.limits.get(name)
        if before is None:
            return True
        try:
            if before.tighter(limits) != before:
                return True
        except ContractError:  # together they leave no room
            return True
    return False
