"""The version that runs: the installed distribution's, else that of the checkout."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

_PROJECT: Final = Path(__file__).parents[1] / "pyproject.toml"
_UNKNOWN: Final = "0"


def running_version() -> str:
    """Such as 0.1.0; "0" where nothing says it."""
    try:
        return version("sightserve")
    except PackageNotFoundError:  # a checkout, or a container image of the code alone
        return _project_version()


def _project_version() -> str:
    try:
        found: str = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]["version"]
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        return _UNKNOWN
    return found
