"""The first gateway's command line: `isthmus serve` with that gateway's defaults.

Its clients, flags and files are as they were: it listens on 127.0.0.1:45123, writes everything
that is asked and answered below `logs/`, needs no policy to start, and lets programs on this
machine load one from the folder it was started in. Every flag of `isthmus serve` may follow, and
wins.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from isthmus.cli.main import Variant, main  # noqa: E402

FIRST_GATEWAY = Variant(
    prog="ipc_policy_gateway.py",
    description=__doc__ or "",
    defaults={
        "host": "127.0.0.1",
        "port": 45123,
        "log_dir": "logs",
        "record_payloads": "all",
        "policy_dir": ".",
    },
    help={
        "host": "address to listen at on tcp; default 127.0.0.1",
        "port": "port to listen at on tcp; default 45123",
        "listen": "where to listen beside host and port, any number of times",
    },
)

if __name__ == "__main__":
    sys.exit(main(["serve", *sys.argv[1:]], variant=FIRST_GATEWAY))
