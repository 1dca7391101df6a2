"""What gateway, zygote and workers write to each other: fixed heads, then bytes of a known length.

    gateway ──JOB plan file──► worker ──RESULT facts row──► gateway
                                      ──REFUSED facts─────►
                                      ──PRICE─────────────► ──GRANT or WITHDRAW──►
    gateway ──SPAWN (with a socket), KILL, YIELD──► zygote ──STARTED, ENDED──► gateway

Facts are JSON: the gateway reads them from a process that a hostile file may have taken over.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final


class Order(IntEnum):
    """From the gateway to a worker."""

    JOB = 1
    GRANT = 2
    WITHDRAW = 3


class Report(IntEnum):
    """From a worker to the gateway."""

    RESULT = 1
    REFUSED = 2
    PRICE = 3


class Command(IntEnum):
    """From the gateway to the zygote, about one worker."""

    SPAWN = 1
    KILL = 2
    YIELD = 3
    """Let others go first: the worker's job is slow."""


class Event(IntEnum):
    """From the zygote to the gateway, about one worker."""

    STARTED = 1
    ENDED = 2


ORDER: Final = struct.Struct("!BIQQ")
"""Order, length of the plan, length of the file, bytes of memory that are granted."""
REPORT: Final = struct.Struct("!BIQ")
"""Report, length of the facts, length of the row; for PRICE the price in the row's place."""
COMMAND: Final = struct.Struct("!BI")
"""Command, the worker's number."""
EVENT: Final = struct.Struct("!BIqQQ")
"""Event, the worker's number; its process id, or how it ended as os.waitstatus_to_exitcode has it,
CPU milliseconds, and bytes resident at the peak."""
