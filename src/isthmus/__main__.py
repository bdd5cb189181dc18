"""`python -m isthmus`: the command line, where no console script is installed."""

from __future__ import annotations

import signal
import sys

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    # Ctrl-C while modules are loaded ends this without a word; `main` handles it from then on.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from isthmus.cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
