"""The policies of `isthmus serve`: those to begin with, and how others are loaded meanwhile."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from isthmus.contract import Contract
from isthmus.contract.jointspec import JointSpec
from isthmus.contract.text import MAX_TEXT
from isthmus.errors import ContractError, Error, PolicyLoadError
from isthmus.gateway.loading import Loader
from isthmus.policy import load
from isthmus.policy.base import Policy
from isthmus.policy.contract_file import read_bounded, read_contract
from isthmus.policy.limited import limited

from .foreign import exported

__all__ = ["Models", "may_load", "models_of"]


def models_of(args: argparse.Namespace) -> list[str]:
    """The models of the command line, in either spelling."""
    return [*args.model, *([args.policy] if args.policy is not None else [])]


def may_load(args: argparse.Namespace) -> bool:
    """True if clients may load policies while it serves."""
    return args.policy_dir is not None or bool(args.allow_load_path)


class Models:
    """What the command line says of models, read once.

    Attributes:
        targets: models to begin with.
        spec: the joints' limits; None if there is no joint specification.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        """Read the contract and the joint specification.

        Raises:
            Error: there is nothing to serve, or a file cannot be used.
        """
        self.targets = models_of(args)
        if not self.targets and not may_load(args):
            raise Error(
                "expected a MODEL to serve, got none; name one, or let clients load one with "
                "--policy-dir DIR"
            )
        if args.policy_dir is not None and not Path(args.policy_dir).is_dir():
            raise Error(f"--policy-dir: expected a folder, got {args.policy_dir!r}")
        self.spec = _read_spec(args.joint_spec) if args.joint_spec else None
        self._contract = read_contract(args.contract) if args.contract else None
        self._providers = tuple(word for word in args.providers.split(",") if word)
        self._threads = args.threads
        self._folder = None if args.policy_dir is None else Path(args.policy_dir)
        self._allow_any = args.allow_load_path

    def load_all(self) -> dict[str, Policy]:
        """Load every model to begin with, or none of them.

        Raises:
            Error: one cannot be loaded, or two have one name.
        """
        policies: dict[str, Policy] = {}
        try:
            for target in self.targets:
                policy = self._load(target, self._contract)
                if policy.name in policies:
                    policy.close()
                    raise PolicyLoadError(f"two models are called {policy.name!r}; rename one")
                policies[policy.name] = policy
        except BaseException:
            for policy in policies.values():
                policy.close()
            raise
        return policies

    @property
    def loadable(self) -> str:
        """What clients may load, for people; "" if nothing."""
        if self._allow_any:
            return "any file"
        return "" if self._folder is None else f"files in {self._folder.absolute()}"

    def assumed_order(self, policy: Policy) -> Sequence[str]:
        """The joint specification's names, if they cannot be held against the policy's; else ()."""
        if self.spec is None or not self.spec.assumes_order(policy.contract):
            return ()
        return self.spec.names

    def loader(
        self,
        served: Callable[[], Contract | None],
        assumed: Callable[[Policy, Sequence[str]], None],
    ) -> Loader | None:
        """Loads what clients name; None if they may not.

        Args:
            served: the contract of the policy that is served now, if there is one; a foreign
                policy that does not say its own gets it, where it fits.
            assumed: is told of a policy, and of `assumed_order` where there is one; by any thread.
        """
        if self._folder is None and not self._allow_any:
            return None

        def load_file(path: Path) -> Policy:
            policy = fitting(path)
            if order := self.assumed_order(policy):
                assumed(policy, order)
            return policy

        def fitting(path: Path) -> Policy:
            if self._contract is None and (known := served()) is not None:
                try:
                    return self._load(str(path), None, foreign=known)
                except ContractError:
                    pass  # it does not fit, so that it has to say for itself what it takes
            return self._load(str(path), self._contract)

        return Loader(self._folder, self._allow_any, load_file)

    def _load(
        self, target: str, contract: Contract | None, *, foreign: Contract | None = None
    ) -> Policy:
        policy = load(
            exported(target, contract or foreign),
            contract=contract,
            providers=self._providers,
            threads=self._threads,
            joint_names=() if self.spec is None else self.spec.names,
        )
        return limited(policy, self.spec)


def _read_spec(path: str) -> JointSpec:
    try:
        return JointSpec.parse(read_bounded(Path(path), MAX_TEXT).decode("utf-8"))
    except (ContractError, UnicodeDecodeError) as exc:
        raise ContractError(f"--joint-spec {path}: {exc}") from exc
