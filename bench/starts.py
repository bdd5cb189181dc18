"""How long a program takes to start and end, which does nothing: bare, and by `isthmus run`.

python -m bench.starts FOLDER COMMAND...      FOLDER is where isthmus keeps what it makes
"""

from __future__ import annotations

import os
import subprocess
import sys

from .bursts import serve_steps


def main(folder: str, command: list[str]) -> None:
    """Answer the runner's bursts: each step is one process, from its start to its end."""
    environ = {**os.environ, "XDG_CACHE_HOME": folder}

    def step() -> None:
        subprocess.run(command, env=environ, stdin=subprocess.DEVNULL, check=True)

    step()  # the first one examines the interpreter, and compiles what it imports
    serve_steps(step)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
