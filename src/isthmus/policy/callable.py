"""A policy written in Python: code the operator names on the command line.

The name of a factory never comes from the network or from a manifest.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
import traceback
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np

from ..contract import ActionField, Contract
from ..errors import InferenceError, PolicyLoadError
from .base import Array, ArrayMap, Policy
from .suggestions import suggest_function, suggest_module

__all__ = ["CallablePolicy", "load_callable"]

# Tracebacks go to this log alone: a peer is told what was raised, never where.
_LOG = logging.getLogger("isthmus.policy")

Function = Callable[[dict[str, Array]], Any]

_MEMBERS: tuple[str, ...] = (
    "name",
    "kind",
    "digest",
    "contract",
    "initial_state",
    "infer",
    "close",
)


class CallablePolicy:
    """A function from observations to actions, checked on every call.

    Args:
        function: takes a dict of arrays (n, *shape), answers a mapping with exactly the
            contract's action fields, (n, *shape) each; floats of any width are cast to the
            field's, other dtypes must be the field's own.
        contract: what it answers for.
        name: a word for people.
        digest: SHA-256 as 64 hex digits, of whatever stands for the function's code.
    """

    kind = "callable"

    def __init__(
        self, function: Function, contract: Contract, *, name: str = "callable", digest: str = ""
    ) -> None:
        self.name = name
        self.contract = contract
        self.digest = digest or hashlib.sha256(name.encode()).hexdigest()
        self._function = function
        self._traced = False

    def initial_state(self, num_envs: int) -> dict[str, Array]:
        """Stateless: always empty."""
        return {}

    def infer(
        self, observation: ArrayMap, action: ArrayMap, state: ArrayMap, next_state: ArrayMap
    ) -> None:
        """Call the function, check what it answered, and copy it into `action`.

        Raises:
            InferenceError: it raised, or its answer does not fit the contract.
        """
        try:
            answer: Any = self._function(dict(observation))
        except Exception as exc:
            self._trace()
            raise InferenceError(
                f"policy {self.name!r} raised {type(exc).__name__}: {exc}"
            ) from exc
        fields = self.contract.action
        names = [field.name for field in fields]
        if not isinstance(answer, Mapping) or set(answer) != set(names):
            came = (
                sorted(map(str, answer)) if isinstance(answer, Mapping) else type(answer).__name__
            )
            raise InferenceError(
                f"policy {self.name!r} must answer a dict with the fields {names}, got {came}"
            )
        for field in fields:
            self._write(field, answer[field.name], action[field.name])

    def close(self) -> None:
        """Nothing to give back."""

    def _trace(self) -> None:
        """Log where it raised, the first time: a policy that fails at all fails at every step."""
        if not self._traced:
            self._traced = True
            _LOG.error("policy %r raised; what follows is said once", self.name, exc_info=True)

    def _write(self, field: ActionField, value: Any, out: Array) -> None:
        try:
            array = np.asarray(value)
        except (TypeError, ValueError) as exc:
            raise InferenceError(
                f"policy {self.name!r}: {field.name!r} is no array: {exc}"
            ) from exc
        if array.shape != out.shape:
            raise InferenceError(
                f"policy {self.name!r}: action {field.name!r} must be {out.shape} "
                f"(rows, then the field's shape), got {array.shape}"
            )
        same = array.dtype == out.dtype
        if not same and not (array.dtype.kind == "f" and out.dtype.kind == "f"):
            raise InferenceError(
                f"policy {self.name!r}: action {field.name!r} must be {field.dtype}, "
                f"got {array.dtype}; convert it in the policy"
            )
        with np.errstate(over="ignore"):
            out[...] = array


def load_callable(
    target: str, *, contract: Contract | None = None, name: str | None = None
) -> Policy:
    """Import `pkg.mod:factory`, call it, and make a policy of what it returns.

    Args:
        target: module and attribute; the attribute is called without arguments and returns
            either an object that satisfies `Policy`, or a function from a dict of observation
            arrays to a dict of action arrays.
        contract: for a plain function; one with an attribute `contract` brings its own.
        name: a word for people.

    Raises:
        PolicyLoadError: it cannot be imported, raised, or returned something else.
    """
    made = _make(target)
    missing = [member for member in _MEMBERS if not hasattr(made, member)]
    if not missing:
        return cast(Policy, made)
    if not callable(made):
        raise PolicyLoadError(
            f"{target} returned {type(made).__name__}, which is neither a function nor a policy "
            f"(a policy also has {', '.join(missing)})"
        )
    own = getattr(made, "contract", contract)
    if not isinstance(own, Contract):
        raise PolicyLoadError(
            f"{target} returned a plain function and nobody said for which contract; give one "
            "(--contract FILE, or contract=...) or set the function's attribute `contract`"
        )
    return CallablePolicy(made, own, name=name or target, digest=_digest(target, made, own))


def _make(target: str) -> Any:
    module_name, _, attribute = target.partition(":")
    found = _import(target, module_name)
    try:
        for part in attribute.split("."):
            found = getattr(found, part)
    except AttributeError as exc:
        why = f"{target}: {exc}; {suggest_function(found, part, module_name)}"
        raise PolicyLoadError(why) from exc
    if not callable(found):
        raise PolicyLoadError(f"{target} is a {type(found).__name__}; expected a function")
    try:
        return found()
    except Exception as exc:
        _LOG.error("%s raised; it came from\n%s", target, _way_of(exc))
        why = f"{target} raised {type(exc).__name__}: {exc}"
        if exc.__traceback__ is not None and exc.__traceback__.tb_next is None:
            # Raised by the call itself, not by a line of the factory's.
            why += (
                "; a factory takes no arguments and returns a policy, or a function from "
                "observations to actions"
            )
        raise PolicyLoadError(why) from exc


def _way_of(exc: Exception) -> str:
    """Its traceback up to the line that says what it is, which the error that follows says."""
    lines = traceback.format_exception(type(exc), exc, exc.__traceback__)
    # Notes, which Python 3.11 brought, come after that line: then all of it is shown.
    return "".join(lines if getattr(exc, "__notes__", ()) else lines[:-1]).rstrip()


def _import(target: str, module_name: str) -> Any:
    try:
        return import_module(module_name)
    except Exception as exc:
        what = f"{target} cannot be imported: {type(exc).__name__}: {exc}"
        if isinstance(exc, ModuleNotFoundError) and _leads_to(exc.name, module_name):
            raise PolicyLoadError(f"{what}; {suggest_module(target)}") from exc
        # The fault is inside a module that was found: its own words say where.
        _LOG.error("%s cannot be imported", target, exc_info=True)
        raise PolicyLoadError(what) from exc


def _leads_to(missing: str | None, module_name: str) -> bool:
    """Whether the missing module is the one asked for, or a package it is in."""
    return missing is not None and f"{module_name}.".startswith(f"{missing}.")


def _digest(target: str, function: Any, contract: Contract) -> str:
    """Over the name, the interface and, where it can be found, the source file."""
    found = hashlib.sha256(f"callable {target} {contract.interface_hash}\n".encode())
    try:
        source = inspect.getsourcefile(function)
    except TypeError:
        source = None  # An object with __call__, or a builtin: its name has to do.
    if source is not None and Path(source).is_file():
        found.update(Path(source).read_bytes())
    return found.hexdigest()
