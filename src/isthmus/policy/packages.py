"""How the package that is missing comes in: said alike wherever one is."""

from __future__ import annotations

__all__ = ["how_to_install"]


def how_to_install(*packages: str) -> str:
    """Two ways, since a runtime of the project is rebuilt from its requirements.

    Args:
        packages: as a package index calls them, which `import` may not.
    """
    wanted = ", ".join(f'"{package}"' for package in packages)
    return (
        f"`pip install {' '.join(packages)}` in this Python, or, in a project, add {wanted} to "
        "`requirements` of its [runtime.NAME] in isthmus.toml"
    )
