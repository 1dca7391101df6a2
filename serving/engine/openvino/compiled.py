"""The folder of compiled models: optional, and bounded, for every version adds one of its size."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import Final

_log = logging.getLogger(__name__)

_FOLDER: Final = "compiled"
_PATTERN: Final = "*.blob"
_MOST_BYTES: Final = 1 << 30


def folder(cache_dir: str) -> Path | None:
    """Where to keep compiled models; None, and a warning, where nothing can be written."""
    if not cache_dir:
        return None
    found = Path(cache_dir, _FOLDER)
    try:
        found.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _log.warning("compiled models are not kept: %s: %s", found, error.strerror)
        return None
    if os.access(found, os.W_OK):
        return found
    _log.warning("compiled models are not kept: %s cannot be written", found)
    return None


def forget_oldest(kept: Path, most_bytes: int = _MOST_BYTES) -> None:
    """Delete the oldest ones beyond a size. The newest stays, and what is in use runs on."""
    with contextlib.suppress(OSError):  # another server tidies up, too
        files = sorted(kept.glob(_PATTERN), key=lambda file: file.stat().st_mtime_ns, reverse=True)
        total = 0
        for place, file in enumerate(files):
            total += file.stat().st_size
            if place and total > most_bytes:
                file.unlink()
