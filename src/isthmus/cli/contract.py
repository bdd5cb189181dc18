"""Write, show and compare contracts: what crosses between a simulator and a policy.

A contract is read from a JSON or TOML file, from a model's manifest, or from a model that has one
beside it.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from ..contract import Contract
from ..contract.contract import ACTUATORS
from ..contract.fields import FALLBACKS, REFERENCES, SEMANTICS
from ..contract.text import dumps
from ..errors import ContractError, MissingDependencyError
from ..policy.contract_file import read_bounded, read_contract

__all__ = ["configure", "run"]

# Gymnasium namespace -> the module that registers it.
_REGISTERED_BY = {"isthmus": "isthmus.sim.mujoco"}

# `value` needs numbers, which only a contract's file holds.
_FALLBACKS = tuple(word for word in FALLBACKS if word != "value")

# Key of a contract, as errors call it -> the option that sets it.
_SET_BY = {
    "control_dt": "--control-dt",
    "semantics": "--semantics",
    "fallback": "--fallback",
    "reference": "--reference",
    "measured_position": "--measured-position",
    "measured_velocity": "--measured-velocity",
    "units": "--unit",
    "labels": "--labels",
}


EPILOG = """\
exit status: 0 if it was done; of `diff` 0 if the two are the same, 1 if they differ; 2 if a file
cannot be read, or holds no contract.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands and their arguments."""
    parser.epilog = EPILOG
    commands = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, (add_arguments, work, help_) in _ACTIONS.items():
        command = commands.add_parser(name, help=help_, description=_paragraph(work))
        add_arguments(command)
        command.set_defaults(work=work)


def run(args: argparse.Namespace) -> int:
    """Do what was asked; 0 is done or the same, 1 is different."""
    return int(args.work(args))


def _from_gym(args: argparse.Namespace) -> int:
    """Write the contract of a Gymnasium environment.

    An environment that states its own contract is taken at its word. Any other is described by
    its spaces, which say nothing of what an action means: name at least a fallback.
    """
    try:
        gymnasium = import_module("gymnasium")
    except ModuleNotFoundError as exc:
        from ..policy.packages import how_to_install

        raise MissingDependencyError(
            f"from-gym needs Gymnasium: {how_to_install('gymnasium')}"
        ) from exc
    namespace = args.id.partition("/")[0]
    for module in (*args.imports, *filter(None, [_REGISTERED_BY.get(namespace)])):
        _import(module)
    try:
        env = gymnasium.make(args.id, disable_env_checker=True)
    except (gymnasium.error.Error, ModuleNotFoundError) as exc:
        raise ContractError(
            f"{args.id}: {exc}. Install what it needs, or register it with --import MODULE"
        ) from exc
    try:
        return _write(_gym_contract(args, env), args.output)
    finally:
        env.close()


def _gym_contract(args: argparse.Namespace, env: Any) -> Contract:
    from ..contract.gym import contract_from_spaces, offered_contract

    options = {
        name: _per_field(name, getattr(args, name))
        for name in ("semantics", "fallback", "reference", "measured_position", "measured_velocity")
        if getattr(args, name)
    }
    for name in ("units", "labels"):
        if getattr(args, name):
            options[name] = _by_field(name, getattr(args, name))
    _check_fallback(options.get("fallback", ""))
    offered = offered_contract(env)
    if offered is not None:
        if options or args.control_dt is not None:
            raise ContractError(
                f"{args.id} states its own contract; leave the options out, and edit the file"
            )
        return offered
    if "labels" in options:
        options["labels"] = {name: each.split(",") for name, each in options["labels"].items()}
    with _naming_options(_SET_BY):
        return contract_from_spaces(
            env.observation_space,
            env.action_space,
            name=args.id,
            control_dt=_control_dt(args, env),
            **options,
        )


@contextmanager
def _naming_options(keys: Collection[str]) -> Iterator[None]:
    """Let an error about a contract's keys name the options that set them."""
    try:
        yield
    except ContractError as exc:
        # An error that names an option already says what to do.
        text = str(exc)
        found = [_SET_BY[key] for key in keys if re.search(rf"\b{key}\b", text)]
        if not found or "--" in text:
            raise
        is_or_are = "the option is" if len(found) == 1 else "the options are"
        raise ContractError(f"{text}; {is_or_are} {', '.join(found)}{_words(text)}") from exc


def _words(text: str) -> str:
    """What an option can name of the fallbacks that an error lists, where that is less."""
    listed = re.search(r"one of ((?:\w+, )*\w+)", text)
    words = listed[1].split(", ") if listed else []
    offered = [word for word in words if word in _FALLBACKS]
    if not offered or offered == words:
        return ""
    return (
        f", which takes {', '.join(offered)} (`value` needs numbers, which only the contract's "
        "file holds)"
    )


def _check_fallback(given: Any) -> None:
    for word in given.values() if isinstance(given, dict) else filter(None, [given]):
        if word not in _FALLBACKS:
            why = "; write a `value` into the contract's file" if word == "value" else ""
            raise ContractError(f"--fallback {word}: expected one of {', '.join(_FALLBACKS)}{why}")


def _control_dt(args: argparse.Namespace, env: Any) -> float:
    if args.control_dt is not None:
        return float(args.control_dt)
    own = getattr(env.unwrapped, "dt", None)
    if isinstance(own, float):
        return own
    fps = env.metadata.get("render_fps")
    hint = (
        f" (it is drawn {fps} times a second, so perhaps {1 / fps:g})"
        if isinstance(fps, int) and fps > 0
        else ""
    )
    raise ContractError(
        f"{args.id} does not say the time between two actions: add --control-dt SECONDS{hint}"
    )


def _import(module: str) -> None:
    try:
        import_module(module)
    except ModuleNotFoundError as exc:
        raise MissingDependencyError(f"{module} cannot be imported: {exc}") from exc


def _per_field(what: str, given: Sequence[str]) -> Any:
    """One word for every action field, or FIELD=WORD for each."""
    return given[0] if len(given) == 1 and "=" not in given[0] else _by_field(what, given)


def _by_field(what: str, given: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in given:
        name, equals, word = each.partition("=")
        if not equals or name in found:
            raise ContractError(
                f"{_SET_BY[what]}: expected FIELD=VALUE once for each field, got {each!r}"
            )
        found[name] = word
    return found


def _from_urdf(args: argparse.Namespace) -> int:
    """Write the contract of a robot's URDF: its joints and their limits."""
    from ..contract.urdf import MAX_URDF, contract_from_urdf

    text = _decode(args.file, read_bounded(Path(args.file), MAX_URDF))
    try:
        with _naming_options(("control_dt", "semantics", "fallback", "reference")):
            contract = contract_from_urdf(
                text,
                control_dt=args.control_dt,
                semantics=args.semantics,
                reference=args.reference,
                fallback=args.fallback,
                actuator=args.actuator,
                name=args.name,
            )
    except ContractError as exc:
        raise ContractError(f"{args.file}: {exc}") from exc
    return _write(contract, args.output)


def _show(args: argparse.Namespace) -> int:
    """Show a contract and its two hashes."""
    from ..contract.summary import summary

    print(summary(read_contract(args.file)))
    return 0


def _diff(args: argparse.Namespace) -> int:
    """Show what two contracts disagree on; status 0 if nothing, 1 if something."""
    from ..contract.diff import diff

    ours, theirs = read_contract(args.a), read_contract(args.b)
    found = diff(ours, theirs, args.a, args.b, interface_only=args.interface)
    what = "the same interface" if args.interface else "the same contract"
    print(found or f"{what}: {ours.interface_hash}")
    return 1 if found else 0


def _schema(args: argparse.Namespace) -> int:
    """Write the JSON Schema of what crosses as JSON."""
    from ..contract.schema import schema_text

    return _output(schema_text(), args.output)


def _add_from_gym(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="as gymnasium.make takes it")
    parser.add_argument(
        "--import",
        dest="imports",
        action="append",
        default=[],
        metavar="MODULE",
        help="import this first, to register ID; repeatable",
    )
    parser.add_argument("--control-dt", type=float, metavar="SECONDS", help="between two actions")
    words = {
        "semantics": f"{', '.join(SEMANTICS)} (the default)",
        "fallback": f"{', '.join(_FALLBACKS)}",
        "reference": f"of a delta: {', '.join(REFERENCES)}",
        "measured-position": "the observation field that holds it",
        "measured-velocity": "the observation field that holds it",
    }
    for name, help_ in words.items():
        parser.add_argument(
            f"--{name}",
            action="append",
            default=[],
            metavar="[FIELD=]WORD",
            help=f"of every action field, or of one: {help_}",
        )
    parser.add_argument(
        "--unit", dest="units", action="append", default=[], metavar="FIELD=UNIT", help="repeatable"
    )
    parser.add_argument(
        "--labels",
        action="append",
        default=[],
        metavar="FIELD=A,B,C",
        help="names of the entries of the last axis; repeatable",
    )
    _add_output(parser)


def _add_from_urdf(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("file", metavar="FILE", help="the robot's URDF; xacro must have been expanded")
    add("--control-dt", type=float, required=True, metavar="SECONDS", help="between two actions")
    meanings = [word for word in SEMANTICS if word != "opaque"]
    add("--semantics", choices=meanings, default="delta",
        help="what an action's numbers mean; default delta")  # fmt: skip
    add("--reference", choices=REFERENCES, default="target",
        help="what a delta is added to; default target")  # fmt: skip
    add("--fallback", choices=_FALLBACKS, default="",
        help="what replaces an action that did not come; default as semantics")  # fmt: skip
    add("--actuator", choices=ACTUATORS, default="simulated",
        help="what carries actions out; default simulated")  # fmt: skip
    add("--name", default="", metavar="WORD", help="a word for people; default the URDF's")
    _add_output(parser)


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE|MODEL", help="a contract's file, or a model")


def _add_diff(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", metavar="A", help="a contract's file, or a model")
    parser.add_argument("b", metavar="B", help="another")
    parser.add_argument("--interface", action="store_true", help="leave out limits and fallbacks")


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", metavar="FILE", help="write here, not to the terminal")


Work = Callable[[argparse.Namespace], int]
_ACTIONS: dict[str, tuple[Callable[[argparse.ArgumentParser], None], Work, str]] = {
    "from-gym": (_add_from_gym, _from_gym, "describe a Gymnasium environment"),
    "from-urdf": (_add_from_urdf, _from_urdf, "describe a robot"),
    "show": (_add_show, _show, "show a contract and its hashes"),
    "diff": (_add_diff, _diff, "compare two contracts"),
    "schema": (_add_output, _schema, "write the JSON Schema of what crosses"),
}


def _write(contract: Contract, output: str | None) -> int:
    return _output(dumps(contract), output)


def _output(text: str, output: str | None) -> int:
    if output is None:
        sys.stdout.write(text)
        return 0
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as exc:
        raise ContractError(f"{output} cannot be written: {exc.strerror or exc}") from exc
    return 0


def _decode(path: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise ContractError(f"{path}: expected UTF-8 text: {exc.reason}") from exc


def _paragraph(work: Work) -> str:
    return " ".join((work.__doc__ or "").split())
