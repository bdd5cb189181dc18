"""`isthmus COMMAND`: one table of commands, each loaded only when it is asked for.

A command is a module with two functions: `configure(parser)` adds its arguments, `run(args)` does
the work and returns the exit status. So `isthmus --help` loads no policy, and a machine without
ONNX Runtime can still use every command that does not need it.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Protocol, cast

from isthmus import __version__
from isthmus.errors import Error

EXIT_ERROR = 2  # as argparse: the command could not be carried out as given
EXIT_INTERRUPTED = 128 + signal.SIGINT
EXIT_UNREAD = 128 + signal.SIGPIPE

STATUSES = """\
exit status, unless a command's own help says more: 0 if it was done; 2 if the command line is wrong
or it could not be done, and one line says why; 130 after Ctrl-C; 141 if whoever read the output
left before its end (`| head`)."""


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the command table.

    Attributes:
        module: where `configure` and `run` are.
        help: one line, for `isthmus --help`.
    """

    module: str
    help: str


@dataclass(frozen=True, slots=True)
class Variant:
    """A command under another program's name, with defaults of its own.

    Attributes:
        prog: the name.
        description: what its `--help` begins with.
        defaults: an argument's name among the parsed ones -> what holds where it is not given.
        help: likewise -> its help, where the command's own would not be true.
    """

    prog: str
    description: str
    defaults: Mapping[str, str | int] = field(default_factory=dict)
    help: Mapping[str, str] = field(default_factory=dict)

    def apply(self, parser: argparse.ArgumentParser) -> None:
        """Make a command's parser this program's."""
        parser.prog, parser.description = self.prog, self.description
        for action in parser._actions:
            if action.dest in self.defaults:
                action.default = self.defaults[action.dest]
                told = (action.help or "").partition("; default ")[0]
                action.help = f"{told}; default {action.default}"
            action.help = self.help.get(action.dest, action.help)


COMMANDS: dict[str, Command] = {
    "init": Command("isthmus.cli.init", "write a commented isthmus.toml for this machine"),
    "run": Command("isthmus.cli.run", "run a program in one of the project's runtimes"),
    "up": Command("isthmus.cli.up", "start and supervise the processes of a run"),
    "ps": Command("isthmus.cli.ps", "show the runs that are up, and their processes"),
    "down": Command("isthmus.cli.down", "end a run that is up"),
    "logs": Command("isthmus.cli.logs", "show what a gateway wrote down, and what is missing"),
    "doctor": Command("isthmus.cli.doctor", "find what is wrong with the runtimes and this shell"),
    "guard": Command("isthmus.cli.guard", "keep modules of the other side out of a program"),
    "serve": Command("isthmus.cli.serve", "serve a policy to simulators and robots"),
    "export": Command("isthmus.cli.export", "turn a policy of other tools into ONNX"),
    "contract": Command("isthmus.cli.contract", "write, show and compare contracts"),
    "bench": Command("isthmus.cli.bench", "measure round trips on this machine"),
    "evaluate": Command("isthmus.cli.evaluate", "measure a policy's success on fresh seeds"),
    "drift": Command("isthmus.cli.drift", "explain a log of randomization hash mismatches"),
}


class CommandModule(Protocol):
    """What the module of a command has."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Do the work; the exit status."""


def main(argv: Sequence[str] | None = None, *, variant: Variant | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments after the program's name; None takes those of the process.
        variant: the command as another program.

    Returns:
        The exit status: the command's own, 2 for one of our errors, 130 when interrupted, 141
        when nobody reads its output any more.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    _make_streams_usable()
    try:
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # as __main__ leaves it
            signal.signal(signal.SIGINT, signal.default_int_handler)
        name = _command_name(arguments)
        parser = command_parser(name)
        if variant is not None:
            variant.apply(parser)
        status = _load(COMMANDS[name]).run(_parsed(parser, arguments[1:]))
        sys.stdout.flush()
        return status
    except Error as error:
        print(f"isthmus: {str(error) or type(error).__name__}", file=sys.stderr)
        return EXIT_ERROR
    except ModuleNotFoundError as error:
        if error.name != "numpy":
            raise
        print(f"isthmus: {_without_numpy(arguments[0], os.environ)}", file=sys.stderr)
        return EXIT_ERROR
    except FileNotFoundError:
        if _is_somewhere():
            raise
        print("isthmus: the current folder was removed; change into another", file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left; Python's own flush at exit must not complain about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_UNREAD


def _make_streams_usable() -> None:
    """Give what the caller closed an end, and show names that the terminal has no letters for."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _is_somewhere() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def top_parser() -> argparse.ArgumentParser:
    """Build the parser that knows the commands' names and nothing of what they take."""
    parser = argparse.ArgumentParser(
        prog="isthmus",
        description="Join a simulator in one Python to a policy in another.",
        epilog=f"{_listing()}\n\n`isthmus COMMAND --help` says what each takes.\n\n{STATUSES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"isthmus {__version__}")
    parser.add_argument("command", metavar="COMMAND")
    return parser


def command_parser(name: str) -> argparse.ArgumentParser:
    """Load one command and build the parser of its arguments."""
    module = _load(COMMANDS[name])
    parser = argparse.ArgumentParser(
        prog=f"isthmus {name}",
        description=_first_paragraph(module),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.configure(parser)
    return parser


def _parsed(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """What the command is told; an option that it does not have is answered with the nearest."""
    args, unknown = parser.parse_known_args(arguments)
    wrong = next((word.partition("=")[0] for word in unknown if word.startswith("-")), "")
    if wrong:
        import difflib

        near = difflib.get_close_matches(wrong, sorted(set(_options(parser))), 1)
        meant = f"did you mean {near[0]}? " if near else ""
        listed = f"`{parser.prog} --help` lists all"
        parser.exit(EXIT_ERROR, f"{parser.prog}: there is no option {wrong}; {meant}{listed}\n")
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    return args


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Every option of a command and of its actions."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from _options(child)


def _command_name(arguments: Sequence[str]) -> str:
    # Only the first argument is ours; what follows belongs to the command, its --help too.
    parser = top_parser()
    if not arguments:
        parser.print_help(sys.stderr)
        raise SystemExit(EXIT_ERROR)
    name = str(parser.parse_args(arguments[:1]).command)
    if name not in COMMANDS:
        import difflib

        near = difflib.get_close_matches(name.lower(), COMMANDS, 1)
        meant = f"; did you mean `isthmus {near[0]}`?" if near else ""
        parser.error(f"there is no command {name!r}{meant}\n\n{_listing()}")
    return name


def _listing() -> str:
    width = max(map(len, COMMANDS))
    return "\n".join(
        ["commands:", *(f"  {name:{width}}  {row.help}" for name, row in COMMANDS.items())]
    )


def _without_numpy(command: str, environ: Mapping[str, str]) -> str:
    """Say where numpy is missing, and how it gets there."""
    name = environ.get("ISTHMUS_RUNTIME", "NAME")
    return (
        f"`isthmus {command}` needs numpy, which {sys.executable} has not: add "
        f'requirements = ["numpy"] to [runtime.{name}] in isthmus.toml, or install numpy there'
    )


def _load(command: Command) -> CommandModule:
    return cast(CommandModule, import_module(command.module))


def _first_paragraph(module: CommandModule) -> str:
    return (module.__doc__ or "").strip().split("\n\n")[0]


if __name__ == "__main__":
    sys.exit(main())
