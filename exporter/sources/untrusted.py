"""A look into a model file before a library loads it: what it claims against what it holds.

A `.keras` file is an archive, `.h5` is HDF5; both can claim gigabytes in a few kilobytes, by
compression, by datasets of which nothing is stored, or by pointing at other files. Reading tables
of contents costs milliseconds and needs no TensorFlow. What a file claims in its layers' settings
shows only while it is loaded: see `memory_limit`.
"""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import h5py  # type: ignore[import-untyped]  # ships no types

from exporter.errors import RefusedError

DEFAULT_MAX_BYTES: Final = 4_000_000_000
_STEP: Final = "source"
_MAX_PARTS: Final = 100_000
"""Archive members, or groups and datasets: the largest Keras application has some 6,000."""
_MAX_EXPANSION: Final = 100
_EXPANSION_FLOOR_BYTES: Final = 64_000_000
"""Below it compression harms nobody: a network whose weights are all zero stays allowed."""
_ARRAYS: Final = (".h5", ".npz")
_GIGABYTE: Final = 1e9

_BROKEN: Final = (
    *(OSError, RuntimeError, ValueError, KeyError),  # h5py's words
    *(zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error),
)
"""What libraries say of a file that is damaged, encrypted, or of another format."""


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes on disk, and bytes once they are read."""

    stored: int = 0
    claimed: int = 0

    def __add__(self, other: Size) -> Size:
        return Size(self.stored + other.stored, self.claimed + other.claimed)


def require_harmless(path: Path, max_bytes: int = DEFAULT_MAX_BYTES) -> int:
    """Refuse a file that claims more than a limit, or far more than it holds.

    Args:
        path: `.keras`, `.h5` or weights; a file of neither format passes, its library says so.
        max_bytes: the limit.

    Returns:
        How many bytes it takes when it is read.

    Raises:
        RefusedError: too large, a bomb, or made of other files.
    """
    with path.open("rb") as file:
        return _look(file, path, max_bytes).claimed


def _look(file: IO[bytes], path: Path, max_bytes: int) -> Size:
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                return _look_at_archive(archive, path, max_bytes)
        file.seek(0)
        with h5py.File(file, "r") as hdf5:
            return _checked(sum(_sizes(hdf5, path), Size()), path, max_bytes)
    except _BROKEN:  # its library says it better; bounded_memory holds then, too
        size = file.seek(0, os.SEEK_END)
        return Size(size, size)


def _look_at_archive(archive: zipfile.ZipFile, path: Path, max_bytes: int) -> Size:
    members = archive.infolist()
    _require_few(len(members), path)
    total = Size()
    for member in members:
        total += Size(member.compress_size, member.file_size)
    total = _checked(total, path, max_bytes)
    for member in members:
        if member.filename.endswith(_ARRAYS):
            with archive.open(member) as packed, _seekable(packed, member) as file:
                inside = _look(file, path, max_bytes)
            total = Size(total.stored, max(total.claimed, inside.claimed))
    return total


@contextmanager
def _seekable(packed: IO[bytes], member: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
    """As it lies in the archive, or unpacked: seeking back in what is compressed starts again."""
    if member.compress_type == zipfile.ZIP_STORED:
        yield packed
        return
    with tempfile.TemporaryFile() as unpacked:
        shutil.copyfileobj(packed, unpacked)
        unpacked.seek(0)
        yield unpacked


def _sizes(hdf5: Any, path: Path) -> Iterator[Size]:
    """Of each dataset, however many names it has; follows no link out of the file."""
    waiting, seen = [hdf5], set()
    while waiting:
        group = waiting.pop()
        for name in group:
            if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
                raise RefusedError(f"{path}: {name} in it is a link to another file", step=_STEP)
            if isinstance(group.get(name, getlink=True), h5py.SoftLink):
                continue  # to what has a name of its own, or to nothing
            found = group[name]
            address = h5py.h5o.get_info(found.id).addr
            if address in seen:
                continue
            seen.add(address)
            _require_few(len(seen), path)
            if isinstance(found, h5py.Group):
                waiting.append(found)
            elif isinstance(found, h5py.Dataset):
                yield _size(found, path)


def _size(dataset: Any, path: Path) -> Size:
    if dataset.external or dataset.is_virtual:
        raise RefusedError(f"{path}: {dataset.name} in it lies in another file", step=_STEP)
    claimed = math.prod(dataset.shape or ()) * dataset.dtype.itemsize
    return Size(dataset.id.get_storage_size(), claimed)


def _require_few(count: int, path: Path) -> None:
    if count > _MAX_PARTS:
        raise RefusedError(f"{path}: it has more than {_MAX_PARTS} parts", step=_STEP)


def _checked(size: Size, path: Path, max_bytes: int) -> Size:
    if size.claimed > _EXPANSION_FLOOR_BYTES + _MAX_EXPANSION * size.stored:
        raise RefusedError(
            f"{path}: it holds {size.stored / _GIGABYTE:.4f} GB and claims "
            f"{size.claimed / _GIGABYTE:.1f} GB: a bomb; save the model again, uncompressed",
            step=_STEP,
        )
    if size.claimed > max_bytes:
        raise RefusedError(
            f"{path}: reading it takes {size.claimed / _GIGABYTE:.1f} GB, allowed are "
            f"{max_bytes / _GIGABYTE:g}; if you trust it, set EXPORTER_MAX_SOURCE_GB",
            step=_STEP,
        )
    return size
