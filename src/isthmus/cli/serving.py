"""What stands around the engine of `isthmus serve`: made from the command line, and given back."""

from __future__ import annotations

import argparse

from isthmus.errors import Error, PolicyLoadError
from isthmus.gateway import Settings
from isthmus.policy import load
from isthmus.policy.base import Policy
from isthmus.policy.contract_file import read_contract

__all__ = ["load_policies", "models_of", "settings_of"]


def models_of(args: argparse.Namespace) -> list[str]:
    """The models of the command line, in either spelling."""
    return [*args.model, *([args.policy] if args.policy is not None else [])]


def may_load(args: argparse.Namespace) -> bool:
    """True if clients may load policies while it serves."""
    return args.policy_dir is not None or bool(args.allow_load_path)


def load_policies(args: argparse.Namespace) -> dict[str, Policy]:
    """Load every model, or none of them.

    Raises:
        Error: there is none, or one cannot be loaded.
    """
    models = models_of(args)
    if not models and not may_load(args):
        raise Error(
            "expected a MODEL to serve, got none; name one, or let clients load one with "
            "--policy-dir DIR"
        )
    contract = read_contract(args.contract) if args.contract else None
    providers = tuple(word for word in args.providers.split(",") if word)
    policies: dict[str, Policy] = {}
    try:
        for target in models:
            policy = load(target, contract=contract, providers=providers, threads=args.threads)
            if policy.name in policies:
                policy.close()
                raise PolicyLoadError(f"two models are called {policy.name!r}; rename one")
            policies[policy.name] = policy
    except Error:
        for policy in policies.values():
            policy.close()
        raise
    return policies


def settings_of(args: argparse.Namespace) -> Settings:
    """How the engine behaves."""
    return Settings(
        executor=args.executor,
        deterministic=args.deterministic,
        deadline_ns=int(args.deadline_ms * 1e6),
        max_sessions=args.max_sessions,
        max_rows=args.max_rows,
    )
