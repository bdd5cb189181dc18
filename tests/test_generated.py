"""What `make docs` writes is what is committed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_generated_pages_are_what_the_code_says(project_root: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(project_root / "scripts" / "generate_docs.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
