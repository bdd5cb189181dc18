"""What clients ask of the gateway itself: load a policy, bring the reports up to date.

Both need a disk, so both are errands: the session that asked waits, and nobody else does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from functools import partial
from time import time_ns

from ..contract import Contract
from ..errors import Error, PolicyLoadError
from ..protocol.messages import Admin, AdminAck, Answer, ErrorAnswer, LoadPolicy, LoadPolicyAck
from ..telemetry import PolicyState
from .desk import Desk
from .errands import Errands
from .exchange import Exchange
from .housekeeping import Housekeeper
from .ledger import Ledger
from .loading import Loaded, Loader, Loads
from .register import Register
from .session import Session

__all__ = ["Requests"]

log = logging.getLogger("isthmus.gateway")

_NO_LOADER = (
    "this gateway loads no policy while it serves; start it with --policy-dir DIR, or with "
    "--allow-load-path"
)
_NO_REPORTS = {"flushed": False, "detail": "this gateway writes no reports; name --log-dir DIR"}


class Requests:
    """Answers them, at once or by an errand.

    Args:
        errands: runs what takes long.
        exchange: puts a policy in another's place.
        ledger: is told.
        register: knows the policies.
        desk: knows their executors.
        sessions: who is connected, live.
        deadline_ns: of clients that name none, for a contract.
        loader: loads policies that clients name; None refuses that.
        housekeeper: makes the reports; None if nobody does.
    """

    def __init__(
        self,
        errands: Errands,
        exchange: Exchange,
        ledger: Ledger,
        *,
        register: Register,
        desk: Desk,
        sessions: Collection[Session],
        deadline_ns: Callable[[Contract], int],
        loader: Loader | None,
        housekeeper: Housekeeper | None,
    ) -> None:
        self._errands = errands
        self._exchange = exchange
        self._ledger = ledger
        self._register = register
        self._desk = desk
        self._sessions = sessions
        self._deadline_ns = deadline_ns
        self._loader = loader
        self._housekeeper = housekeeper
        self._loads = Loads()

    def tell_policies(self) -> None:
        """Let the ledger know what is served now."""
        kinds = self._desk.kinds
        self._ledger.serving(
            [
                PolicyState(policy.name, policy.kind, policy.digest, kinds[name])
                for name, policy in self._register.policies.items()
            ]
        )

    def load_policy(self, session: Session, message: LoadPolicy) -> Answer | None:
        """Load what a client names; None = its question stays open until that is done."""
        loader = self._loader
        if loader is None:
            return self._load_failed(message, _NO_LOADER)

        busy = self._loads.busy()
        if busy:
            return self._load_failed(message, busy)

        def load() -> Callable[[], Answer]:
            try:
                with self._loads.begun(message.path):
                    loaded = loader.fetch(message.path, local=session.local)
            except Error as exc:
                return partial(self._load_failed, message, str(exc))
            return partial(self._serve_instead, message, loaded)

        self._loads.take()
        self._errands.run(session, load, "loads")
        return None

    def flush_metrics(self, session: Session, message: Admin) -> Answer | None:
        """Bring the reports up to date; None = its question stays open until that is done."""
        keeper = self._housekeeper
        if keeper is None:
            return AdminAck(message.op, _NO_REPORTS, wall_ns=time_ns(), corr_id=message.corr_id)

        def flush() -> Callable[[], Answer]:
            snapshot = keeper.flush(advise=False)
            done: Answer = AdminAck(message.op, wall_ns=snapshot.wall_ns, corr_id=message.corr_id)
            if failing := keeper.failing():
                done = ErrorAnswer("report_failed", "; ".join(failing), corr_id=message.corr_id)
            return lambda: done

        self._errands.run(session, flush, "reports")
        return None

    def _serve_instead(self, message: LoadPolicy, loaded: Loaded) -> Answer:
        """Serve what was loaded, or leave everything as it is."""
        policy = loaded.policy
        try:
            self._exchange.replace(loaded, self._sessions, self._deadline_ns(policy.contract))
        except PolicyLoadError as exc:
            policy.close()
            return self._load_failed(message, str(exc))
        log.info("policy %s (%s) answers from now on", policy.name, policy.kind)
        self.tell_policies()
        for session in self._sessions:
            self._ledger.changed(session)
        self._ledger.policy_loaded(message.path, policy.kind, policy.name, message.corr_id)
        return LoadPolicyAck(message.path, policy.kind, corr_id=message.corr_id)

    def _load_failed(self, message: LoadPolicy, why: str) -> Answer:
        log.warning("load_policy %.200r: %s", message.path, why)
        self._ledger.policy_load_failed(message.path, why, message.corr_id)
        return ErrorAnswer("load_failed", why, corr_id=message.corr_id)
