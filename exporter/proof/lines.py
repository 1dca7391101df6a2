"""What the gate found, line by line: shown after an export and kept in the version's report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLine:
    """One check that was passed; one that is not passed is a `RefusedError` of the same step."""

    step: str
    """One or two words, as in `RefusedError.step`: weights, parity, company …"""
    found: str
    """For people, with the figure: `largest difference 3.1e-07 on 12 images`."""
    bound: str | None = None
    """What was allowed, where there is a figure: `1e-04`."""
