"""What a build hands over: no tensors, as it may come from another process."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.accuracy.gate import Examined
from exporter.proof.lines import GateLine


@dataclass(frozen=True, slots=True)
class Built:
    """A staged version's findings; card, goldens and graph are in its folder."""

    lines: tuple[GateLine, ...]
    """What it has passed, in order."""
    card_text: str
    """What the graph's `model_card` answers, to the byte."""
    examined: Examined | None = None
    """What labelled pictures said, where there were any."""
