"""Whether a version could be written, asked before the minutes that it takes to make one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from exporter.errors import FailedError
from exporter.store import volume
from exporter.store.publish import staging
from exporter.store.version_numbers import next_version, require_free

_MEGABYTE: Final = 1_000_000
_MIN_BYTES: Final = 4 * _MEGABYTE
"""Graph, golden images and warmup records of the smallest model, with room to spare."""
_FACTOR: Final = 1.2
"""Of the source's bytes: measured 1.0, frozen or with variables."""


def require_publishable(
    model_path: Path, version: int | None, *, source_bytes: int | None = None
) -> None:
    """Choose the number, make and remove a staging folder, look at the free space.

    Args:
        model_path: the folder of the model.
        version: the wanted number; None: the next.
        source_bytes: the size of the weights, where it is known.

    Raises:
        UsageError: the number is taken or none that model servers see.
        FailedError: read-only, not ours, full, a file in the way, a name that is too long.
    """
    try:
        if version is None:
            next_version(model_path)
        else:
            require_free(model_path, version)
    except OSError as error:
        raise volume.failure(model_path, error) from error
    needed = _MIN_BYTES + int(_FACTOR * (source_bytes or 0))
    with staging(model_path) as staged:
        _require_space(model_path, needed)
        _try_to_write(staged.base_path / "probe")


def _require_space(model_path: Path, needed_bytes: int) -> None:
    free = volume.free_bytes(model_path)
    if free < needed_bytes:
        raise FailedError(
            f"{model_path}: {free / _MEGABYTE:.1f} MB are free and a version needs some "
            f"{needed_bytes / _MEGABYTE:.0f} MB; free some space or choose another --base-path"
        )


def _try_to_write(path: Path) -> None:
    """A quota counts here and not in the free space."""
    with path.open("wb") as file:
        file.write(b"0")
        file.flush()
        os.fsync(file.fileno())
