"""What every test may ask for: the project's folder, its settings, and the other Pythons."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from isthmus.guard import forbidden, uninstall
from isthmus.runtimes import Environment, built_environments

ROOT = Path(__file__).resolve().parent.parent

# No test lets ONNX Runtime report to its makers, whoever imports it; `isthmus.policy.onnx` says
# the same for itself.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-environments",
        action="store_true",
        help="fail, rather than skip, the tests that need environments which were not built",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `other_python` once for each Python built for it."""
    if "other_python" in metafunc.fixturenames:
        built = bare_environments()
        metafunc.parametrize(
            "other_python",
            built or [None],
            ids=[f"{each.minor}-{each.lock}" for each in built] or ["none"],
            indirect=True,
        )


def bare_environments() -> list[Environment]:
    """List the environments with numpy alone, oldest Python first."""
    built = built_environments(ROOT / ".envs").values()
    bare = [each for each in built if each.name.startswith("test-")]
    return sorted(bare, key=lambda each: tuple(map(int, each.version.split("."))))


def _missing(config: pytest.Config, what: str) -> None:
    message = f"{what} is not built; `make test` builds it"
    if config.getoption("--require-environments"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture
def other_python(request: pytest.FixtureRequest) -> Environment:
    """An environment with numpy alone and this checkout's isthmus; one test run for each."""
    if request.param is None:
        _missing(request.config, "an environment for another Python (.envs/test-*)")
    environment: Environment = request.param
    return environment


@pytest.fixture(autouse=True)
def unguarded() -> Iterator[None]:
    """Take a guard back that `isthmus serve`, run in this process, has put up."""
    yield
    if forbidden():
        uninstall()


@pytest.fixture(scope="session")
def oldest_python(pytestconfig: pytest.Config) -> Environment:
    """The environment with numpy alone on the oldest Python found, with the oldest numpy."""
    if not bare_environments():
        _missing(pytestconfig, "an environment for another Python (.envs/test-*)")
    return bare_environments()[0]


@pytest.fixture(scope="session")
def newest_python(pytestconfig: pytest.Config) -> Environment:
    """The environment with numpy alone on the newest Python found, with the newest numpy."""
    if not bare_environments():
        _missing(pytestconfig, "an environment for another Python (.envs/test-*)")
    return bare_environments()[-1]


@pytest.fixture(scope="session")
def sim_runtime(pytestconfig: pytest.Config) -> Environment:
    """The simulator's runtime, as `make demo` uses it: numpy, MuJoCo, Gymnasium."""
    return _runtime(pytestconfig, "sim")


@pytest.fixture(scope="session")
def policy_runtime(pytestconfig: pytest.Config) -> Environment:
    """The policy's runtime, as `make demo` uses it: numpy, ONNX Runtime."""
    return _runtime(pytestconfig, "policy")


def _runtime(config: pytest.Config, name: str) -> Environment:
    built = built_environments(ROOT / ".envs")
    if name not in built:
        _missing(config, f"the runtime .envs/{name}")
    return built[name]


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def pyproject() -> Mapping[str, Any]:
    """The project's settings."""
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    settings: Mapping[str, Any] = toml.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return settings
