"""Which folders are versions, and which numbers a new version may take.

TensorFlow Serving takes a directory for a version if its whole name is an integer of 64 bits: 1,
002 and -4 are, v3, .x and 9223372036854775808 are not. Its REST API cannot name negative ones, so
none is published.
"""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from typing import Final

from exporter.errors import UsageError

_LARGEST: Final = 2**63 - 1
_INT64: Final = range(-(2**63), _LARGEST + 1)
_QUARANTINED_PREFIX: Final = ".quarantined-"
_MAX_DIGITS: Final = 19
"""Of an int64; int() of a name of thousands would be an error of its own."""


def versions(model_path: Path) -> list[int]:
    """The versions below a model's folder, ascending, as TensorFlow Serving reads them."""
    if not model_path.is_dir():
        return []
    numbers = [_version_of(entry.name) for entry in model_path.iterdir() if entry.is_dir()]
    return sorted(number for number in numbers if number is not None)


def version_path(model_path: Path, version: int) -> Path | None:
    """The folder of a version, however its number is spelled (`7`, `007`)."""
    if not model_path.is_dir():
        return None
    found = (path for path in model_path.iterdir() if _version_of(path.name) == version)
    return next((path for path in found if path.is_dir()), None)


def quarantine_path(model_path: Path, version: int) -> Path:
    """Where a version lies while no model server may see it."""
    return model_path / f"{_QUARANTINED_PREFIX}{version}"


def quarantined(model_path: Path) -> list[int]:
    """The versions in quarantine, ascending."""
    found = model_path.glob(f"{_QUARANTINED_PREFIX}*")
    numbers = [_version_of(path.name.removeprefix(_QUARANTINED_PREFIX)) for path in found]
    return sorted(number for number in numbers if number is not None)


def split_version(text: str) -> tuple[str, int | None]:
    """Read `digits:3` as a model's name and a number; without a number all of it is a name."""
    name, colon, number = text.rpartition(":")
    version = _version_of(number) if colon and not number.startswith("-") else None
    return (text, None) if version is None else (name, version)


def next_version(model_path: Path) -> int:
    """The lowest number above all versions whose name nothing else has, such as a stray file.

    Those in quarantine count: whoever remembers a number must not meet another model under it.

    Raises:
        UsageError: the highest version has the last number that there is.
    """
    numbers = count(max((0, *versions(model_path), *quarantined(model_path))) + 1)
    number = next(n for n in numbers if not os.path.lexists(model_path / str(n)))
    if number > _LARGEST:
        raise UsageError(
            f"{model_path.name} has version {_LARGEST}, the last one that a model server can read; "
            "remove it, or choose a number with --version"
        )
    return number


def require_free(model_path: Path, version: int) -> None:
    """Refuse a version that exists or cannot.

    Raises:
        UsageError: it exists, something else has its name, or no model server would see it.
    """
    if not 0 <= version <= _LARGEST:
        raise UsageError(
            f"--version {version}: model servers see versions from 0 to {_LARGEST} only; "
            "leave it out to get the next one"
        )
    if version_path(model_path, version):
        existing = ", ".join(map(str, versions(model_path)))
        raise UsageError(
            f"version {version} of {model_path.name} exists (there are {existing}); "
            "leave --version out to get the next one"
        )
    if version in quarantined(model_path):
        raise UsageError(
            f"version {version} of {model_path.name} is in quarantine; "
            "leave --version out to get the next one"
        )
    if os.path.lexists(model_path / str(version)):
        raise UsageError(
            f"--version {version}: {model_path / str(version)} is in the way and no version; "
            "remove it, or leave --version out"
        )


def _version_of(name: str) -> int | None:
    digits = name.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS):
        return None
    number = int(name)
    return number if number in _INT64 else None
