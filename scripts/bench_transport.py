"""The first system's transport benchmark, by its own flags: a thin entry over `isthmus bench`.

scripts/bench_transport.py --mode shm,tcp --joints 6 --iterations 2000 --csv rows.csv
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
    parser.add_argument("--mode", default="all", help="transports, with commas between; or all")
    parser.add_argument("--joints", default="6", help="default 6")
    parser.add_argument("--iterations", default="2000", help="default 2000")
    parser.add_argument("--warmup", default="200", help="default 200")
    parser.add_argument("--csv", metavar="FILE", help="write the rows there")
    known, rest = parser.parse_known_args(argv)
    found = ["bench", "--joints", known.joints, "--iterations", known.iterations]
    found += ["--warmup", known.warmup]
    if known.mode != "all":
        found += ["--transport", known.mode]
    if known.csv:
        found += ["--csv", known.csv]
    return [*found, *rest]


if __name__ == "__main__":
    sys.exit(main(arguments(sys.argv[1:])))
