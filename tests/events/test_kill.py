"""A hundred writers of one log, each killed with SIGKILL at an instant of no one's choice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.events.logs import NAME, check_gaps, gaps_of

from isthmus.events import EventLog

KILLS = 100
PROGRAM = Path(__file__).with_name("killed_writers.py")


@pytest.mark.slow
def test_what_is_reported_missing_is_what_is_missing(tmp_path: Path) -> None:
    """Between rotations, compressions and drops: no line is damaged, no gap is unreported.

    What a killed writer had not written yet is the end of its boot, which has no `log_closed`.
    """
    start = [sys.executable, str(PROGRAM), str(tmp_path), NAME, str(KILLS), "4"]
    done = subprocess.run(start, capture_output=True, text=True, check=True)
    rounds = [line.split() for line in done.stdout.splitlines()]
    assert len(rounds) == KILLS and done.stderr == ""
    last = EventLog(tmp_path, name=NAME, max_bytes=4000, compress=True)
    last.start()
    last.close()

    accounted = check_gaps(tmp_path)
    gaps = gaps_of(tmp_path)
    assert [boot.token for boot in gaps.boots.values() if boot.closed] == [last.boot]
    assert all(gap.why.startswith("dropped: ") for _, gap in gaps.all())
    assert len(gaps.all()) > 10
    for token, emitted, written in rounds:
        # One event may have been emitted and not counted yet when the writer was killed.
        assert accounted.get(token, 0) <= int(emitted) + 1
        assert int(written) == 0 or gaps.boots[token].lines >= int(written)
