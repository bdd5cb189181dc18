"""Set this checkout's environments up and run things in them. Needs Python >= 3.10, nothing else.

    python3 scripts/bootstrap.py interpreters           # what is on this machine
    python3 scripts/bootstrap.py ensure dev tests       # build .venv and .envs/test-*
    python3 scripts/bootstrap.py run dev -- -m pytest   # build, then run in it
    python3 scripts/bootstrap.py demo -- --duration 5    # the two-Python demo

`make` calls this; so may you. The logic lives in `isthmus.runtimes`; here is only which
environments this project has.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
ENVIRONMENTS = ROOT / ".envs"

if sys.version_info < (3, 10):  # noqa: UP036 - this file is what says so to an older Python
    sys.exit("isthmus needs Python 3.10 or newer; this is %d.%d" % sys.version_info[:2])  # noqa: UP031
sys.path.insert(0, str(SOURCE))

from isthmus.errors import EnvironmentSetupError  # noqa: E402
from isthmus.runtimes import (  # noqa: E402
    Environment,
    EnvironmentSpec,
    Installer,
    Interpreter,
    PipInstaller,
    choose_installer,
    choose_pair,
    ensure_environment,
    find_interpreters,
    newest_of_each_minor,
)
from isthmus.runtimes.probes import ProbeCache  # noqa: E402

DEV_PREFERENCE = ("3.12", "3.13", "3.11", "3.10")
TRAIN_PREFERENCE = ("3.11",)
NUMPY_1_NEWEST = (3, 12)  # the newest Python that numpy 1 has wheels for


def say(line: str) -> None:
    """Tell the person at the terminal what is happening."""
    print(f"isthmus: {line}", file=sys.stderr, flush=True)


@cache
def interpreters() -> list[Interpreter]:
    """List the newest interpreter of each version on this machine."""
    # Each is run once, and again when it changed: `make` starts as fast as it can.
    kept = ProbeCache(ENVIRONMENTS / "interpreters.json")
    found = newest_of_each_minor(find_interpreters(probe=kept))
    if not found:
        raise EnvironmentSetupError("expected a CPython of at least 3.10, found none")
    return found


@cache
def installer() -> Installer:
    """Get uv, or pip where uv cannot be had."""
    lock = ROOT / "requirements" / "uv.txt"
    return choose_installer(ENVIRONMENTS / "uv", lock, interpreters()[-1], os.environ, say)


def preferred(minors: tuple[str, ...]) -> Interpreter:
    """Choose the first of these versions that is there, else the newest."""
    by_minor = {each.minor: each for each in interpreters()}
    return next((by_minor[minor] for minor in minors if minor in by_minor), interpreters()[-1])


def spec_of(name: str, lock: str, folder: Path | None = None) -> EnvironmentSpec:
    """Describe one environment of this checkout."""
    return EnvironmentSpec(
        name=name,
        folder=folder or ENVIRONMENTS / name,
        lock=ROOT / "requirements" / f"{lock}.txt",
        source=SOURCE,
    )


def build(
    name: str, lock: str, interpreter: Interpreter, folder: Path | None = None
) -> Environment:
    """Build one environment of this checkout, unless it is there already."""
    return ensure_environment(spec_of(name, lock, folder), interpreter, installer, say)


def build_dev() -> list[Environment]:
    """Build .venv: the tests, the tools, and both sides' libraries."""
    return [build("dev", "dev", preferred(DEV_PREFERENCE), ROOT / ".venv")]


def build_dev_on(minor: str) -> list[Environment]:
    """Build the same under another Python, in .envs/dev-3.X."""
    matching = [each for each in interpreters() if each.minor == minor]
    if not matching:
        found = ", ".join(each.minor for each in interpreters())
        raise EnvironmentSetupError(f"expected a Python {minor} on this machine, found {found}")
    return [build(f"dev-{minor}", "dev", matching[0])]


def build_train() -> list[Environment]:
    """Build the one environment that holds PyTorch, by pip: its settings choose the build."""
    spec = spec_of("train", "train")
    pip = PipInstaller(os.environ)
    return [ensure_environment(spec, preferred(TRAIN_PREFERENCE), lambda: pip, say)]


def build_sim() -> list[Environment]:
    """Build the simulator's runtime: numpy, MuJoCo, Gymnasium; nothing of the policy's."""
    pair = choose_pair(interpreters())
    assert pair is not None  # interpreters() is never empty
    return [build("sim", "sim", pair.sim)]


def build_policy() -> list[Environment]:
    """Build the policy's runtime: numpy and ONNX Runtime; nothing of the simulator's."""
    pair = choose_pair(interpreters())
    assert pair is not None  # interpreters() is never empty
    return [build("policy", "policy", pair.policy)]


def build_tests() -> list[Environment]:
    """Build one environment with numpy alone for every Python found.

    numpy 1 at the oldest version we support on the oldest Python, numpy 2 on the others.
    """
    oldest, *newer = interpreters()
    oldest_lock = "numpy1" if oldest.version[:2] <= NUMPY_1_NEWEST else "numpy2"
    built = [build(f"test-{oldest.minor}", oldest_lock, oldest)]
    return built + [build(f"test-{each.minor}", "numpy2", each) for each in newer]


BUILDERS: dict[str, Callable[[], list[Environment]]] = {
    "dev": build_dev,
    **{f"dev-3.{minor}": partial(build_dev_on, f"3.{minor}") for minor in range(10, 15)},
    "sim": build_sim,
    "policy": build_policy,
    "tests": build_tests,
    "train": build_train,
}


def show_interpreters(_: argparse.Namespace) -> int:
    """Print what was found, and what the demo would use."""
    for interpreter in interpreters():
        print(interpreter)
    pair = choose_pair(interpreters())
    if pair is not None:
        print(f"simulator: Python {pair.sim.minor}, policy: Python {pair.policy.minor}")
    return 0


def ensure(args: argparse.Namespace) -> int:
    """Build the named environments."""
    for name in args.names:
        for environment in BUILDERS[name]():
            if args.verbose:
                print(f"{environment.name}: Python {environment.version}, {environment.python}")
    return 0


def run(args: argparse.Namespace) -> int:
    """Build one environment and become its Python."""
    (environment,) = BUILDERS[args.name]()
    return become(environment, own(args.arguments))


def demo(args: argparse.Namespace) -> int:
    """Build both runtimes and become `isthmus up demo`."""
    (sim,) = build_sim()
    (policy,) = build_policy()
    say(f"simulator in Python {sim.version}, policy in Python {policy.version}")
    os.chdir(ROOT)
    return become(policy, ["-I", "-m", "isthmus", "up", "demo", "--", *own(args.arguments)])


def own(arguments: list[str]) -> list[str]:
    """Take the program's own arguments; some releases of argparse leave the `--` before them."""
    return arguments[1:] if arguments[:1] == ["--"] else arguments


def become(environment: Environment, arguments: list[str]) -> int:
    """Replace this process, so that signals and the exit status are the program's own."""
    sys.stdout.flush()
    python = str(environment.python)
    os.execv(python, [python, *arguments])


def main() -> int:
    """Parse the command line and do it."""
    parser = argparse.ArgumentParser(description="Set this checkout's environments up.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("interpreters", help="list the Pythons of this machine")
    command.set_defaults(do=show_interpreters)
    command = commands.add_parser("ensure", help="build environments")
    command.add_argument("names", nargs="+", choices=sorted(BUILDERS), metavar="NAME")
    command.add_argument("-v", "--verbose", action="store_true", help="say where they are")
    command.set_defaults(do=ensure)
    command = commands.add_parser("run", help="run a program in an environment")
    command.add_argument("name", choices=sorted(set(BUILDERS) - {"tests"}), metavar="NAME")
    command.add_argument("arguments", nargs=argparse.REMAINDER)
    command.set_defaults(do=run)
    command = commands.add_parser("demo", help="run the two-Python demo")
    command.add_argument("arguments", nargs=argparse.REMAINDER)
    command.set_defaults(do=demo)
    args = parser.parse_args()
    try:
        status: int = args.do(args)
    except EnvironmentSetupError as error:
        say(str(error))
        return 2
    return status


if __name__ == "__main__":
    sys.exit(main())
