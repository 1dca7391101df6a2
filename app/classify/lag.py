"""How late the event loop is: what everybody waits for who is no image, and no fault of images."""

from __future__ import annotations

import asyncio
from typing import Final

_TICK_SECONDS: Final = 0.05
_FADING: Final = 0.95
"""Of a late tick, so much is left at the next: half is left after 0.7 s."""


class LoopLag:
    """Wakes up now and then and looks how much later than asked for."""

    def __init__(self) -> None:
        self.seconds = 0.0
        """How late the loop was lately."""

    async def watch(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _TICK_SECONDS
            await asyncio.sleep(_TICK_SECONDS)
            self.seconds = max(loop.time() - due, self.seconds * _FADING)
