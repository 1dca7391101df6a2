"""From a staged folder to a visible version in one rename; killed at any instant: all or nothing.

    models/NAME/.staging-1f2e…/1/     written here; hidden from model servers: no integer name
               │  files and folders flushed to disk
               ▼  rename, under the model's lock
    models/NAME/7/

Locks are `flock`s on the folders themselves. The kernel drops them when a process dies, however it
dies, so a staging folder that can be locked has no owner any more and is cleared by the next run.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from exporter.errors import FailedError, UsageError

_PREFIX: Final = ".staging-"
_REMOVED_PREFIX: Final = ".removed-"
_STAGED_VERSION: Final = "1"
"""An integer, so that a model server can serve the staging folder as a base path."""


class Staging:
    """A private folder beside the versions, owned by this process until it is left."""

    def __init__(self, model_path: Path, path: Path) -> None:
        self.base_path = path
        self.version_path = path / _STAGED_VERSION
        self._model_path = model_path

    def publish(self, version: int | None = None) -> Path:
        """Make the staged version visible under the next, or the given, integer.

        Raises:
            UsageError: the given version exists.
        """
        _flush(self.version_path)
        with _locked(self._model_path):
            taken = versions(self._model_path)
            number = max((0, *taken)) + 1 if version is None else version
            require_free(self._model_path, number)
            published = self._model_path / str(number)
            # Refuses a folder with anything in it, should someone without our lock have made one.
            self.version_path.rename(published)
            _flush_folder(self._model_path)
        return published


@contextmanager
def staging(model_path: Path) -> Iterator[Staging]:
    """Make a staging folder, clear those of dead processes; leave nothing behind on errors.

    Raises:
        FailedError: the folder cannot be written or locked.
    """
    try:
        path, descriptor = _claim(model_path)
    except OSError as error:
        raise FailedError(f"cannot write to {model_path}: {error.strerror}") from error
    try:
        yield Staging(model_path, path)
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)
        _remove_if_empty(model_path)


def versions(model_path: Path) -> list[int]:
    """The versions below a model's folder, ascending, as TensorFlow Serving reads them.

    A folder is a version if its whole name is an integer: 1, 002 and -4 are, v3 and .x are not.
    """
    if not model_path.is_dir():
        return []
    numbers = [_version_of(entry.name) for entry in model_path.iterdir() if entry.is_dir()]
    return sorted(number for number in numbers if number is not None)


def version_path(model_path: Path, version: int) -> Path | None:
    """The folder of a version, however its number is spelled (`7`, `007`)."""
    if not model_path.is_dir():
        return None
    return next((p for p in model_path.iterdir() if _version_of(p.name) == version), None)


def require_free(model_path: Path, version: int) -> None:
    """Refuse a version that exists.

    Raises:
        UsageError: it does; nothing is ever overwritten.
    """
    if version_path(model_path, version):
        existing = ", ".join(map(str, versions(model_path)))
        raise UsageError(
            f"version {version} of {model_path.name} exists (there are {existing}); "
            "leave --version out to get the next one"
        )


def remove(model_path: Path, version: int) -> None:
    """Take a version away: hidden by one rename, then deleted, so that nobody sees a part of it.

    What an earlier removal that was killed has left hidden goes too.

    Raises:
        UsageError: there is no such version.
    """
    with _locked(model_path):
        path = version_path(model_path, version)
        if path is None:
            raise UsageError(f"there is no version {version} of {model_path.name}")
        hidden = path.rename(model_path / f"{_REMOVED_PREFIX}{secrets.token_hex(8)}")
        _flush_folder(model_path)
    shutil.rmtree(hidden)
    for left in model_path.glob(f"{_REMOVED_PREFIX}*"):
        shutil.rmtree(left, ignore_errors=True)


def _version_of(name: str) -> int | None:
    digits = name.removeprefix("-")
    return int(name) if digits.isascii() and digits.isdigit() else None


def _claim(model_path: Path) -> tuple[Path, int]:
    """Under the model's lock, so that no other exporter meets the new folder unlocked."""
    with _locked(model_path):
        _clear_abandoned(model_path)
        path = model_path / f"{_PREFIX}{secrets.token_hex(8)}"
        path.mkdir()
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return path, descriptor


def _clear_abandoned(model_path: Path) -> None:
    for path in model_path.glob(f"{_PREFIX}*"):
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue  # its owner has just cleaned up
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue  # its owner lives
        else:
            shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(descriptor)


@contextmanager
def _locked(model_path: Path) -> Iterator[None]:
    """Hold the model's folder; made if need be."""
    while True:
        model_path.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(model_path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue  # removed as empty by another exporter in between
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if _is_same(descriptor, model_path):
            break
        os.close(descriptor)  # we waited for a folder that is gone by now
    try:
        yield
    finally:
        os.close(descriptor)


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _remove_if_empty(model_path: Path) -> None:
    """A failed first export leaves no empty model behind; rmdir takes nothing but empty folders."""
    try:
        with _locked(model_path):
            model_path.rmdir()
    except OSError:
        return


def _flush(folder: Path) -> None:
    """Write everything below to disk, children before their folder."""
    for parent, _, files in os.walk(folder, topdown=False):
        for name in files:
            _flush_file(Path(parent) / name)
        _flush_folder(Path(parent))
    _flush_folder(folder.parent)


def _flush_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _flush_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
