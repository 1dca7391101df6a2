"""Builds the wheel: setuptools, on a copy of the tree in which our packages lie below `sightserve`.

The repository's folders (app, exporter, …) are too common as names for what pip puts beside other
people's packages. Why they are moved here and not in the repository: docs/adr/0022.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from setuptools import build_meta

sys.path.insert(0, str(Path(__file__).parent))
import moving

get_requires_for_build_wheel = build_meta.get_requires_for_build_wheel
get_requires_for_build_sdist = build_meta.get_requires_for_build_sdist
prepare_metadata_for_build_wheel = build_meta.prepare_metadata_for_build_wheel
build_sdist = build_meta.build_sdist

_BESIDE = ("pyproject.toml", "README.md", "LICENSE")


def build_wheel(
    wheel_directory: str,
    config_settings: dict[str, Any] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """PEP 517's hook: the wheel's file name."""
    directory = str(Path(wheel_directory).resolve())
    with _moved_tree():
        return build_meta.build_wheel(directory, config_settings, metadata_directory)


def build_editable(*_: object) -> str:
    """PEP 660's hook, which cannot be: imports are rewritten when a wheel is built."""
    raise SystemExit(
        "error: no editable install: the wheel's imports are not those of this checkout. "
        "Here, `make .venv/.dev` sets up everything, and .venv/bin/sightserve is the command."
    )


@contextmanager
def _moved_tree() -> Iterator[None]:
    """Work in a copy whose only package is `sightserve`."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="sightserve-build-") as folder:
        there = Path(folder)
        for name in _BESIDE:
            shutil.copy2(here / name, there)
        moving.move(here, there)
        os.chdir(there)
        try:
            yield
        finally:
            os.chdir(here)
