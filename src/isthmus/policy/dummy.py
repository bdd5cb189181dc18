"""A policy that moves nothing, from a file of one line: for wiring a client up.

`{"type": "linear_dummy", "action_dim": 6}` answers six zeros to six joint positions. It brings a
contract of its own, unless one is given: `q` (N,) in rad as the observation, `delta` (N,) in rad as
the action, an answer every 40 ms. It never pads: an observation of another length is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import strictjson
from ..contract import ActionField, Contract, Field
from ..errors import PolicyLoadError
from .constant import ConstantPolicy
from .files import read_file

__all__ = ["CONTROL_DT_NS", "DummyPolicy", "dummy_contract", "load_dummy"]

TYPE = "linear_dummy"
CONTROL_DT_NS = 40_000_000
"""25 Hz, as the first gateway's clients asked."""

MAX_JOINTS = 4096

_MAX_BYTES = 65_536
_FORM = f'write {{"type": "{TYPE}", "action_dim": N}}'


class DummyPolicy(ConstantPolicy):
    """Answers zeros."""

    kind = "dummy_zero"

    def __init__(self, contract: Contract, *, name: str = "dummy") -> None:
        super().__init__(contract, None, name=name)


def dummy_contract(
    action_dim: int, *, joint_names: Sequence[str] = (), control_dt_ns: int = CONTROL_DT_NS
) -> Contract:
    """The contract of a dummy that is given none.

    Args:
        action_dim: how many joints there are.
        joint_names: their names, if they are known.
        control_dt_ns: time between two actions, ns.

    Raises:
        ContractError: the names are not as many as the joints.
    """
    shape, labels = (action_dim,), tuple(joint_names)
    return Contract(
        name=TYPE,
        observation=(Field("q", shape, "float32", "rad", labels),),
        action=(
            ActionField(
                "delta", shape, "float32", "rad", labels, semantics="delta",
                reference="measured", measured_position="q", fallback="zero",
            ),
        ),
        control_dt_ns=control_dt_ns,
    )  # fmt: skip


def load_dummy(
    path: Path,
    *,
    contract: Contract | None = None,
    joint_names: Sequence[str] = (),
    name: str | None = None,
) -> DummyPolicy:
    """Load a dummy.

    Args:
        path: the file.
        contract: what it answers for; None makes one.
        joint_names: of the contract that is made.
        name: a word for people; the default is the file's stem.

    Raises:
        PolicyLoadError: the file is no dummy, or its size is not the contract's.
    """
    size = _action_dim(path)
    if contract is None:
        if joint_names and len(joint_names) != size:
            raise PolicyLoadError(
                f"{path}: action_dim is {size}, and {len(joint_names)} joints are specified"
            )
        contract = dummy_contract(size, joint_names=joint_names)
    width = sum(field.width for field in contract.action)
    if width != size:
        raise PolicyLoadError(
            f"{path}: action_dim is {size}, and the contract's action has {width} numbers; "
            "nothing is padded or cut, so make them equal"
        )
    return DummyPolicy(contract, name=name or path.stem)


def _action_dim(path: Path) -> int:
    try:
        found: Any = strictjson.loads(read_file(path, _MAX_BYTES).decode("utf-8"))
    except ValueError as exc:
        raise PolicyLoadError(f"{path} is not valid JSON: {str(exc)[:200]}") from exc
    if not isinstance(found, dict) or found.get("type") != TYPE:
        came = f"type {found.get('type')!r:.60}" if isinstance(found, dict) else "no object"
        raise PolicyLoadError(
            f"{path}: expected the file of a dummy, got {came}; {_FORM}, or name the model itself "
            "if this is its manifest"
        )
    unknown = [key for key in found if key not in ("type", "action_dim")]
    if unknown:
        raise PolicyLoadError(f"{path}: unknown keys {', '.join(map(repr, unknown))}; {_FORM}")
    size = found.get("action_dim")
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= MAX_JOINTS:
        raise PolicyLoadError(
            f"{path}: expected action_dim from 1 to {MAX_JOINTS}, got {size!r:.60}; {_FORM}"
        )
    return size
