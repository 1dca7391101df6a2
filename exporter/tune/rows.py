"""What was measured of each configuration, and which one is chosen: pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from exporter.measure.timing import percentile
from exporter.tune.configuration import Configuration, ModelServerSettings

SHARES: Final = (0.7, 0.5, 0.3)
"""Of what a configuration answers at most: at the first of these loads its p99 is to be within the
target; where it is not, the next one is tried."""
EQUAL: Final = 0.98
"""From this part of the best rate on two are equally fast; the lower p99 decides."""


@dataclass(frozen=True, slots=True)
class Burst:
    """What a load generator saw in one go."""

    seconds: float
    latencies_seconds: tuple[float, ...]
    """Of answered calls or requests."""
    failed: int = 0
    """Refused or failed ones."""


@dataclass(slots=True)
class Sample:
    """Bursts of one kind of load, put together."""

    latencies_seconds: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    """Answers per second of each burst."""
    failed: int = 0

    def add(self, burst: Burst) -> None:
        """Another burst."""
        self.latencies_seconds += burst.latencies_seconds
        self.rates.append(len(burst.latencies_seconds) / burst.seconds)
        self.failed += burst.failed

    @property
    def n(self) -> int:
        """Answers."""
        return len(self.latencies_seconds)

    @property
    def rate(self) -> float:
        """Answers per second: the median of the bursts."""
        return percentile(sorted(self.rates), 50) if self.rates else 0.0

    def percentile_ms(self, percent: float) -> float:
        """A failed one counts as one that never came; infinite where that is the percentile."""
        ordered = sorted(self.latencies_seconds) + [math.inf] * self.failed
        if not ordered:
            return math.inf
        return 1000 * ordered[min(len(ordered) - 1, math.ceil(len(ordered) * percent / 100) - 1)]


@dataclass(slots=True, eq=False)
class Row:
    """One configuration and its figures so far."""

    configuration: Configuration
    calls: Sample = field(default_factory=Sample)
    """Of the model server, closed loop, `in_flight` calls at a time."""
    capacity: Sample = field(default_factory=Sample)
    """Of the gateway before it, closed loop."""
    share: float = SHARES[0]
    """Of the capacity that was offered, open loop."""
    offered: Sample = field(default_factory=Sample)
    """Requests at that rate, since when they were due."""

    @property
    def images_per_second(self) -> float:
        """Of the model server alone."""
        return self.calls.rate * self.configuration.batch_size

    @property
    def call_p99_ms(self) -> float:
        """Of a call of the model server."""
        return self.calls.percentile_ms(99)

    @property
    def is_measured_whole(self) -> bool:
        """Whether requests went through a gateway."""
        return bool(self.offered.n or self.offered.failed)

    @property
    def p99_ms(self) -> float:
        """Of a request at the offered rate."""
        return self.offered.percentile_ms(99)

    @property
    def kept_rate(self) -> float:
        """Requests per second up to which `p99_ms` was measured."""
        return self.capacity.rate * self.share

    def offer_share(self, share: float) -> None:
        """From now on offer another share; what was measured at the last one is forgotten."""
        self.share, self.offered = share, Sample()


@dataclass(frozen=True, slots=True)
class Ruled:
    """What was not tried any further, and why."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Choice:
    """The best configuration that keeps to the target, or else the one that comes nearest."""

    best: Row | None
    nearest: Row | None


def is_within(p99_ms: float, target_ms: float | None) -> bool:
    """Whether a target is kept; without one whatever was answered."""
    return p99_ms < math.inf if target_ms is None else p99_ms <= target_ms


def choose(rows: Iterable[Row], target_ms: float | None) -> Choice:
    """Of what was measured through a gateway: the highest rate that keeps to the target."""
    whole = [row for row in rows if row.is_measured_whole and row.capacity.rate > 0]
    within = [row for row in whole if is_within(row.p99_ms, target_ms)]
    nearest = min(whole, key=lambda row: (row.p99_ms, -row.kept_rate), default=None)
    if not within:
        return Choice(None, nearest)
    highest = max(_merit(row, target_ms) for row in within)
    equal = [row for row in within if _merit(row, target_ms) >= EQUAL * highest]
    return Choice(min(equal, key=lambda row: row.p99_ms), nearest)


def _merit(row: Row, target_ms: float | None) -> float:
    return row.capacity.rate if target_ms is None else row.kept_rate


def best_served(rows: Iterable[Row], most: int, target_ms: float | None) -> list[Row]:
    """The best of what was measured through a gateway; what misses the target comes last."""
    return sorted(
        (row for row in rows if row.is_measured_whole),
        key=lambda row: (
            is_within(row.p99_ms, target_ms),
            _merit(row, target_ms) if is_within(row.p99_ms, target_ms) else -row.p99_ms,
        ),
        reverse=True,
    )[:most]


def by_speed(rows: Iterable[Row], target_ms: float | None) -> list[Row]:
    """The most promising first by what the model server did; calls that are too slow come last."""
    return sorted(
        (row for row in rows if row.calls.n),
        key=lambda row: (
            is_within(row.call_p99_ms, target_ms),
            row.images_per_second if is_within(row.call_p99_ms, target_ms) else -row.call_p99_ms,
        ),
        reverse=True,
    )


def best_servers(rows: Sequence[Row], most: int, target_ms: float | None) -> list[Row]:
    """The best row of each of the best ways to start a model server."""
    found: dict[ModelServerSettings, Row] = {}
    for row in by_speed(rows, target_ms):
        found.setdefault(row.configuration.server, row)
    return list(found.values())[:most]


def finalists(rows: Sequence[Row], most: int, target_ms: float | None) -> list[Row]:
    """Who is measured through a gateway: the fastest, two at most of one model server.

    A request waits for a call in flight before its own begins: with a target, the fastest of those
    whose calls take half of it, and a quarter, come along. And what is fastest by itself may want
    more of the CPU than a gateway beside it leaves, so others come, too.
    """
    wanted = [by_speed(rows, target_ms and target_ms / part)[:1] for part in (1, 2, 4)]
    taken = list(dict.fromkeys(row for first in wanted for row in first))
    for row in by_speed(rows, target_ms):
        same = [each for each in taken if each.configuration.server == row.configuration.server]
        if row not in taken and len(same) < 2:  # noqa: PLR2004 - two of one
            taken.append(row)
    return taken[:most]


def verdict(row: Row, choice: Choice, target_ms: float | None, fastest: float) -> str:
    """Why a row was not chosen, or that it was.

    Args:
        row: of all.
        choice: what was chosen.
        target_ms: p99 of a request.
        fastest: images per second of the fastest model server.
    """
    best = choice.best
    if row is best:
        return "chosen"
    if row.is_measured_whole:
        if not is_within(row.p99_ms, target_ms):
            return f"p99 {_ms(row.p99_ms)} at {row.share:.0%} of its capacity"
        if best is None:
            return "nearest" if row is choice.nearest else "measured"
        ratio = _merit(row, target_ms) / _merit(best, target_ms)
        return "equally fast, higher p99" if ratio >= EQUAL else f"{ratio:.2f} of the best"
    if not is_within(row.call_p99_ms, target_ms):
        return f"a call alone has p99 {_ms(row.call_p99_ms)}"
    return f"model server {row.images_per_second / fastest:.2f} of the fastest"


def _ms(value: float) -> str:
    return "without end (refused)" if math.isinf(value) else f"{value:.3g} ms"
