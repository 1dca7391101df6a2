"""Each worker's part of what was set for all of them together."""

from __future__ import annotations

from typing import Final

from app.settings.gateway import Settings

_DIVIDED: Final = (
    "cache_bytes",
    "decode_memory_bytes",
    "decode_workers",
    "max_buffered_bytes",
    "max_connections",
    "max_queue",
)
"""What bounds the memory of the process tree, and how much is in progress at a time."""


def share_of(settings: Settings, number: int) -> Settings:
    """The settings of one worker, 1 to `settings.workers`; parts differ by one at most."""
    changes = {name: _part(getattr(settings, name), settings.workers, number) for name in _DIVIDED}
    return settings.model_copy(update=changes)


def _part(whole: int, workers: int, number: int) -> int:
    return whole // workers + (number <= whole % workers)
