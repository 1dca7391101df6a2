"""The table of docs/applications.md, from the results of `bench.applications`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

_BEGIN: Final = "<!-- measured: written by bench/applications.py -->"
_END: Final = "<!-- /measured -->"
_MEGABYTE: Final = 1_000_000
_PER_WEIGHT: Final = 6
_BASE_BYTES: Final = 2_000_000_000

_HEADINGS: Final = (
    "application",
    "weights MB",
    "version MB",
    "image",
    "parity",
    "encoded",
    "spread",
    "seconds",
    "exporter MB",
    "server MB",
    "together MB",
    "limit MB",
    "loads in s",
    "answer ms",
)


def limit_bytes(weights_bytes: int) -> int:
    """What exporter and gate server may hold at one moment."""
    return _PER_WEIGHT * weights_bytes + _BASE_BYTES


def write(page: Path, results: dict[str, dict[str, Any]]) -> None:
    """Put the table into the page, between its two marks.

    Raises:
        ValueError: the page has no marks.
    """
    before, _, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    _, found, after = rest.partition(_END)
    if not found:
        raise ValueError(f"{page}: there is no {_BEGIN} … {_END} in it")
    page.write_text(f"{before}{_BEGIN}\n{table(results)}{_END}{after}", encoding="utf-8")


def table(results: dict[str, dict[str, Any]]) -> str:
    """A summary and one row for each application, smallest first."""
    ordered = sorted(results.items(), key=lambda item: (item[1]["weights_bytes"], item[0]))
    rows = [row(name, result) for name, result in ordered]
    lines = [
        "| " + " | ".join(_HEADINGS) + " |",
        "|---" + "|---:" * (len(_HEADINGS) - 1) + "|",
        *(f"| {' | '.join(cells)} |" for cells in rows),
    ]
    return "\n".join(["", summary(results), "", *lines, "", ""])


def summary(results: dict[str, dict[str, Any]]) -> str:
    """How many are published, and how many of them within the limit of memory."""
    published = [each for each in results.values() if is_published(each)]
    within = sum(is_within(each) for each in published)
    measured = sum("outcome" in each for each in results.values())
    frameworks = {
        f"{name} {number}"
        for each in published
        for name, number in each.get("frameworks", {}).items()
    }
    settled = sum(each.get("weights") == "settled" for each in results.values())
    return (
        f"{len(published)} of {measured} measured applications were published and answered "
        f"({', '.join(sorted(frameworks))}); {within} of them within the limit of memory; "
        f"{len(results) - measured} were not measured. {settled} had settled weights."
    )


def is_published(result: dict[str, Any]) -> bool:
    """Through the gate."""
    return bool(result.get("outcome") == "published")


def is_within(result: dict[str, Any]) -> bool:
    """Whether both processes together stayed within the limit."""
    return bool(result["memory_bytes"]["together"] <= limit_bytes(result["weights_bytes"]))


def row(name: str, result: dict[str, Any]) -> list[str]:
    """The cells of one application."""
    weights = megabytes(result["weights_bytes"])
    if "outcome" not in result:
        return [name, weights, "not measured", *[""] * (len(_HEADINGS) - 3)]
    memory = result["memory_bytes"]
    limit = megabytes(limit_bytes(result["weights_bytes"]))
    together = megabytes(memory["together"])
    spent = [
        f"{result['seconds']:.0f}",
        megabytes(memory["main"]),
        megabytes(memory["model_server"]),
        together if is_within(result) else f"**{together}**",
        limit,
    ]
    if not is_published(result):
        return [name, weights, result["outcome"], "", "", "", "", *spent, "", ""]
    height, width = result["image"]
    milliseconds = [f"{1000 * each['seconds']:.0f}" for each in result["answers"].values()]
    return [
        name,
        weights,
        megabytes(result["version_bytes"]),
        f"{height}x{width}",
        f"{result['parity']:.1e}",
        f"{result['encoded_parity']:.1e}",
        f"{result['spread']:.1e}",
        *spent,
        f"{result['load_seconds']:.0f}",
        " / ".join(milliseconds),
    ]


def megabytes(size_bytes: int) -> str:
    """Decimal megabytes."""
    return f"{size_bytes / _MEGABYTE:.0f}"
