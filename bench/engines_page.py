"""The tables of docs/engines.md, from the results of `bench.engine_applications`."""

from __future__ import annotations

import statistics
from typing import Any, Final

from bench.engine_contestant import OPENVINO_BF16, OPENVINO_F32, TENSORFLOW, TENSORFLOW_BF16
from bench.engine_race import BATCH_SIZES, MEASURED, NOT_CONVERTED

Result = dict[str, Any]
Results = dict[str, Result]

BEGIN: Final = "<!-- measured: written by scripts/generate_engines.py -->"
END: Final = "<!-- /measured -->"

_MEGABYTE: Final = 1_000_000
_RATE: Final = "images_per_second"
_CPU: Final = "cpu_seconds_per_image"
_PRECISIONS: Final = {OPENVINO_F32: "f32", OPENVINO_BF16: "bf16"}

_ANSWERS: Final = (
    "application",
    "weights MB",
    "image",
    "converted in s",
    "f32: off by",
    "f32: same class",
    "bf16: off by",
    "bf16: logits off by",
    "bf16: same class",
    "other batches off by",
)
_SPEED: Final = (
    "application",
    *(f"{name}, batch {size}" for name in _PRECISIONS.values() for size in BATCH_SIZES),
    "TensorFlow, batch 1, images/s",
    "loads in s",
    "TensorFlow MB",
    "f32 MB",
    "bf16 MB",
)
_BFLOAT16: Final = (
    "application",
    *(f"OpenVINO, batch {size}" for size in BATCH_SIZES),
    *(f"TensorFlow, batch {size}" for size in BATCH_SIZES),
    *(f"OpenVINO / TensorFlow, batch {size}" for size in BATCH_SIZES),
    "same class: OpenVINO, TensorFlow",
)


def updated(page: str, results: Results) -> str:
    """The page's text with the tables between its two marks.

    Raises:
        ValueError: the page has no marks.
    """
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"there is no {BEGIN} … {END} in the page")
    return f"{before}{BEGIN}\n\n{content(results)}\n{END}{after}"


def content(results: Results) -> str:
    """Where it was measured, a summary, and the tables, sorted by name."""
    ordered = dict(sorted(results.items()))
    measured = {
        name: result for name, result in ordered.items() if result.get("outcome") == MEASURED
    }
    with_bfloat16 = {
        name: result for name, result in measured.items() if TENSORFLOW_BF16 in result["engines"]
    }
    parts = [
        summary(ordered, measured),
        "### Answers",
        table(_ANSWERS, [answers_row(*item) for item in measured.items()]),
        "### Speed and memory",
        table(_SPEED, [speed_row(*item) for item in measured.items()]),
    ]
    if with_bfloat16:
        rows = [bfloat16_row(*item) for item in with_bfloat16.items()]
        parts += ["### bfloat16 in both engines", table(_BFLOAT16, rows)]
    if others := unmeasured(ordered):
        parts += ["### Without figures", others]
    return "\n\n".join(parts) + "\n"


def table(headings: tuple[str, ...], rows: list[list[str]]) -> str:
    """A table in Markdown, its first column a name."""
    lines = [
        "| " + " | ".join(headings) + " |",
        "|---" + "|---:" * (len(headings) - 1) + "|",
        *(f"| {' | '.join(cells)} |" for cells in rows),
    ]
    return "\n".join(lines)


def summary(results: Results, measured: Results) -> str:
    """How many convert, how far they are off, and how fast they are taken together."""
    converted = sum("convert_seconds" in each for each in results.values())
    refused = sum(each.get("outcome") == NOT_CONVERTED for each in results.values())
    counts = (
        f"Of {len(results)} applications {converted} are converted, {len(measured)} of them "
        f"measured; {refused} not converted."
    )
    lines = [counts]
    if measured:
        lines += [machines(measured), *map(_line, _PRECISIONS, [measured] * len(_PRECISIONS))]
        memory = [
            each["engines"][OPENVINO_F32]["memory_bytes"]
            / each["engines"][TENSORFLOW]["memory_bytes"]
            for each in measured.values()
        ]
        lines.append(
            f"- Resident memory, f32 / TensorFlow: {statistics.median(memory):.2f} in the median, "
            f"{min(memory):.2f} to {max(memory):.2f}."
        )
    return "\n".join(lines)


def _line(kind: str, measured: Results) -> str:
    engines = [each["engines"][kind] for each in measured.values()]
    images = sum(each["images"] for each in measured.values())
    same = sum(
        round(each["engines"][kind]["top_1_agreement"] * each["images"])
        for each in measured.values()
    )
    speeds = " and ".join(_speeds(kind, size, measured) for size in BATCH_SIZES)
    return (
        f"- **{_PRECISIONS[kind]}**: {same} of {images} answers name the same class; the largest "
        f"difference of a probability is {max(each['difference'] for each in engines):.1e}. "
        f"Against TensorFlow in float32: {speeds}."
    )


def _speeds(kind: str, size: int, measured: Results) -> str:
    """Geometric means, and the application that gains least, by time of CPU: that is steadier."""
    rates = [ratio(each, kind, size, _RATE) for each in measured.values()]
    cpu = {name: 1 / ratio(each, kind, size, _CPU) for name, each in measured.items()}
    last = min(cpu, key=cpu.__getitem__)
    return (
        f"at batch {size} {statistics.geometric_mean(rates):.2f} times the images per second and "
        f"{statistics.geometric_mean(cpu.values()):.2f} times those per second of CPU "
        f"({last}: {cpu[last]:.2f}, the lowest)"
    )


def machines(measured: Results) -> str:
    """When, where and with what."""
    described = [each["machine"] for each in measured.values()]
    names = {f"{each['cpu']}, {each['cores']} cores{_bfloat16(each)}" for each in described}
    versions = {
        f"{package} {each[package]}"
        for each in described
        for package in ("keras", "openvino", "tensorflow")
    }
    days = sorted({each["date"] for each in described})
    load = statistics.median(each["load_average"] for each in described)
    return (
        f"Measured {' to '.join(dict.fromkeys([days[0], days[-1]]))} on {'; '.join(sorted(names))} "
        f"({', '.join(sorted(versions))}). The load average when an application began was "
        f"{load:.1f} in the median{_warning(load, described[0]['cores'])}.\n"
    )


def _warning(load: float, cores: int) -> str:
    if load < cores:
        return ""
    return (
        ": others worked on the machine, so images per second are hardly more than noise; read the "
        "ratios by time of CPU"
    )


def _bfloat16(machine: dict[str, Any]) -> str:
    return " that multiply bfloat16" if machine["has_bfloat16"] else " without bfloat16"


def ratio(result: Result, kind: str, size: int, figure: str, *, against: str = TENSORFLOW) -> float:
    """The median over the rounds of an engine's figure over another's in the same round."""
    own, others = (
        result["engines"][each]["batches"][str(size)][figure] for each in (kind, against)
    )
    return statistics.median(mine / theirs for mine, theirs in zip(own, others, strict=True))


def speed_cell(result: Result, kind: str, size: int, *, against: str = TENSORFLOW) -> str:
    """Times as many images per second, and as many per second of CPU."""
    rate = ratio(result, kind, size, _RATE, against=against)
    cpu = ratio(result, kind, size, _CPU, against=against)
    return f"{rate:.2f} / {1 / cpu:.2f}"


def answers_row(name: str, result: Result) -> list[str]:
    """The cells of one application that tell how far the answers are off."""
    f32, bf16 = (result["engines"][kind] for kind in _PRECISIONS)
    height, width = result["image"]
    return [
        name,
        megabytes(result["weights_bytes"]),
        f"{height}x{width}",
        f"{result['convert_seconds']:.1f}",
        f"{f32['difference']:.1e}",
        agreement(f32, result["images"]),
        f"{bf16['difference']:.1e}",
        f"{bf16['log_difference']:.1%}",
        agreement(bf16, result["images"]),
        f"{f32['batch_difference']:.1e}",
    ]


def agreement(engine: dict[str, Any], images: int) -> str:
    """Of how many images the most probable class is TensorFlow's."""
    return f"{round(engine['top_1_agreement'] * images)} of {images}"


def speed_row(name: str, result: Result) -> list[str]:
    """The cells of one application's speed and memory."""
    engines = result["engines"]
    rates = engines[TENSORFLOW]["batches"]["1"][_RATE]
    loads = (engines[kind]["load_seconds"] for kind in (TENSORFLOW, *_PRECISIONS))
    return [
        name,
        *(speed_cell(result, kind, size) for kind in _PRECISIONS for size in BATCH_SIZES),
        f"{statistics.median(rates):.1f}",
        " / ".join(f"{seconds:.1f}" for seconds in loads),
        *(megabytes(engines[kind]["memory_bytes"]) for kind in (TENSORFLOW, *_PRECISIONS)),
    ]


def bfloat16_row(name: str, result: Result) -> list[str]:
    """The cells of one application's bfloat16, each engine against TensorFlow in float32."""
    own, theirs = (result["engines"][kind] for kind in (OPENVINO_BF16, TENSORFLOW_BF16))
    return [
        name,
        *(
            speed_cell(result, kind, size)
            for kind in (OPENVINO_BF16, TENSORFLOW_BF16)
            for size in BATCH_SIZES
        ),
        *(speed_cell(result, OPENVINO_BF16, size, against=TENSORFLOW_BF16) for size in BATCH_SIZES),
        ", ".join(agreement(each, result["images"]) for each in (own, theirs)),
    ]


def unmeasured(results: Results) -> str:
    """Those that have no figures, and the words that the converter or the engine left."""
    tried = {name: each for name, each in results.items() if "outcome" in each}
    lines = [_line_without(*item) for item in tried.items() if item[1]["outcome"] != MEASURED]
    to_come = results.keys() - tried.keys()
    converted = {name for name in to_come if "convert_seconds" in results[name]}
    for what, names in (
        ("Converted, not raced yet", converted),
        ("Not tried yet", to_come - converted),
    ):
        lines += [f"- {what}: {', '.join(sorted(names))}"] if names else []
    return "\n".join(lines)


def _line_without(name: str, result: Result) -> str:
    words = " ".join(result.get("words", "").split())
    told = f": `{words:.300}`" if words else ""
    return f"- **{name}** ({megabytes(result['weights_bytes'])} MB): {result['outcome']}{told}"


def megabytes(size_bytes: int) -> str:
    """Decimal megabytes."""
    return f"{size_bytes / _MEGABYTE:.0f}"
