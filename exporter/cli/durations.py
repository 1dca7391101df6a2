"""Times on the command line: `20ms`, `0.02s`."""

from __future__ import annotations

import math
import re
from typing import Final

from exporter.errors import UsageError

_PATTERN: Final = re.compile(r"(?P<number>[0-9]*\.?[0-9]+)\s*(?P<unit>ms|s)", re.ASCII)
_MILLISECONDS: Final = {"ms": 1.0, "s": 1000.0}


def to_milliseconds(option: str, text: str) -> float:
    """`20ms` or `0.02s` in milliseconds.

    Raises:
        UsageError: it is neither, or no time above 0.
    """
    match = _PATTERN.fullmatch(text.strip())
    value = float(match["number"]) * _MILLISECONDS[match["unit"]] if match else 0.0
    if not 0 < value < math.inf:
        raise UsageError(f"{option} {text}: write a time above 0 with its unit, such as 20ms")
    return value
