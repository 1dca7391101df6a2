"""From a staged folder to a visible version in one rename; killed at any instant: all or nothing.

    models/NAME/.staging-1f2e…/1/     written here; hidden from model servers: no integer name
               │  files and folders flushed to disk
               ▼  rename, under the model's lock
    models/NAME/7/

Locks are `flock`s on the folders themselves. The kernel drops them when a process dies, however it
dies, so a staging folder that can be locked has no owner any more and is cleared by the next run.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from exporter import interruption
from exporter.errors import UsageError
from exporter.store import volume
from exporter.store.version_numbers import (
    next_version,
    quarantine_path,
    require_free,
    version_path,
)

_PREFIX: Final = ".staging-"
_REMOVED_PREFIX: Final = ".removed-"
_STAGED_VERSION: Final = "1"
"""An integer, so that a model server can serve the staging folder as a base path."""

_IN_THE_WAY: Final = frozenset({errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR})
"""What rename says of a name that somebody without our lock has taken a moment ago."""


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
        with _locked(self._model_path), interruption.held():
            interruption.require_none()  # the last word: from here on it is published
            published = self._rename_to_next() if version is None else self._rename(version)
            interruption.ignore()
            _flush_folder(self._model_path)
        return published

    def _rename_to_next(self) -> Path:
        while True:
            try:
                return self._rename(next_version(self._model_path))
            except OSError as error:
                if error.errno not in _IN_THE_WAY:
                    raise

    def _rename(self, version: int) -> Path:
        require_free(self._model_path, version)
        published = self._model_path / str(version)
        # Refuses a folder with anything in it, should someone without our lock have made one.
        self.version_path.rename(published)
        return published


@contextmanager
def staging(model_path: Path) -> Iterator[Staging]:
    """Make a staging folder, clear those of dead processes; leave nothing behind on errors.

    Raises:
        FailedError: the folder cannot be written or locked, or the volume ran full.
    """
    had_base_path = model_path.parent.exists()
    with interruption.held():
        path, descriptor = _claim_or_fail(model_path)
    try:
        interruption.require_none()
        with volume.failures_named(model_path):
            yield Staging(model_path, path)
    finally:
        with interruption.held():
            shutil.rmtree(path, ignore_errors=True)
            os.close(descriptor)
            _remove_if_empty(model_path)
            if not had_base_path:
                _remove_folder_if_empty(model_path.parent)


def remove(model_path: Path, version: int) -> None:
    """Take a version away: hidden by one rename, then deleted, so that nobody sees a part of it.

    What an earlier removal that was killed has left hidden goes too.

    Raises:
        UsageError: there is no such version.
    """
    with ExitStack() as uncut:
        with _locked(model_path):
            uncut.enter_context(interruption.held())
            interruption.require_none()
            path = version_path(model_path, version)
            if path is None:
                raise UsageError(f"there is no version {version} of {model_path.name}")
            hidden = path.rename(model_path / f"{_REMOVED_PREFIX}{secrets.token_hex(8)}")
            _flush_folder(model_path)
        shutil.rmtree(hidden)
        for left in model_path.glob(f"{_REMOVED_PREFIX}*"):
            shutil.rmtree(left, ignore_errors=True)


def quarantine(model_path: Path, version: int) -> Path:
    """Hide a version from model servers by one rename; where it lies now.

    Raises:
        UsageError: there is no such version, or another one of its number is in quarantine.
    """
    hidden = quarantine_path(model_path, version)
    with _locked(model_path), interruption.held():
        interruption.require_none()
        path = version_path(model_path, version)
        if path is None:
            raise UsageError(f"there is no version {version} of {model_path.name}")
        if hidden.exists():
            raise UsageError(f"{hidden} is in the way: another version {version} is in quarantine")
        path.rename(hidden)
        interruption.ignore()
        _flush_folder(model_path)
    return hidden


def release(model_path: Path, version: int) -> Path:
    """Make a version visible again that was in quarantine; where it lies now.

    Raises:
        UsageError: it is not in quarantine, or its number is taken.
    """
    hidden = quarantine_path(model_path, version)
    with _locked(model_path), interruption.held():
        interruption.require_none()
        if not hidden.is_dir():
            raise UsageError(f"version {version} of {model_path.name} is not in quarantine")
        if version_path(model_path, version):
            raise UsageError(f"there is another version {version} of {model_path.name}")
        path = hidden.rename(model_path / str(version))
        interruption.ignore()
        _flush_folder(model_path)
    return path


def _claim_or_fail(model_path: Path) -> tuple[Path, int]:
    try:
        return _claim(model_path)
    except OSError as error:
        raise volume.failure(model_path, error) from error


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
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # its owner has just cleaned up, or is another user, or it is no folder
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
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
    if model_path.exists():
        with suppress(OSError), _locked(model_path):
            model_path.rmdir()


def _remove_folder_if_empty(path: Path) -> None:
    with suppress(OSError):
        path.rmdir()


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
