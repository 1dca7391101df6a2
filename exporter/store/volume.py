"""What a volume says when it cannot be written, as one line with the path and what to do."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from exporter.errors import ExporterError, FailedError, RefusedError, UsageError

_HINTS: Final = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EROFS: "mount it writable, or choose another --base-path",
    errno.EACCES: "run as its owner, or choose another --base-path",
    errno.EPERM: "run as its owner, or choose another --base-path",
    errno.EEXIST: "a file is in the way; choose another --base-path",
    errno.ENOTDIR: "a file is in the way; choose another --base-path",
    errno.ENAMETOOLONG: "choose a shorter --name",
}
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_OF_VOLUMES: Final = frozenset({*_FULL, errno.EROFS, errno.EIO, errno.EFBIG, errno.ESTALE})
"""Which system errors are the volume's, whatever library met them."""


def failure(path: Path, error: OSError) -> FailedError:
    """The error of a volume, with its path and what to do."""
    hint = _HINTS.get(error.errno or 0)
    return FailedError(
        f"cannot write to {path}: {error.strerror}" + (f"; {hint} and run again" if hint else "")
    )


@contextmanager
def failures_named(path: Path) -> Iterator[None]:
    """Within it whatever a full or failing volume makes libraries raise becomes our error.

    TensorFlow raises errors of its own, and zipfile hides the system's behind a ValueError.

    Raises:
        FailedError: the volume of `path` is full or failing.
    """
    try:
        yield
    except (RefusedError, UsageError):
        raise
    except Exception as error:
        found = _of_volume(error)
        if found is None and not isinstance(error, ExporterError) and is_full(path):
            found = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if found is None:
            raise
        raise failure(path, found) from error


def is_full(path: Path) -> bool:
    """Whether not one block is left for us."""
    return free_bytes(path) == 0


def free_bytes(path: Path) -> int:
    """What a process without privileges may still write to the volume."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def _of_volume(error: BaseException) -> OSError | None:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _OF_VOLUMES:
            return cause
        for number in _FULL:
            if os.strerror(number) in str(cause):
                return OSError(number, os.strerror(number))
        cause = cause.__cause__ or cause.__context__
    return None
