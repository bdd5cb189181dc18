"""The import hook: a finder, first in `sys.meta_path`, that refuses forbidden modules.

Theory of operation. Python asks its finders both when a module is imported and when somebody only
wants to know whether it is there (`importlib.util.find_spec`, which many packages do to choose
among optional ones). The finder never raises: it answers with a spec whose loader refuses to load.
An import therefore fails in the loader; who only asked gets an answer and goes on.

- Installed: the true spec with the refusing loader, for an import and for a question alike.
- Not installed: None for a question, as without the guard. For an import the refusing loader too,
  so that the error is ours and clear. The two are told apart by the import system's own frames;
  if that ever errs, the import still fails, with Python's plain "No module named".

The loader, not the finder, raises for one more reason: finders run under Python's global import
lock, where importing anything (`refusal`, which builds the error) could wait for another thread
forever.

This file is run at the start of every guarded interpreter, by its path and before anything of ours
can be imported (see `startup/sitecustomize.py`): it imports nothing that Python has not loaded.
"""

import sys

TYPE_CHECKING = False  # as typing's, without the import of typing
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import FrameType, ModuleType
    from typing import Any

__all__ = [
    "DEFAULT_FORBIDDEN",
    "VARIABLE",
    "checked_name",
    "forbidden",
    "install",
    "install_wanted",
    "match",
    "source_of",
    "uninstall",
]

DEFAULT_FORBIDDEN = ("omni", "isaacsim", "carb", "pxr")
"""The modules of Isaac Sim, which belong to the simulator's process."""

VARIABLE = "ISTHMUS_FORBID_IMPORT"
"""Names with commas between; what an environment hands down to every Python below it."""

_BOOTSTRAP = sys.modules["_frozen_importlib"]


def install(
    forbidden: "Iterable[str]" = DEFAULT_FORBIDDEN, *, by: str = "", allow_loaded: bool = False
) -> "tuple[str, ...]":
    """Forbid modules, and all below them, in this interpreter from now on.

    A second call adds to the first. Children of this process are not concerned: they are guarded
    by their environment, see `isthmus.guard.STARTUP_FOLDER`.

    Args:
        forbidden: dotted names; "omni.isaac" forbids it and what is below it, not "omni".
        by: who forbids them, for the error's text; default the caller's place.
        allow_loaded: True only reports modules that are loaded already, and leaves them.

    Returns:
        The forbidden modules that are loaded already, sorted.

    Raises:
        ValueError: a name is not a module's name.
        ForbiddenImportError: some are loaded already; nothing is changed.
    """
    names = tuple(map(checked_name, [forbidden] if isinstance(forbidden, str) else forbidden))
    by = by or _place_of_call(sys._getframe(1))
    modules: dict[str, ModuleType | None] = sys.modules.copy()  # type: ignore[assignment]
    loaded = tuple(sorted(n for n in modules if modules[n] is not None and match(n, names)))
    if loaded and not allow_loaded:
        from isthmus.guard.refusal import too_late

        raise too_late(loaded, by)
    (_installed() or Finder()).forbid(dict.fromkeys(names, by))
    return loaded


def install_wanted(
    environ: "Mapping[str, str]", default: "Iterable[str]" = (), *, by: str = ""
) -> "tuple[str, ...]":
    """Forbid what the environment says; what `default` says where it says nothing.

    Args:
        environ: its `ISTHMUS_FORBID_IMPORT` has the names; set and empty forbids nothing.
        default: names forbidden where that is not set.
        by: who forbids the default.

    Returns:
        The names that are forbidden now.

    Raises:
        ValueError: a name is not a module's name.
        ForbiddenImportError: some are loaded already.
    """
    said = environ.get(VARIABLE)
    if said is not None:
        default = [name for name in (each.strip() for each in said.split(",")) if name]
        by = source_of(environ)
    names = tuple(default)
    if names:
        install(names, by=by or _place_of_call(sys._getframe(1)))
    return names


def source_of(environ: "Mapping[str, str]") -> str:
    """Say who set `ISTHMUS_FORBID_IMPORT`."""
    runtime = environ.get("ISTHMUS_RUNTIME")
    return f"forbid_import of [runtime.{runtime}] in isthmus.toml" if runtime else VARIABLE


def uninstall() -> None:
    """Forbid nothing any more in this interpreter."""
    finder = _installed()
    while finder is not None:
        sys.meta_path.remove(finder)
        finder = _installed()


def forbidden() -> "dict[str, str]":
    """List what is forbidden in this interpreter: by name, who forbids it."""
    finder = _installed()
    return dict(finder.forbidden) if finder else {}


def match(name: str, forbidden: "Iterable[str]") -> str:
    """Tell which of the forbidden names holds for a module; "" if none does."""
    for each in forbidden:
        if name == each or name.startswith(each + "."):
            return each
    return ""


def checked_name(name: str) -> str:
    """Return the name if it can be forbidden.

    Raises:
        ValueError: it cannot be a module's name, or is ours.
    """
    parts = name.split(".")
    if not all(part.isidentifier() for part in parts) or parts[0] == "isthmus":
        raise ValueError(
            f"expected the dotted name of a module to forbid, such as omni.isaac, got {name!r}"
        )
    return name


class Finder:
    """The finder of forbidden modules. All state of the guard is here, in `sys.meta_path`.

    Attributes:
        forbidden: by name, who forbids it.
    """

    isthmus_guard = True  # by which another copy of this file knows it

    def __init__(self) -> None:
        self.forbidden: dict[str, str] = {}
        self._tops: frozenset[str] = frozenset()

    def forbid(self, names: "Mapping[str, str]") -> None:
        """Add names, by name who forbids it, and stand before every other finder."""
        self.forbidden = {**names, **self.forbidden}  # a new one: other threads may be reading
        self._tops = frozenset(name.partition(".")[0] for name in self.forbidden)
        if self not in sys.meta_path[:1]:
            sys.meta_path.insert(0, self)
        while sys.meta_path.count(self) > 1:
            del sys.meta_path[sys.meta_path.index(self, 1)]

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        """Answer for a forbidden module; None leaves any other to the finders behind."""
        if name.partition(".")[0] not in self._tops:
            return None
        rule = match(name, self.forbidden)
        if not rule:
            return None
        found = self._ask_the_others(name, path, target)
        if found is None and not _is_import(sys._getframe(1)):
            return None
        return _refusing(name, Refusal(name, rule, self.forbidden[rule], found), found)

    def _ask_the_others(
        self, name: str, path: "Sequence[str] | None", target: "ModuleType | None"
    ) -> "ModuleSpec | None":
        finders = list(sys.meta_path)
        if self in finders:
            finders = finders[finders.index(self) + 1 :]
        else:  # somebody has wrapped us, and would ask us again
            finders = [sys.modules["_frozen_importlib_external"].PathFinder]
        for finder in finders:
            find_spec = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find_spec(name, path, target) if find_spec else None
            if spec is not None:
                return spec
        return None


class Refusal:
    """The loader of a forbidden module: it raises instead of loading.

    Questions about the module (is it a package, where is its file) go to its true loader.
    """

    def __init__(self, name: str, rule: str, by: str, spec: "ModuleSpec | None") -> None:
        self._name, self._rule, self._by = name, rule, by
        self._origin = spec.origin if spec else None
        self._loader = spec.loader if spec else None

    def create_module(self, spec: "ModuleSpec") -> "ModuleType":
        """Refuse an import."""
        raise self._refusal(sys._getframe(1))

    def exec_module(self, module: "ModuleType") -> None:
        """Refuse a reload."""
        raise self._refusal(sys._getframe(1))

    def load_module(self, name: str) -> "ModuleType":
        """Refuse an import in the manner of old."""
        raise self._refusal(sys._getframe(1))

    def get_code(self, name: str) -> object:
        """Refuse `python -m` and `runpy`."""
        raise self._refusal(sys._getframe(1))

    def __getattr__(self, attribute: str) -> "Any":
        if attribute.startswith("_"):  # also of a copy that has no _loader yet
            raise AttributeError(attribute)
        return getattr(self._loader, attribute)

    def _refusal(self, frame: "FrameType") -> ImportError:
        try:
            from isthmus.guard.refusal import refusal
        except ImportError:  # the program has taken us off its path: no chain, but a refusal
            text = f"{self._name} must not be imported: {self._by} forbids {self._rule}"
            return ModuleNotFoundError(text, name=self._name, path=self._origin)
        return refusal(frame, self._name, self._origin, f"{self._by} forbids {self._rule}")


def _refusing(name: str, loader: Refusal, found: "ModuleSpec | None") -> "ModuleSpec":
    """Copy a spec, which its finder may keep, and give the copy our loader."""
    make: Callable[..., ModuleSpec] = _BOOTSTRAP.ModuleSpec
    spec = make(name, loader, origin=found.origin if found else None)
    if found is not None:
        spec.submodule_search_locations = found.submodule_search_locations
        spec.has_location = found.has_location
    return spec


def _is_import(frame: "FrameType") -> bool:
    """Whether the finder's caller wants the module, rather than to know of it; False if unsure."""
    if frame.f_globals is not _BOOTSTRAP.__dict__ or frame.f_code.co_name != "_find_spec":
        return False
    caller = frame.f_back
    if caller is None:
        return False
    if caller.f_globals is _BOOTSTRAP.__dict__:
        return caller.f_code.co_name == "_find_and_load_unlocked"
    return caller.f_code.co_name == "reload" and caller.f_globals.get("__name__") == "importlib"


def _place_of_call(frame: "FrameType") -> str:
    return f"isthmus.guard.install() at {frame.f_code.co_filename}:{frame.f_lineno}"


def _installed() -> "Any":
    """Find the guard's finder, ours or that of another copy of this file."""
    for finder in sys.meta_path:
        if getattr(finder, "isthmus_guard", False) is True:
            return finder
    return None
