"""Rate limits: so many images in a time, for each client, in bounded memory.

GCRA, the leaky bucket that needs one number per client: the time at which its bucket is full again.
A client whose time has passed is the same as one that was never seen, so forgetting it loses
nothing; that is what bounds the memory without letting anybody off who is still in debt, unless
more clients than there is room for are in debt at once.

A request is let in while its bucket holds anything, and then pays for all its images, into debt
if need be: what a batch costs is known only after its body has been read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from app.access.debts import Debts, OwnDebts
from app.errors import RateLimitedError, Refusal

MAX_CLIENTS: Final = 50_000
"""Remembered at a time, 250 bytes each."""

Policy = Literal["key", "address"]
"""Whose images are counted together."""

_REFUSALS: Final[dict[Policy, Refusal]] = {"key": "key_limit", "address": "address_limit"}
_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_RATE: Final = re.compile(r"([1-9][0-9]{0,8})/([smhd])")


@dataclass(frozen=True, slots=True)
class Rate:
    """So many images in so many seconds; all of them at once if a client likes."""

    quota: int
    window_seconds: float

    def __str__(self) -> str:
        unit = next(name for name, seconds in _UNITS.items() if seconds == self.window_seconds)
        return f"{self.quota}/{unit}"


def parse_rate(text: str | Rate | None) -> Rate | None:
    """Read `100/s`, `600/m`, `10000/h` or `100000/d`; nothing in it means no limit.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(text, Rate) or text is None:
        return text
    if not text.strip():
        return None
    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise ValueError("write images per time, such as 100/s, 600/m, 10000/h or 100000/d")
    return Rate(int(match[1]), _UNITS[match[2]])


@dataclass(frozen=True, slots=True)
class Standing:
    """How one client stands."""

    rate: Rate
    remaining: int
    """Images that it may send right now."""
    retry_in_seconds: float
    """Until the next image is let in; 0 now."""
    window_seconds: float
    """For so long the client should make do with what remains: at the rate's own pace, or nobody
    would take a full bucket for a promise of as much in each second."""


class Limiter:
    """One rate, for each of many clients."""

    def __init__(
        self,
        rate: Rate,
        *,
        clock: Callable[[], float],
        max_clients: int = MAX_CLIENTS,
        debts: Debts | None = None,
    ) -> None:
        """Create it; `debts` are those of several processes, where they count together."""
        self._rate = rate
        self._clock = clock
        self._interval_seconds = rate.window_seconds / rate.quota
        self._debts = OwnDebts(max_clients) if debts is None else debts

    def __len__(self) -> int:
        return len(self._debts)

    def standing(self, client: str) -> Standing:
        """How the client stands; takes nothing."""
        owed_seconds = max(0.0, self._debts.full_at(client) - self._clock())
        free_seconds = self._rate.window_seconds - owed_seconds
        # A millionth of an image: sums of intervals are not exact.
        remaining = math.floor(free_seconds / self._interval_seconds + 1e-6)
        if remaining >= 1:
            return Standing(self._rate, remaining, 0.0, remaining * self._interval_seconds)
        wait_seconds = self._interval_seconds - free_seconds
        return Standing(self._rate, 0, wait_seconds, wait_seconds)

    def take(self, client: str, images: int) -> None:
        """Charge a client, whatever it has left."""
        self._debts.add(client, self._clock(), images * self._interval_seconds)


@dataclass(frozen=True, slots=True)
class Meter:
    """One client at one limiter, for the length of a request."""

    policy: Policy
    """What is counted by: part of the answer's headers."""
    limiter: Limiter
    client: str

    def admit(self) -> None:
        """Let one image in.

        Raises:
            RateLimitedError: nothing is left; says when there is.
        """
        standing = self.standing()
        if not standing.remaining:
            raise RateLimitedError(
                f"at most {standing.rate} images for each {self.policy}",
                retry_after_seconds=standing.retry_in_seconds,
                refusal=_REFUSALS[self.policy],
            )
        self.charge(1)

    def charge(self, images: int) -> None:
        """Count images that came in."""
        self.limiter.take(self.client, images)

    def standing(self) -> Standing:
        """What the client has left."""
        return self.limiter.standing(self.client)
