"""The first system's analysis of hash mismatches, by its own flags: `isthmus drift`.

python scripts/analyze_hash_drift.py --file logs/hash_mismatch_events.jsonl --csv drift.csv
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from isthmus.cli.main import Variant, main  # noqa: E402

if __name__ == "__main__":
    variant = Variant("analyze_hash_drift.py", __doc__ or "")
    sys.exit(main(["drift", *sys.argv[1:]], variant=variant))
