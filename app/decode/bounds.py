"""What one image may take; workers hear it when they are born."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """The same for every image of a pool."""

    max_pixels: int
    """Width x height, as its header says."""
    max_memory_bytes: int
    """At the peak of decoding it, the file included."""
    cpu_seconds: float
