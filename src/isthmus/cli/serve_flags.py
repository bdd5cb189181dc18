"""The arguments of `isthmus serve`, as one table: parser, checks and documentation read it.

The names are those of the first gateway that its operators had, and ours beside them.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from isthmus.errors import Error

from .arguments import check_bounds

__all__ = ["DEFAULT_HOST", "DEFAULT_LISTEN", "DEFAULT_PORT", "FLAGS", "Flag", "check", "configure"]

DEFAULT_LISTEN = "unix:isthmus.sock"
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 45123
"""Where clients of the first gateway look for it."""

LONGEST_MS = 3_600_000.0
"""An hour: more is a mistake."""

QUOTA_FILES = 16
"""Files of events that are kept where nobody says how much."""


@dataclass(frozen=True)
class Flag:
    """One argument.

    Attributes:
        name: as it is typed.
        metavar: what stands for its value; "" for a switch.
        default: what holds without it; None where nothing does.
        help: one line, for `--help`.
        meaning: what the reference adds to that; "" if nothing.
        kind: `str`, `int`, `float`, `bool` for a switch, `list` for one that may be repeated.
        low: smallest number it takes.
        high: largest.
        choices: words it takes; () = any.
    """

    name: str
    metavar: str
    default: Any
    help: str
    meaning: str = ""
    kind: type[Any] = str
    low: float | None = None
    high: float = math.inf
    choices: Sequence[str] = ()

    @property
    def attribute(self) -> str:
        """Its name among the parsed arguments."""
        return self.name.removeprefix("--").replace("-", "_")


def _flag(name: str, metavar: str, help: str, **more: Any) -> Flag:
    """A row; the default is None, or False for a switch."""
    switch = not metavar and "choices" not in more
    more.setdefault("default", False if switch else None)
    return Flag(name, metavar, help=help, kind=more.pop("kind", bool if switch else str), **more)


def _number(name: str, metavar: str, help: str, kind: type[Any] = float, **more: Any) -> Flag:
    return _flag(name, metavar, help, kind=kind, low=more.pop("low", 0), **more)


GROUPS: dict[str, tuple[Flag, ...]] = {
    "where it listens": (
        _flag(
            "--listen", "URL", f"where to listen, any number of times; default {DEFAULT_LISTEN}",
            kind=list,
        ),
        _flag(
            "--host", "HOST", f"listen on tcp too, at this address; default {DEFAULT_HOST}",
            meaning="`--host H --port P` is `--listen tcp://H:P`. An address that other machines "
            "can reach is refused, because nobody who connects has to prove who he is.",
        ),
        _number(
            "--port", "PORT", f"listen on tcp too, at this port; default {DEFAULT_PORT}", int,
            high=65535, meaning="0 lets the system choose; what it chose is printed.",
        ),
    ),
    "what it serves": (
        _flag(
            "--policy", "MODEL", "a model, as the argument MODEL is",
            meaning="The first gateway's spelling.",
        ),
        _flag("--contract", "FILE", "the contract, for models that bring none"),
        _flag(
            "--providers", "LIST", "ONNX Runtime providers in order of preference, with commas "
            "between", default="CPUExecutionProvider",
        ),
        _number(
            "--threads", "N", "threads one inference may use; default 1", int, low=1, default=1,
        ),
        _flag(
            "--executor", "", "who runs the policy; auto decides by its measured speed",
            default="auto", choices=("auto", "inline", "thread"),
        ),
        _flag(
            "--deterministic", "", "one session per inference, so that last bits do not depend on "
            "who else asks",
        ),
        _flag(
            "--policy-dir", "DIR", "let programs on this machine load policies from this folder",
            meaning="`load_policy` takes a file inside the folder, after every symbolic link has "
            "been followed, and only from a client that is connected through a Unix socket or from "
            "a loopback address. With it the gateway may start without a model.",
        ),
        _flag(
            "--allow-load-path", "", "let programs on this machine load a policy from any folder",
            meaning="As --policy-dir, without the folder. A model is data here, so nothing in it "
            "runs; but whoever may connect decides what moves the robot.",
        ),
    ),
    "limits": (
        _number(
            "--deadline-ms", "MS", "budget of clients that name none; default 0, which is "
            "0.8 x control_dt",
            high=LONGEST_MS, default=0.0,
            meaning="The answer has left by then: the last tenth of it, 2 ms at most, is kept for "
            "sending the fallback where the policy has not answered.",
        ),
        _number(
            "--max-sessions", "N", "connections beyond this are refused; default 256", int, low=1,
            default=256,
        ),
        _number(
            "--max-rows", "N", "environments of all sessions together, beyond which one is "
            "refused; default 16384", int, low=1, default=16384,
        ),
        _flag(
            "--joint-spec", "FILE", "limits of the joints: position (or q + delta) stays inside",
            meaning="JSON in one of three forms, in rad and rad/s: "
            '`{"joints":[{"name":"base","lower":-1,"upper":1,"velocity":2}]}`, '
            '`{"base":{"lower":-1,"upper":1}}`, or `{"names":["base"],"lower":[-1],"upper":[1]}`. '
            "It tightens the limits of the contract, and never widens them. A specification that "
            "does not fit the policy's joints is refused at the start.",
        ),
        _number(
            "--joint-spec-mismatch-cooldown", "SECONDS", "least time between two events about "
            "observations with another number of joints; default 60", default=60.0, high=86_400,
            meaning="The counter `joint_spec_mismatch` counts each of them all the same.",
        ),
        _flag(
            "--action-scale", "NUMBER", "sent to plain clients as action_scale_hint; changes no "
            "action", kind=float, low=-1e6, high=1e6,
            meaning="A hint for readers of logs, as it was in the first gateway: what multiplies "
            "an action stands in the model's manifest.",
        ),
    ),
    "deadlines that are missed": (
        _number(
            "--deadline-escalate-threshold", "N", "event deadline_escalation after this many "
            "misses in a row; default 0, never", int, high=1_000_000, default=0,
        ),
        _number(
            "--degrade-mode-ratio", "SHARE", "replace the actions of a session that misses more "
            "than this share of its deadlines; default 0, never", high=1, default=0.0,
            meaning="Of its last 200 steps; it ends at half the share. The ladder of the link "
            "(docs/SAFETY.md) reacts to the first miss and is the better way: this is for clients "
            "that have no link.",
        ),
    ),
    "what it writes": (
        _flag(
            "--log-dir", "DIR", "write events, metrics and hash mismatches into this folder",
            meaning="`ipc_gateway_events.jsonl`, `ipc_metrics.json`, "
            "`hash_mismatch_events.jsonl`. Without it no file is written.",
        ),
        _number(
            "--metrics-interval", "SECONDS", "how often metrics, alerts and advice are brought up "
            "to date; default 5", low=0.5, high=3600, default=5.0,
        ),
        _number(
            "--max-log-mb", "MB", "size at which the file of events is rotated; default 64",
            low=0.001, high=65_536, default=64.0,
        ),
        _number(
            "--log-quota-mb", "MB", "size of all files of events together, beyond which the "
            "oldest go; default 16 x --max-log-mb", low=0.001, high=16_777_216,
        ),
        _flag("--compress-rotated", "", "compress rotated files by gzip, in the background"),
        _flag(
            "--record-payloads", "", "write what is asked and answered into the events: nothing, "
            "one step in a hundred, or all of it", default="off", choices=("off", "sampled", "all"),
        ),
    ),
    "alerts and advice": (
        _number(
            "--alert-latency-p95-ms", "MS", "the short form of ...-warn", high=LONGEST_MS,
        ),
        _number(
            "--alert-latency-p95-ms-warn", "MS", "WARN when the recent p95 of the latency is "
            "higher", high=LONGEST_MS,
        ),
        _number(
            "--alert-latency-p95-ms-crit", "MS", "CRIT when it is higher than this",
            high=LONGEST_MS,
        ),
        _number(
            "--alert-deadline-miss-rate", "SHARE", "the short form of ...-warn", high=1,
        ),
        _number(
            "--alert-deadline-miss-rate-warn", "SHARE", "WARN when the recent share of missed "
            "deadlines is higher", high=1,
        ),
        _number(
            "--alert-deadline-miss-rate-crit", "SHARE", "CRIT when it is higher than this", high=1,
        ),
        _number(
            "--auto-transport-escalate-p95", "MS", "advise (event transport_escalate) after three "
            "intervals with a p95 over this; default 60, 0 never", high=LONGEST_MS, default=60.0,
        ),
    ),
    "Prometheus": (
        _flag(
            "--http", "HOST:PORT", "answer /metrics, /healthz, /readyz and /alerts here",
            meaning="Loopback only. Port 0 lets the system choose; the address is printed.",
        ),
        _flag(
            "--prometheus-textfile", "FILE", "write the metrics into this file too, for the node "
            "exporter's textfile collector",
        ),
        _flag(
            "--prometheus-instance-id", "ID", "value of the label instance_id; default the "
            "machine's name",
        ),
        _flag("--prometheus-enable-labels", "", "add the labels instance_id and policy_kind"),
    ),
    "": (_flag("--verbose", "", "log sessions and decisions to standard error"),),
}  # fmt: skip
"""Heading -> its flags, in the order of `--help`."""

FLAGS: tuple[Flag, ...] = tuple(flag for group in GROUPS.values() for flag in group)

PAIRS: tuple[str, ...] = ("alert-latency-p95-ms", "alert-deadline-miss-rate")
"""Thresholds that have a WARN and a CRIT, and a short form of the WARN."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `isthmus serve`."""
    parser.add_argument(
        "model",
        nargs="*",
        metavar="MODEL",
        help="an .onnx or .npz with its manifest beside it, a .zip, .pt, .pth or .onnx without one "
        "(exported on the way), a dummy's .json, constant[:VALUE], pkg.mod:factory, or the URL of "
        "another gateway",
    )
    for heading, flags in GROUPS.items():
        group = parser.add_argument_group(heading) if heading else parser
        for flag in flags:
            _add(group.add_argument, flag)


def _add(add: Callable[..., Any], flag: Flag) -> None:
    options: dict[str, Any] = {"help": flag.help, "default": flag.default}
    if flag.kind is bool:
        options["action"] = "store_true"
    elif flag.choices:
        options["choices"] = flag.choices
    else:
        options["metavar"] = flag.metavar
        options.update({"action": "append"} if flag.kind is list else {"type": flag.kind})
    add(flag.name, **options)


def check(args: argparse.Namespace) -> None:
    """Refuse numbers out of their bounds and flags that contradict each other; fill WARN in.

    Raises:
        Error: which flag, what it takes, what came.
    """
    bounds = {
        flag.name.removeprefix("--"): (flag.low, flag.high)
        for flag in FLAGS
        if flag.low is not None
    }
    check_bounds(args, bounds)
    for name in PAIRS:
        _check_pair(args, name)
    if args.log_quota_mb is None:
        args.log_quota_mb = QUOTA_FILES * args.max_log_mb
    if args.log_quota_mb < args.max_log_mb:
        raise Error(
            f"--log-quota-mb: expected at least --max-log-mb ({args.max_log_mb:g}), got "
            f"{args.log_quota_mb:g}"
        )
    if args.record_payloads != "off" and args.log_dir is None:
        raise Error(
            f"--record-payloads {args.record_payloads}: there is no file to write into; name its "
            "folder with --log-dir"
        )


def _check_pair(args: argparse.Namespace, name: str) -> None:
    attribute = name.replace("-", "_")
    short, warn, crit = (getattr(args, attribute + end) for end in ("", "_warn", "_crit"))
    if short is not None and warn is not None and short != warn:
        raise Error(f"--{name} is the short form of --{name}-warn; give one of them")
    warn = short if warn is None else warn
    if warn is not None and crit is not None and warn > crit:
        raise Error(f"--{name}-crit: expected at least the WARN threshold ({warn:g}), got {crit:g}")
    setattr(args, f"{attribute}_warn", warn)
