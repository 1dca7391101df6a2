"""Lighter or faster variants of an exported graph, each kept only after it has been measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf

from contract import card
from exporter.errors import RefusedError, first_line
from exporter.graph.bfloat16 import to_bfloat16
from exporter.graph.freeze import trace
from exporter.graph.jit import compiled
from exporter.graph.quiet import quiet_native_stderr
from exporter.graph.tflite import TfLiteModel, answers, convert
from exporter.measure.machine import has_bfloat16
from exporter.measure.race import Answer, Gain, Images, describe, of_graph, race
from exporter.options import ExportOptions, TfLite
from exporter.progress import Reporter
from exporter.proof.likeness import BOUNDS, compare, require_alike
from exporter.proof.lines import GateLine

Score = Callable[[tf.Tensor], tf.Tensor]

TFLITE_FILE: Final = "model.tflite"
"""Beside saved_model.pb, under the name that TensorFlow Serving knows (`--prefer_tflite_model`)."""

MIN_GAIN: Final = 1.05
"""XLA must be that much faster at every measured batch size."""
MAX_COMPILE_SECONDS: Final = 1.0
"""What a batch size that no warmup has seen may cost the request that brings it."""


@dataclass(frozen=True, slots=True)
class Examples:
    """What variants are measured on, and held against."""

    pixels: Images
    """uint8 [N,H,W,3]"""
    reference: Answer
    """The source's answers; asked for only where a variant is wanted."""
    largest_batch: int

    @property
    def size(self) -> dict[str, int]:
        """Height and width, as keyword arguments."""
        return {"height": self.pixels.shape[1], "width": self.pixels.shape[2]}


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is exported in the end."""

    score: Any
    """A `Score`; None once it is let go of, as it may hold the weights."""
    parity_bound: float
    """What the version is held to from here on."""
    lines: tuple[GateLine, ...] = ()
    precision: str | None = None
    """None: the source's."""
    is_compiled: bool = False
    """XLA is in the graph."""
    is_changed: bool = False
    """The score is not the one that came in."""
    tflite: bytes | None = None
    tflite_card: card.TfLite | None = None

    def write(self, version: Path) -> None:
        """Put what does not go into the graph beside it, into a staged version."""
        if self.tflite is not None:
            (version / TFLITE_FILE).write_bytes(self.tflite)


def are_wanted(options: ExportOptions) -> bool:
    """Whether anything but the plain float32 graph is asked for."""
    return options.tflite is not None or options.precision == "bfloat16" or options.jit


def choose(
    score: Score,
    options: ExportOptions,
    examples: Examples,
    calibration: Images | None,
    report: Reporter,
    *,
    parity_bound: float,
    is_frozen: bool = True,
) -> Chosen:
    """Make the variants that the options ask for out of a float32 scorer, and measure them.

    Raises:
        RefusedError: one leaves its bound.
        FailedError: one cannot be made.
    """
    chosen = Chosen(score, parity_bound)
    if options.tflite is not None:  # first, from float32: TensorFlow Lite knows no bfloat16
        content, summary, lines = as_tflite(score, options.tflite, examples, calibration)
        chosen = replace(chosen, lines=lines, tflite=content, tflite_card=summary)
    if options.precision == "bfloat16":
        if not is_frozen:
            raise RefusedError(
                "bfloat16 needs a frozen graph, and this one keeps its variables (--freeze never, "
                "more than 1.9 GB, or lookup tables); leave --precision out",
                step="precision",
            )
        moved, lines = in_bfloat16(score, examples)
        chosen = replace(
            chosen,
            score=moved,
            lines=(*chosen.lines, *lines),
            precision=options.precision,
            parity_bound=max(parity_bound, BOUNDS["bfloat16"].difference),
        )
    if options.jit:
        candidate, line = with_xla(chosen.score, examples, chosen.parity_bound)
        chosen = replace(
            chosen,
            score=candidate or chosen.score,
            is_compiled=candidate is not None,
            lines=(*chosen.lines, line),
        )
    for line in chosen.lines:
        report.note(line.found)
    return replace(chosen, is_changed=chosen.score is not score)


def in_bfloat16(score: Score, examples: Examples) -> tuple[Score, tuple[GateLine, ...]]:
    """Move a scorer to bfloat16.

    Raises:
        RefusedError: it cannot be moved, or its answers leave the bound.
    """
    moved = to_bfloat16(score, **examples.size)
    own_answers, moved_answers = (of_graph(each, **examples.size) for each in (score, moved))
    found, expected = moved_answers(examples.pixels), examples.reference(examples.pixels)
    line = require_alike("bfloat16", found, expected)
    gains = [
        race(own_answers, moved_answers, examples.pixels, size)
        for size in (1, examples.largest_batch)
    ]
    native = "" if has_bfloat16() else "; this CPU emulates bfloat16 (no AVX512_BF16 or AMX)"
    speed = f"bfloat16 against float32: {describe(gains)}{native}"
    return moved, (line, GateLine(step="bfloat16 speed", found=speed))


def with_xla(score: Score, examples: Examples, bound: float) -> tuple[Score | None, GateLine]:
    """Compile a scorer with XLA if that is worth it.

    Args:
        score: the scorer.
        examples: what to measure on; their reference is not asked.
        bound: largest difference of a probability from the scorer's own.

    Returns:
        None: not kept; and why, with the figures.
    """
    candidate = compiled(score, **examples.size)
    gains: list[Gain] = []
    try:
        before, after = (of_graph(each, **examples.size) for each in (score, candidate))
        for size in (1, examples.largest_batch):
            with quiet_native_stderr():
                gains.append(race(before, after, examples.pixels, size))
            if obstacle := _obstacle(gains[-1]):
                return None, _xla_line(gains, f"not kept: {obstacle}")
        difference = float(np.abs(after(examples.pixels) - before(examples.pixels)).max())
    except Exception as error:  # noqa: BLE001 - XLA knows fewer ops than TensorFlow, and says so in many ways
        return None, _xla_line(gains, f"not kept: it cannot compile this: {first_line(error)}")
    if not difference <= bound:
        return None, _xla_line(gains, f"not kept: off by {difference:.2g}, allowed {bound:.2g}")
    return candidate, _xla_line(gains, f"kept; off by {difference:.2g}", bound)


def _obstacle(gain: Gain) -> str | None:
    if gain.factor < MIN_GAIN:
        return f"less than {MIN_GAIN:g}x"
    if gain.first_call_ms > 1000 * MAX_COMPILE_SECONDS:
        return (
            f"compiling a batch size takes {gain.first_call_ms / 1000:.1f} s, more than "
            f"{MAX_COMPILE_SECONDS:g} s for the first request that has it"
        )
    return None


def _xla_line(gains: list[Gain], verdict: str, bound: float | None = None) -> GateLine:
    figures = f"{describe(gains)}, " if gains else ""
    return GateLine(
        step="xla", found=f"XLA: {figures}{verdict}", bound=None if bound is None else f"{bound:g}"
    )


def as_tflite(
    score: Score, kind: TfLite, examples: Examples, calibration: Images | None
) -> tuple[bytes, card.TfLite, tuple[GateLine, ...]]:
    """Convert a float32 scorer and hold the result against the source.

    Raises:
        RefusedError: its answers leave the bound of its kind.
        FailedError: it cannot be converted.
    """
    concrete, _ = trace(score, **examples.size)
    content = convert(concrete, kind, calibration)
    model = TfLiteModel(content)
    found, expected = answers(model, examples.pixels), examples.reference(examples.pixels)
    line = require_alike(f"tflite {kind}", found, expected)
    gain = race(of_graph(score, **examples.size), model, examples.pixels, 1)
    likeness = compare(found, expected, BOUNDS[f"tflite {kind}"].difference)
    summary = card.TfLite(
        kind=kind,
        size_bytes=len(content),
        max_abs_difference=likeness.max_abs_difference,
        bound=BOUNDS[f"tflite {kind}"].difference,
        top_1_agreement=likeness.agreement,
    )
    latency = f"TensorFlow Lite against the float32 graph: {gain} on this machine"
    return (
        content,
        summary,
        (
            line,
            GateLine(step="tflite size", found=f"{TFLITE_FILE}: {len(content) / 1e6:.2f} MB"),
            GateLine(step="tflite latency", found=latency),
        ),
    )
