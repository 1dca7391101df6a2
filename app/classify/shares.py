"""How traffic is shared between version labels, as settings write it: "stable:95%,canary:5%".

A label of another model than the default one is written "model/label:5%".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.text import comma_separated

_SHARE: Final = re.compile(r"(?:(?P<model>[^/:,]+)/)?(?P<label>[^/:,]+):(?P<percent>[0-9.]+)%")
_WHOLE: Final = 100.0
_ROUNDING: Final = 1e-6
"""33.3 + 33.3 + 33.4 is not exactly 100 in floating point."""


@dataclass(frozen=True, slots=True)
class Share:
    """So much of a model's traffic for the version with this label."""

    model: str | None
    """None: the gateway's default model."""
    label: str
    percent: float

    def __str__(self) -> str:
        model = "" if self.model is None else f"{self.model}/"
        return f"{model}{self.label}:{self.percent:g}%"


def parse_shares(value: Any) -> Any:
    """Read the text of a setting; what was read already stays as it is.

    Raises:
        ValueError: what is wrong, fit for a user.
    """
    if not isinstance(value, str):
        return value
    shares = tuple(_share(part) for part in comma_separated(value))
    if len({(share.model, share.label) for share in shares}) < len(shares):
        raise ValueError("a label appears twice")
    return shares


def _share(text: str) -> Share:
    match = _SHARE.fullmatch(text)
    try:
        percent = float(match["percent"]) if match else _WHOLE + 1
    except ValueError:
        percent = _WHOLE + 1
    if match is None or not 0 <= percent <= _WHOLE:
        raise ValueError(f"{text!r} is not label:percent%, such as canary:5%")
    return Share(match["model"], match["label"].strip(), percent)


def whole(shares: tuple[Share, ...]) -> tuple[Share, ...]:
    """The same shares, if those of each model are all of its traffic.

    Raises:
        ValueError: they are not.
    """
    sums: dict[str | None, float] = {}
    for share in shares:
        sums[share.model] = sums.get(share.model, 0.0) + share.percent
    for model, total in sums.items():
        if abs(total - _WHOLE) > _ROUNDING:
            of_model = "" if model is None else f" of model {model}"
            raise ValueError(f"the shares{of_model} add up to {total:g}%, not to 100%")
    return shares


def by_model(shares: Iterable[Share], default_model: str) -> dict[str, list[Share]]:
    """The shares of each model, in their order."""
    found: dict[str, list[Share]] = {}
    for share in shares:
        found.setdefault(share.model or default_model, []).append(share)
    return found


def first_labels(shares: Mapping[str, Iterable[Share]]) -> dict[str, str]:
    """The first label of each model that gets anything: what stands in for the others."""
    return {
        model: next(share.label for share in its if share.percent) for model, its in shares.items()
    }
