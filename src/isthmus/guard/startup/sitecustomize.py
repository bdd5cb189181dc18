"""Runs at the start of every Python that has this folder on PYTHONPATH: installs the guard.

Python imports one `sitecustomize`, the first on its path; the one that would have come without us
is run after. The environment hands both on, so that children and their children are guarded too.

Python reports an error in `sitecustomize` and goes on, which would run the program unguarded. So an
error of the guard ends the process here. One of the next `sitecustomize` is Python's to report.
"""

import os
import sys

# Not importlib.machinery: this is loaded already, and that would have to be.
from _frozen_importlib_external import PathFinder, SourceFileLoader

_EXIT_ERROR = 2
_OURS = os.path.join("isthmus", "guard", "startup")


def _install() -> None:
    hook = type(sys)("isthmus_guard_hook")
    file = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "hook.py")
    SourceFileLoader(hook.__name__, file).exec_module(hook)
    if hook.VARIABLE not in os.environ:
        raise ValueError(
            f"its folder is on PYTHONPATH but {hook.VARIABLE} is not set; hand both on, "
            "or set it to nothing to go without"
        )
    hook.install_wanted(os.environ)


def _install_or_exit() -> None:
    try:
        _install()
    except Exception as exc:
        line = f"isthmus guard: not started, it would be unguarded: {type(exc).__name__}: {exc}\n"
        try:
            os.write(2, line.encode(errors="backslashreplace"))
        finally:
            os._exit(_EXIT_ERROR)


def _run_next() -> None:
    # Any copy of this file has done its work already.
    path = [entry for entry in sys.path if not os.path.normpath(entry).endswith(os.sep + _OURS)]
    spec = PathFinder.find_spec("sitecustomize", path)
    if spec is None or spec.loader is None:
        return
    module = type(sys)(spec.name)
    module.__spec__, module.__loader__, module.__file__ = spec, spec.loader, spec.origin
    sys.modules[spec.name] = module  # Python returns what is here, not the module it began
    spec.loader.exec_module(module)


if __name__ == "sitecustomize":
    _install_or_exit()
    _run_next()
