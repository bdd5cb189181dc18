"""The two ways to fill an environment: uv where it can be had, else pip.

Both install exactly what a lock says and check its hashes. Neither names an index: the one that the
user's machine is set up with is used.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes.cleaning import clean
from isthmus.runtimes.interpreters import Interpreter, probe
from isthmus.runtimes.making.folders import empty_folder, finish, held, held_locks, is_unfinished

Say = Callable[[str], None]

_INSTALL_TIMEOUT = 1800.0  # seconds; PyTorch over a slow line


class Installer(Protocol):
    """Creates environments and installs locked packages into them.

    Attributes:
        name: "uv" or "pip".
    """

    name: str

    def create(self, interpreter: Interpreter, folder: Path) -> None:
        """Make an empty environment of `interpreter` in `folder`, replacing what is there.

        It counts as half made until `folders.finish` is called.
        """

    def install(self, folder: Path, lock: Path) -> None:
        """Make the packages of the environment exactly those of `lock`."""


class UvInstaller:
    """Uses uv: seconds instead of minutes, and packages shared between environments.

    Args:
        uv: the executable.
        environ: as `os.environ`.
    """

    name = "uv"

    def __init__(self, uv: Path, environ: Mapping[str, str]) -> None:
        self._uv = os.fspath(uv)
        # The system's certificates, as pip: a proxy's own authority is known there only.
        # A second name for the same switch serves older releases of uv.
        self._environ = {
            **clean(environ).environ,
            "UV_SYSTEM_CERTS": "1",
            "UV_NATIVE_TLS": "1",
            "UV_PYTHON_DOWNLOADS": "never",
        }

    def create(self, interpreter: Interpreter, folder: Path) -> None:
        """Make an empty environment of `interpreter` in `folder`, replacing what is there."""
        empty_folder(folder)
        python = os.fspath(interpreter.path)
        self.run("venv", "--quiet", "--no-project", "--python", python, str(folder))

    def install(self, folder: Path, lock: Path) -> None:
        """Make the packages of the environment exactly those of `lock`."""
        options = ["--quiet", "--compile-bytecode"]
        options += ["--require-hashes"] if has_hashes(lock) else []
        python = os.fspath(python_of(folder))
        self.run("pip", "sync", *options, "--python", python, str(lock))

    def run(self, *arguments: str, text: str = "", folder: Path | None = None) -> str:
        """Run uv; see `run_tool`."""
        return run_tool([self._uv, *arguments], self._environ, text=text, folder=folder)


class PipInstaller:
    """Uses `python -m venv` and its pip: slower, and always there.

    Args:
        environ: as `os.environ`.
    """

    name = "pip"

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = {**clean(environ).environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}

    def create(self, interpreter: Interpreter, folder: Path) -> None:
        """Make an empty environment of `interpreter` in `folder`, replacing what is there."""
        # A kept answer may be older than the module that was missing then.
        now = interpreter if interpreter.has_venv else probe(interpreter.path)
        if now is None or not now.has_venv:
            raise EnvironmentSetupError(
                f"{interpreter} cannot make environments: its venv or ensurepip module is missing. "
                f"Install it (on Debian and Ubuntu: apt install python{interpreter.minor}-venv) "
                "or put uv on PATH."
            )
        empty_folder(folder)
        run_tool([os.fspath(interpreter.path), "-m", "venv", str(folder)], self._environ)

    def install(self, folder: Path, lock: Path) -> None:
        """Make the packages of the environment those of `lock`; pip adds and never removes."""
        options = ["--quiet", *(["--require-hashes"] if has_hashes(lock) else [])]
        self.run(folder, "install", *options, "-r", str(lock))

    def run(
        self, environment: Path, *arguments: str, text: str = "", folder: Path | None = None
    ) -> str:
        """Run the pip of an environment; see `run_tool`."""
        command = [os.fspath(python_of(environment)), "-m", "pip", *arguments]
        return run_tool(command, self._environ, text=text, folder=folder)


def choose_installer(
    folder: Path, lock: Path, interpreter: Interpreter, environ: Mapping[str, str], say: Say
) -> UvInstaller | PipInstaller:
    """Get uv into an environment of its own; else use the one on PATH; else pip.

    Of several at once one installs it, and the others wait.

    Args:
        folder: where uv's environment is, or is to be made.
        lock: pins uv.
        interpreter: makes the environment.
        environ: as `os.environ`.
        say: told, in one line, when uv cannot be had.
    """
    with held(folder):
        uv = uv_in(folder)
        if uv is not None and _answers(uv, environ):
            return UvInstaller(uv, environ)
        pip = PipInstaller(environ)
        try:
            pip.create(interpreter, folder)
            pip.install(folder, lock)
            finish(folder)
        except EnvironmentSetupError as error:
            on_path = shutil.which("uv", path=environ.get("PATH"))
            why = str(error).splitlines()[-1]
            say(f"uv could not be installed ({why}); using {on_path or 'pip'}")
            return UvInstaller(Path(on_path), environ) if on_path else pip
    return UvInstaller(_uv_of(folder), environ)


def uv_in(folder: Path) -> Path | None:
    """Name the uv of an environment; None if it is not there, or not whole. Nothing is run."""
    uv = _uv_of(folder)
    return uv if os.access(uv, os.X_OK) and not is_unfinished(folder) else None


def _uv_of(folder: Path) -> Path:
    return python_of(folder).with_name("uv.exe" if os.name == "nt" else "uv")


def _answers(uv: Path, environ: Mapping[str, str]) -> bool:
    """Tell whether it starts: half of a program may be there, or one for another machine."""
    try:
        UvInstaller(uv, environ).run("--version")
    except EnvironmentSetupError:
        return False
    return True


def python_of(folder: Path) -> Path:
    """Name the interpreter of the environment in `folder`."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def has_hashes(lock: Path) -> bool:
    """Tell whether a lock pins all that it installs by content."""
    text = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and line.lstrip()[0] not in "#-"]
    return bool(lines) and all("--hash=" in line for line in lines)


def run_tool(
    command: Sequence[str],
    environ: Mapping[str, str],
    *,
    text: str = "",
    folder: Path | None = None,
) -> str:
    """Run a tool to its end and return what it printed.

    Args:
        command: program and arguments.
        environ: its environment.
        text: what it reads from its standard input.
        folder: where it runs; None is here.

    Raises:
        EnvironmentSetupError: it could not be started, failed or took too long; with its last
            words.
    """
    try:
        done = subprocess.run(
            list(command),
            input=text,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=dict(environ),
            timeout=_INSTALL_TIMEOUT,
            pass_fds=held_locks(),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentSetupError(f"could not run {' '.join(command)}: {error}") from error
    if done.returncode != 0:
        last_words = "\n".join(done.stdout.strip().splitlines()[-15:])
        raise EnvironmentSetupError(
            f"{' '.join(command)} failed with status {done.returncode}:\n{last_words}"
        )
    return done.stdout
