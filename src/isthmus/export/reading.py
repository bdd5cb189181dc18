"""What kind of file it is, found out by its content, and the policy in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from ..errors import PolicyLoadError
from .archive import Archive, is_archive
from .network import Normalise, relative_difference, worse
from .normalise import read_vecnormalize
from .onnx import source_of_onnx
from .program import check_code, is_torchscript
from .sb3 import is_sb3, read_sb3
from .source import Source
from .tensors import read_state_dict

__all__ = ["Reading", "read_source"]

Array = NDArray[Any]

AS_TORCHSCRIPT = (
    "save the policy as TorchScript where it was trained: "
    "torch.jit.script(policy.eval()).save(PATH)"
)


@dataclass(frozen=True)
class Reading:
    """How a file is read.

    Attributes:
        activation: what its hidden layers compute; "" takes the file's word.
        vecnormalize: how messages call the statistics.
        statistics: the pickle VecNormalize saved, or None.
        raw: its observations come scaled already.
        width: numbers of its input, where somebody said so.
        trusted: its own code may run.
    """

    activation: str = ""
    vecnormalize: str = ""
    statistics: bytes | None = None
    raw: bool = False
    width: int | None = None
    trusted: bool = False


def read_source(data: bytes, source: str, reading: Reading) -> Source:
    """Read a policy.

    Args:
        data: the file.
        source: how messages call it.
        reading: how.

    Raises:
        PolicyLoadError: it cannot be read without running it; the message says what can be done.
        MissingDependencyError: it is TorchScript, or trusted, and torch is absent.
    """
    if source.endswith(".onnx"):  # its bytes have no mark
        return _onnx(data, source, reading)
    if not is_archive(data):
        if reading.trusted:
            return _module(data, source, reading)
        raise PolicyLoadError(
            f"{source} is no zip archive, which Stable-Baselines3's files and TorchScript's are. "
            f"Another pickle is not opened, since that can run code: {AS_TORCHSCRIPT}"
        )
    archive = Archive(data, source)
    if is_sb3(archive):
        return _sb3(archive, data, source, reading)
    _refuse_statistics(source, reading)
    if is_torchscript(archive):
        from .torchscript import load_script, source_of_module

        if not reading.trusted:
            check_code(archive, source)
        module = load_script(data, source, trusted=reading.trusted)
        return source_of_module(module, source, {"format": "torchscript"}, width=reading.width)
    _refuse_state_dict(data, source, reading)
    return _module(data, source, reading)


def _onnx(data: bytes, source: str, reading: Reading) -> Source:
    if reading.statistics is not None:
        raise PolicyLoadError(
            f"{source}: nothing says whether its graph has the statistics {reading.vecnormalize} "
            "already. If it has, `isthmus export` without --vecnormalize writes its manifest; if "
            "not, write them into one under `normalisation`, as docs/POLICIES.md shows"
        )
    _refuse_statistics(source, reading)
    return source_of_onnx(data, source, width=reading.width)


def _sb3(archive: Archive, data: bytes, source: str, reading: Reading) -> Source:
    normalise: Normalise | None = None
    if reading.statistics is not None:
        normalise = read_vecnormalize(reading.statistics, reading.vecnormalize)
    try:
        found = read_sb3(
            archive,
            source,
            normalise=normalise,
            activation=reading.activation,
            raw=reading.raw or reading.statistics is not None,
        )
    except PolicyLoadError:
        if not reading.trusted:
            raise
        from .trusted import source_of_original

        return source_of_original(data, source, normalise)
    if not reading.trusted:
        return found
    from .trusted import original_answers

    answers = original_answers(data, source, str(found.facts["algorithm"]), normalise)
    return replace(
        found,
        difference=_both(found.difference, answers),
        facts={**found.facts, "compared_with_original": True},
    )


def _both(
    difference: Callable[[Array, Array], float], original: Callable[[Array], Array]
) -> Callable[[Array, Array], float]:
    """The larger of two differences: from the network that was rebuilt, and from the original."""
    return lambda x, y: worse(difference(x, y), relative_difference(original(x), y))


def _refuse_statistics(source: str, reading: Reading) -> None:
    if reading.statistics is not None or reading.activation:
        raise PolicyLoadError(
            f"{source} is no archive of Stable-Baselines3; statistics of VecNormalize and an "
            "activation go with those only"
        )


def _refuse_state_dict(data: bytes, source: str, reading: Reading) -> None:
    """A state dict has weights and no architecture, and none is invented here."""
    try:
        tensors = read_state_dict(data, source)
    except PolicyLoadError as exc:
        if reading.trusted:
            return
        raise PolicyLoadError(f"{exc}. If it is a policy of yours, {AS_TORCHSCRIPT}") from exc
    shown = ", ".join(
        f"{ascii(name)[1:-1]} {array.shape}" for name, array in list(tensors.items())[:4]
    )
    raise PolicyLoadError(
        f"{source} is a state dict: tensors ({shown[:200]}, ...) without the network they belong "
        f"to, and none is guessed. Load it into its network, and {AS_TORCHSCRIPT}"
    )


def _module(data: bytes, source: str, reading: Reading) -> Source:
    from .torchscript import load_module, source_of_module

    facts = {"format": "torch module", "trusted": True}
    return source_of_module(load_module(data, source), source, facts, width=reading.width)
