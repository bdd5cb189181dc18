"""`isthmus bench [URL]`: measure round trips, through a private gateway or a running one.

Without a URL every transport and payload is measured against a gateway that is started for it and
answers at once: what the boundary itself costs on this machine. With the URL of a running gateway
its own policy answers observations that are made up, in a session of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from isthmus.errors import Error

from .arguments import check_bounds, check_writable

if TYPE_CHECKING:
    from isthmus.bench.cases import Case, Payload
    from isthmus.bench.rows import Row

EXIT_INTERRUPTED = 128 + signal.SIGINT

BOUNDS: dict[str, tuple[float, float]] = {
    "iterations": (1, 10_000_000),
    "warmup": (0, 10_000_000),
    "rounds": (1, 1000),
    "hz": (0.1, 100_000),
    "joints": (1, 4096),
    "seconds": (0.01, 86_400),
    "timeout": (0.1, 3600),
}

EPILOG = """\
It takes about half a minute for everything, and prints each payload when it is done. JSON is left
out of the large payloads, unless --transport names it.

Times are whole calls of act(), with every check and limit. Transports are measured in turns, so
that a noisy minute falls on all of them; compare ratios, not runs. Paced (--hz) is what a control
loop feels: between two steps caches and cores go cold.

A result of a private gateway is kept in the user's cache; a gateway that advises another transport
quotes it as what that transport measured here.

exit status: 0 if everything asked for was measured; 1 if something was left out or steps
were not answered in time, and its line says so; 2 if nothing could be; 130 if it was interrupted:
what was finished is shown and saved.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `isthmus bench`."""
    from isthmus.bench.cases import PAYLOADS, WAYS

    parser.epilog = EPILOG
    add = parser.add_argument
    add("url", nargs="?", metavar="URL", help="a running gateway; default: a private one")
    add(
        "--transport", type=_words, metavar="LIST",
        help=f"of {', '.join(WAYS)}, with commas between; default all that can be",
    )  # fmt: skip
    add(
        "--payload", type=_words, metavar="LIST",
        help=f"of {', '.join(PAYLOADS)}, with commas between; default all",
    )  # fmt: skip
    add(
        "--joints",
        type=int,
        metavar="N",
        help="a payload of N joints instead; a running gateway must have as many",
    )
    add("--policy", metavar="NAME", help="of a running gateway that serves several")
    add("--iterations", type=int, default=2000, metavar="N", help="steps of each row; default 2000")
    add("--warmup", type=int, default=200, metavar="N", help="steps before them; default 200")
    add("--rounds", type=int, default=5, metavar="N", help="turns they are made in; default 5")
    add("--hz", type=float, metavar="HZ", help="pace of the steps; default as fast as they go")
    add(
        "--seconds", type=float, default=5.0, metavar="S",
        help="most time of each row; a slow one takes fewer steps; default 5",
    )  # fmt: skip
    add(
        "--timeout", type=float, default=10.0, metavar="S", help="to wait for a gateway; default 10"
    )
    add("--csv", metavar="FILE", help="write the rows there")
    add("--samples", metavar="FILE", help="write every single step there, as CSV")
    add(
        "--json", metavar="FILE",
        help="write the rows there, with settings and a fingerprint of the machine; - prints it",
    )  # fmt: skip
    add("--compare", metavar="OLD.json", help="show the ratios to an earlier --json")


def run(args: argparse.Namespace) -> int:
    """Measure and show, a payload at a time; what was finished is kept when somebody interrupts."""
    from isthmus.bench.machine import fingerprint
    from isthmus.bench.measure import measure
    from isthmus.bench.result import document, read_document
    from isthmus.bench.rows import Settings
    from isthmus.bench.table import result_table

    check_bounds(args, BOUNDS)
    for option in ("csv", "samples", "json"):
        value = getattr(args, option)
        check_writable(option, None if value == "-" else value)
    old = read_document(Path(args.compare)) if args.compare else None
    settings = Settings(
        args.iterations, args.warmup, args.rounds, args.hz or 0.0, args.seconds, args.timeout
    )
    machine = fingerprint()
    show = sys.stderr if args.json == "-" else sys.stdout
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    rows: list[Row] = []
    interrupted = False
    try:
        for cases in _running(args) if args.url else _private(args):
            found = measure(cases, settings, _progress)
            head = "" if rows else _facts(machine) + "\n"
            print(f"{head}\n{result_table(found, settings)}", file=show, flush=True)
            rows += found
    except KeyboardInterrupt:
        interrupted = True
        print("isthmus: interrupted; what was finished is kept", file=sys.stderr)
    if rows:
        result = document(rows, settings, machine)
        _save(args, rows, result)
        if old is not None:
            _compare(args.compare, old, result, show)
    left_out = [row for row in rows if row.left_out]
    lossy = [row for row in rows if row.missed]
    if interrupted:
        return EXIT_INTERRUPTED
    if len(left_out) == len(rows):
        return 2
    return 1 if left_out or lossy else 0


def _compare(name: str, old: dict[str, Any], new: dict[str, Any], show: TextIO) -> None:
    from isthmus.bench.compare import compare
    from isthmus.bench.table import change_table

    changes, remarks = compare(old, new)
    print(f"\nnew / old ({name}, {old.get('measured', 'undated')})", file=show)
    print("\n".join([change_table(changes), *remarks]), file=show)


def _running(args: argparse.Namespace) -> Iterator[list[Case]]:
    from isthmus.bench.cases import Case, ways_of
    from isthmus.client import connect

    if args.payload:
        raise Error("--payload is for a private gateway; a running one has its own contract")
    ways = _chosen("transport", args.transport, ways_of(args.url))
    with connect(args.url, policy=args.policy, timeout=args.timeout) as link:
        first = link.contract.observation[0]
        if args.joints is not None and first.shape != (args.joints,):
            raise Error(
                f"--joints {args.joints}: the gateway's observation {first.name!r} has shape "
                f"{first.shape}; leave --joints out, or serve a policy for {args.joints} joints"
            )
    yield [Case(way, "contract", args.url, policy=args.policy or "") for way in ways]


def _private(args: argparse.Namespace) -> Iterator[list[Case]]:
    from isthmus.bench.cases import PAYLOADS, WAYS, Case, joints_payload
    from isthmus.bench.gateway import PrivateGateway

    if args.policy:
        raise Error("--policy is for a running gateway; name its URL")
    if args.joints and args.payload:
        raise Error("--payload and --joints exclude each other")
    ways = _chosen("transport", args.transport, tuple(WAYS))
    payloads: dict[str, Payload] = (
        {f"joints{args.joints}": joints_payload(args.joints)}
        if args.joints
        else {name: PAYLOADS[name] for name in _chosen("payload", args.payload, tuple(PAYLOADS))}
    )
    for name, payload in payloads.items():
        with ExitStack() as stack:
            urls = {"memory": "memory:constant"}
            if set(ways) != {"memory"}:
                urls |= stack.enter_context(PrivateGateway(payload.contract)).urls
            yield [
                Case(way, name, urls[WAYS[way].scheme], payload.contract, payload.num_envs)
                for way in ways
                if args.transport or way != "json" or payload.typed_by_hand
            ]


def _save(args: argparse.Namespace, rows: Sequence[Row], found: dict[str, Any]) -> None:
    from isthmus.bench.kept import keep
    from isthmus.bench.result import save_csv, save_document, save_samples

    if args.json == "-":
        print(json.dumps(found, indent=1))
    elif args.json:
        save_document(Path(args.json), found)
    if args.csv:
        save_csv(Path(args.csv), rows)
    if args.samples:
        save_samples(Path(args.samples), rows)
    if not args.url:
        keep(os.environ, found)


def _chosen(option: str, asked: Sequence[str] | None, known: Sequence[str]) -> Sequence[str]:
    unknown = [name for name in asked or () if name not in known]
    if unknown:
        raise Error(f"--{option}: expected names of {', '.join(known)}, got {', '.join(unknown)}")
    return tuple(dict.fromkeys(asked)) if asked else known


def _words(text: str) -> list[str]:
    return [word for word in (part.strip() for part in text.split(",")) if word]


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{line} ", end="", file=sys.stderr, flush=True)


def _facts(machine: dict[str, object]) -> str:
    load = machine["load_average"]
    busy = " (busy: figures will be too)" if isinstance(load, float) and load > 0.7 else ""
    return (
        f"{machine['cpu']}, {machine['cpus']} CPUs, Linux {machine['kernel']}, "
        f"Python {machine['python']}, numpy {machine['numpy']}, load {load}{busy}"
    )
