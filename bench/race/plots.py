"""The pictures of the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.race import figures
from bench.race.figures import Run
from bench.race.rows import taking_part

_OURS = "#3f51b5"
_OTHERS = "#9e9e9e"
_FLOOR = "#e65100"


def draw(run: Run, folder: Path, names: Sequence[str]) -> None:
    """Write two PNG files of these names: requests per second, and latency by load."""
    import matplotlib as mpl  # noqa: PLC0415 - of an extra

    mpl.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    _throughput(run, folder / names[0])
    _latency(run, folder / names[1])


def _throughput(run: Run, path: Path) -> None:
    from matplotlib import pyplot as plt  # noqa: PLC0415 - of an extra

    found = [(each, figures.rate(run, each["key"])) for each in taking_part(run)]
    bars = sorted(((rate, each) for each, rate in found if rate), key=lambda pair: pair[0])
    figure, axes = plt.subplots(figsize=(9, 0.5 * len(bars) + 1.6), layout="constrained")
    drawn = axes.barh(
        [each["title"] for _, each in bars],
        [rate for rate, _ in bars],
        color=[_OURS if each["is_ours"] else _OTHERS for _, each in bars],
    )
    axes.bar_label(drawn, fmt="%.0f", padding=3)
    floor = figures.floor_rate(run, "tensorflow")
    if floor:
        axes.axvline(floor, color=_FLOOR, linestyle="--", label="floor, TensorFlow")
        axes.legend(loc="lower right", frameon=False)
    axes.set_xlabel(f"requests/s, 32 clients, {run['model']}, {run['machine']['cores']} cores")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _latency(run: Run, path: Path) -> None:
    from matplotlib import pyplot as plt  # noqa: PLC0415 - of an extra

    figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
    for each in taking_part(run):
        points = [
            (found[0]["rate"], found[0]["latency_ms"]["p99"])
            for load in run["options"]["loads"]
            if (found := figures.measured(run, each["key"], "open", load=load))
        ]
        if points:
            style = "-" if each["is_ours"] else "--"
            axes.plot(*zip(*points, strict=True), style, marker="o", label=each["title"])
    axes.set_yscale("log")
    axes.set_xlabel("requests/s (30 to 90 % of each one's capacity)")
    axes.set_ylabel("p99 in ms, from when a request was due")
    axes.spines[["top", "right"]].set_visible(False)
    if axes.lines:
        axes.legend(frameon=False, fontsize="small")
    figure.savefig(path, dpi=110)
    plt.close(figure)
