"""Keras' downloaded weights: which are there, whether they are whole, whether more can come."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from sightserve.doctor.report import Finding, ok, problem, size, warning
from sightserve.doctor.services import is_reachable
from sightserve.doctor.surroundings import Surroundings

_HDF5: Final = b"\x89HDF\r\n\x1a\n"
_SUPERBLOCK_BYTES: Final = 48
_ENDS: Final[Mapping[int, int]] = {0: 40, 1: 44, 2: 28, 3: 28}
"""Where the end-of-file address stands, by the superblock's version (HDF5 file format, II.A)."""
_LISTED: Final = 3


def check_weights(surroundings: Surroundings) -> Iterator[Finding]:
    """The cache of `keras.utils.get_file`, and whether its source answers."""
    folder = _folder(surroundings.environment)
    try:
        files = sorted(each for each in folder.iterdir() if each.suffix in {".h5", ".json"})
        broken = [(each, reason) for each in files if (reason := _broken(each))]
    except FileNotFoundError:
        files, broken = [], []
    except OSError as error:
        yield problem(
            "weights", f"{folder}: {error.strerror}", "set KERAS_HOME to a folder of yours"
        )
        return
    for file, reason in broken:
        yield problem("weights", f"{file}: {reason}", f"rm '{file}' and export again: downloads it")
    whole = [each for each in files if each not in {file for file, _ in broken}]
    listed = ", ".join(each.name for each in whole[:_LISTED])
    more = f" and {len(whole) - _LISTED} more" if len(whole) > _LISTED else ""
    held = f"{folder} holds {listed}{more}" if whole else f"{folder} holds no weights"
    if whole:
        held += f" ({size(sum(each.stat().st_size for each in whole))})"
    if is_reachable(surroundings.weights_url, timeout_seconds=surroundings.timeout_seconds):
        yield ok("weights", f"{held}; the download server answers")
    else:
        yield warning(
            "weights",
            f"{held}; offline: nothing can be downloaded",
            f"fetch weights elsewhere, then --weights FILE, or put them into {folder}",
        )


def _folder(environment: Mapping[str, str]) -> Path:
    home = environment.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "models"


def _broken(file: Path) -> str | None:
    """Why a file of the cache is of no use; None: it looks whole."""
    if file.suffix == ".json":
        try:
            json.loads(file.read_bytes())
        except ValueError:
            return "no JSON: a download that was cut off"
        return None
    with file.open("rb") as stream:
        head = stream.read(_SUPERBLOCK_BYTES + 4)
    if not head.startswith(_HDF5):
        return "no HDF5 file: a download that went wrong"
    at = _ENDS.get(head[8]) if len(head) > _SUPERBLOCK_BYTES else None
    if at is None:
        return "an HDF5 file without a head: a download that was cut off"
    end = int.from_bytes(head[at : at + 8], "little")
    there = file.stat().st_size
    return f"cut off: {there} of {end} bytes" if there < end else None
