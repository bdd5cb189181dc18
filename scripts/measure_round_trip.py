"""The first system's round trips, by its own flags: a thin entry over `isthmus bench`.

    scripts/measure_round_trip.py --iters 500 --csv round_trips.csv      # the gateway at port 45123
    scripts/measure_round_trip.py --private --q-dim 6                    # one of its own

One JSON object a line over TCP, as the first clients speak. The CSV has a line for each step.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from isthmus.cli.main import main  # noqa: E402


def arguments(argv: list[str]) -> list[str]:
    """Translate the first system's flags; what it did not have is handed on."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--host", default="127.0.0.1", help="default 127.0.0.1")
    parser.add_argument("--port", default="45123", help="default 45123")
    parser.add_argument("--private", action="store_true", help="start a gateway for it")
    parser.add_argument("--iters", default="1000", help="default 1000")
    parser.add_argument("--q-dim", metavar="N", help="joints; a running gateway must have as many")
    parser.add_argument("--csv", metavar="FILE", help="write every step there")
    known, rest = parser.parse_known_args(argv)
    found = ["bench", "--transport", "json", "--iterations", known.iters]
    if known.private:
        found += ["--joints", known.q_dim or "6"]
    else:
        found.append(f"tcp://{known.host}:{known.port}")
        if known.q_dim:
            found += ["--joints", known.q_dim]
    if known.csv:
        found += ["--samples", known.csv]
    return [*found, *rest]


if __name__ == "__main__":
    sys.exit(main(arguments(sys.argv[1:])))
