"""Turn a policy of Stable-Baselines3 or TorchScript into ONNX and a manifest.

The file is read without running anything in it, and the result is checked against what the file's
own network answers. An ONNX model that has no manifest gets one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from isthmus.contract.fields import FALLBACKS, SEMANTICS
from isthmus.errors import Error
from isthmus.export import Naming, Options, export_policy
from isthmus.export.export import TOLERANCE
from isthmus.export.fields import CONTROL_DT
from isthmus.export.network import ACTIVATIONS
from isthmus.policy.contract_file import read_contract
from isthmus.policy.manifest import manifest_path

from .arguments import check_bounds, check_writable

__all__ = ["configure", "run"]

BOUNDS: dict[str, tuple[float, float]] = {
    "control-dt": (1e-9, 3600.0),
    "tolerance": (0.0, 1.0),
}

EPILOG = """\
Without --contract the policy's spaces become one: an input twice as wide as the action is q and dq,
and the action delta; any other input is one field `observation`, and an action that nobody explains
needs a --fallback.

exit status: 0 if the model and its manifest were written; 2 if not, and one line says why.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `isthmus export`."""
    parser.epilog = EPILOG
    add = parser.add_argument
    add(
        "file", metavar="FILE",
        help="a zip of Stable-Baselines3, a TorchScript archive, or an ONNX model without a "
        "manifest",
    )  # fmt: skip
    add(
        "-o", "--output", metavar="MODEL.onnx",
        help="default: FILE's name, beside FILE; an ONNX model stays, and the manifest joins it",
    )  # fmt: skip
    add("--contract", metavar="FILE", help="what the policy is to be served under")
    add(
        "--observation", metavar="NAME:WIDTH,...",
        help="the fields of its input, in order; with --contract their names alone",
    )  # fmt: skip
    add("--semantics", choices=tuple(SEMANTICS), help="what the action's numbers mean")
    add(
        "--fallback", choices=tuple(word for word in FALLBACKS if word != "value"),
        help="what replaces an action that did not come; default as semantics",
    )  # fmt: skip
    add(
        "--control-dt", type=float, metavar="SECONDS",
        help=f"between two actions; default {CONTROL_DT}",
    )  # fmt: skip
    add(
        "--scale", type=float, default=1.0, metavar="X",
        help="multiply the action, for a policy that was trained in -1..1; default 1",
    )  # fmt: skip
    add(
        "--activation", choices=tuple(ACTIVATIONS),
        help="what the hidden layers compute, where the file does not say",
    )  # fmt: skip
    add(
        "--vecnormalize", metavar="FILE",
        help="the statistics that VecNormalize saved; they become part of the model",
    )  # fmt: skip
    add(
        "--raw-observations", action="store_true",
        help="the observations come scaled already, although the policy was trained with "
        "VecNormalize",
    )  # fmt: skip
    add(
        "--observations", metavar="FILE.npz",
        help="recorded observations to check the export on, and `actions` if there are answers",
    )  # fmt: skip
    add(
        "--tolerance", type=float, default=TOLERANCE, metavar="X",
        help=f"largest difference that is accepted; default {TOLERANCE}",
    )  # fmt: skip
    add(
        "--trust-pickle", action="store_true",
        help="let Stable-Baselines3 or torch load FILE, which RUNS CODE FROM IT with all your "
        "rights; only for files you made yourself, in the environment they were made in",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Export, and say what was assumed and how close the result is."""
    check_bounds(args, BOUNDS)
    file = Path(args.file)
    out = Path(args.output) if args.output else file.with_suffix(".onnx")
    if out.suffix != ".onnx":
        raise Error(f"--output: expected a name that ends in .onnx, got {out}")
    check_writable("output", str(out))
    naming = Naming(
        contract=read_contract(args.contract) if args.contract else None,
        observation=tuple(filter(None, (args.observation or "").split(","))),
        semantics=args.semantics or "",
        fallback=args.fallback or "",
        control_dt=args.control_dt,
        scale=args.scale,
    )
    options = Options(
        naming=naming,
        activation=args.activation or "",
        vecnormalize=Path(args.vecnormalize) if args.vecnormalize else None,
        raw=args.raw_observations,
        observations=Path(args.observations) if args.observations else None,
        tolerance=args.tolerance,
        trust_pickle=args.trust_pickle,
    )
    done = export_policy(file, out, options)
    provenance = done.manifest["provenance"]
    for line in done.assumed:
        print(f"assumed: {line}")
    for key, value in provenance["parity"].items():
        if key.endswith("difference"):
            print(f"{key.replace('_', ' ')}: {value:.1e}")
    what = " ".join(filter(None, (provenance.get("algorithm"), provenance["format"])))
    print(f"{out} and {manifest_path(out).name}: {what}, interface "
          f"{done.manifest['interface_hash'][:16]}")  # fmt: skip
    return 0
