"""What there is to say at the end, on standard error."""

from __future__ import annotations

from app.latencies import Histogram
from sightserve.classify.inputs import UNREAD_PHOTOS, Skipped
from sightserve.client import Item

_SHOWN_SUFFIXES = 5


class Summary:
    """Counts while results go by."""

    def __init__(self) -> None:
        self.done = 0
        self.failed = 0
        self._latencies = Histogram()

    def add(self, item: Item) -> None:
        """One more."""
        self.done += 1
        if item.error is not None:
            self.failed += 1
        else:
            self._latencies.add(item.seconds)

    def lines(self, seconds: float, skipped: Skipped) -> list[str]:
        """For people."""
        rate = self.done / seconds if seconds else 0.0
        said = [f"{_images(self.done)} in {seconds:.1f} s, {rate:.1f} images/s"]
        if self.failed < self.done:
            p50, p95, p99 = (1000 * self._latencies.quantile(each) for each in (0.5, 0.95, 0.99))
            said.append(f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms")
        if self.failed:
            said.append(f"{self.failed:,} failed")
        return ["; ".join(said), *_about(skipped)]


def _images(count: int) -> str:
    return f"{count:,} image" if count == 1 else f"{count:,} images"


def _about(skipped: Skipped) -> list[str]:
    lines = []
    if count := skipped.suffixes.total():
        kinds = skipped.suffixes.most_common(_SHOWN_SUFFIXES)
        shown = ", ".join(f"{suffix}: {number:,}" for suffix, number in kinds)
        lines.append(f"skipped {count:,} other files in folders ({shown})")
        if unread := sorted(UNREAD_PHOTOS & skipped.suffixes.keys()):
            lines.append(
                f"{', '.join(unread)} are photos that the gateway does not read: convert them to "
                "JPEG first"
            )
    if skipped.folders:
        lines.append(f"folders inside were not entered ({skipped.folders:,}): --recursive")
    return lines
