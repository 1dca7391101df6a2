"""Results as PNG files. Needs matplotlib, which is an extra (`plots`) and imported here alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from exporter.errors import FailedError, UsageError
from exporter.measure.benchmark import Result
from exporter.measure.comparison import Compared

_SIZE_INCHES: Final = (10.0, 4.2)
_DOTS_PER_INCH: Final = 120


def require_matplotlib() -> None:
    """Before anything long begins.

    Raises:
        UsageError: it is not installed.
    """
    _figure()


def benchmark_png(results: Sequence[Result], title: str, path: Path) -> None:
    """Median per image and throughput over the batch size, one line per way.

    Raises:
        FailedError: the file cannot be written.
    """
    figure = _figure()
    latency, throughput = figure.subplots(1, 2)
    for way in dict.fromkeys(each.way for each in results):
        rows = [each for each in results if each.way == way]
        sizes = [row.batch_size for row in rows]
        latency.plot(sizes, [row.per_image_ms for row in rows], marker="o", label=way)
        throughput.plot(sizes, [row.images_per_second for row in rows], marker="o", label=way)
    for axes, name in ((latency, "ms per image (median)"), (throughput, "images per second")):
        sizes = sorted({each.batch_size for each in results})
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.set_xlabel("batch size")
        axes.set_title(name)
        axes.grid(visible=True, which="both", alpha=0.3)
    latency.legend(fontsize="small")
    _save(figure, title, path)


def comparison_png(rows: Sequence[Compared], path: Path) -> None:
    """Latency against accuracy where it was measured, else against throughput; one dot per model.

    Raises:
        FailedError: the file cannot be written.
    """
    figure = _figure()
    axes = figure.subplots()
    is_accuracy = all(row.top_1 is not None for row in rows)
    for row in rows:
        height = row.top_1 if is_accuracy else row.images_per_second
        axes.scatter([row.latency.p50_ms], [height], s=60)
        axes.annotate(
            row.name, (row.latency.p50_ms, height), xytext=(6, 6), textcoords="offset points"
        )
    axes.set_xlabel("ms at batch 1 (median)")
    axes.set_ylabel("top-1" if is_accuracy else "images per second at the best batch size")
    axes.margins(0.2)
    axes.grid(visible=True, alpha=0.3)
    _save(figure, "", path)


def _figure() -> Any:
    try:
        # The object behind pyplot, which would keep state and look for a display.
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UsageError(
            "--png draws with matplotlib, which is not installed: "
            "pip install 'sightserve[plots]', or take --json"
        ) from error
    return Figure(figsize=_SIZE_INCHES, dpi=_DOTS_PER_INCH, layout="constrained")


def _save(figure: Any, title: str, path: Path) -> None:
    figure.suptitle(title)
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise FailedError(f"--png {path}: {error.strerror}") from error
