"""One application through both engines: converted, compared, timed in turns.

    python -m bench.engine_race NAME RESULT.json --images 32 --rounds 7 --round-seconds 0.3

Every engine has a process of its own, and only one of them runs at a time, in an order that moves
from round to round; so ratios of one round mean something where seconds do not.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.engine_contestant import (
    OPENVINO_BF16,
    OPENVINO_F32,
    TENSORFLOW,
    TENSORFLOW_BF16,
    Contestant,
    ContestantError,
    Pixels,
    Probabilities,
)
from bench.engine_subject import Subject, build
from bench.serving_speed import isolated
from exporter.batches import images_at_once

BATCH_SIZES: Final = (1, 8)
MEASURED: Final = "measured"
NOT_CONVERTED: Final = "not converted"
FAILED: Final = "failed"
_ASKED_AT_ONCE: Final = 8  # of small images
_ODD_BATCH: Final = 3
_SLOW_SECONDS: Final = 2.0  # of one batch: fewer rounds are enough
_FEWEST_ROUNDS: Final = 3
_TINY: Final = 1e-30

Result = dict[str, Any]


def main() -> None:
    """Measure one application and write its result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("result", type=Path)
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--round-seconds", type=float, default=0.3)
    parser.add_argument("--tensorflow-bf16", action="store_true", help="as a fourth engine")
    parser.add_argument("--convert-only", action="store_true", help="and race another time")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="engines-") as directory:
        result = measure(arguments, Path(directory))
    arguments.result.write_text(json.dumps(result), encoding="utf-8")


def measure(arguments: argparse.Namespace, directory: Path) -> Result:
    """Build, convert and race."""
    subject = isolated(_build, arguments, directory)
    result: Result = {"image": list(subject.pixels.shape[1:3]), "images": len(subject.pixels)}
    try:
        result["convert_seconds"] = isolated(convert, subject, directory / "model.xml")
    except Exception as error:  # noqa: BLE001 - a finding as any other
        return {**result, "outcome": NOT_CONVERTED, "words": f"{error}"}
    if arguments.convert_only:
        return result  # no outcome: the race is still to come
    try:
        return result | race(subject, directory / "model.xml", arguments)
    except ContestantError as error:
        return {**result, "outcome": FAILED, "words": f"{error}"}


def _build(arguments: argparse.Namespace, directory: Path) -> Subject:
    return build(
        arguments.name,
        directory,
        arguments.images,
        is_settled=not arguments.convert_only,
        with_bfloat16=arguments.tensorflow_bf16,
    )


def convert(subject: Subject, path: Path) -> float:
    """Convert a frozen graph as the exporter does, weights in float32; the seconds it took.

    Raises:
        Exception: OpenVINO's own, where its frontend cannot.
    """
    import openvino as ov  # noqa: PLC0415 - only in the process that needs it
    from openvino.frontend import FrontEndManager  # noqa: PLC0415 - as above

    height, width = subject.pixels.shape[1:3]
    started = time.perf_counter()
    frontend = FrontEndManager().load_by_framework("tf")
    source = frontend.load(str(subject.graph))
    source.extract_subgraph(
        [source.get_place_by_tensor_name(subject.input_name)],
        [source.get_place_by_tensor_name(subject.output_name)],
    )
    images = source.get_inputs()[0]
    source.set_partial_shape(images, ov.PartialShape([-1, height, width, 3]))
    source.set_element_type(images, ov.Type.u8)
    ov.save_model(frontend.convert(source), path, compress_to_fp16=False)
    return round(time.perf_counter() - started, 2)


def race(subject: Subject, model: Path, arguments: argparse.Namespace) -> Result:
    """Load every engine, compare their answers, then time them in turns."""
    with ExitStack() as stack:
        contestants = [stack.enter_context(each) for each in enter(subject, model)]
        engines = {each.kind: each.ask("load", subject.pixels[:1]) for each in contestants}
        answers = {each.kind: answer(each, subject.pixels) for each in contestants}
        reference = answers[TENSORFLOW]
        for each in contestants[1:]:
            engines[each.kind] |= compare(reference, answers[each.kind])
        for each in contestants:
            engines[each.kind]["batch_difference"] = batch_difference(
                each, subject.pixels, answers[each.kind]
            )
        for size in BATCH_SIZES:
            rounds = time_in_turns(contestants, subject.pixels[:size], arguments)
            for kind, figures in rounds.items():
                engines[kind].setdefault("batches", {})[str(size)] = figures
        for each in contestants:
            engines[each.kind]["memory_bytes"] = each.ask("memory_bytes")
    return {
        "outcome": MEASURED,
        "spread": float(np.ptp(reference, axis=0).max()),
        "different_classes": len(set(reference.argmax(axis=1).tolist())),
        "engines": engines,
    }


def enter(subject: Subject, model: Path) -> list[Contestant]:
    """Start a process for each engine; TensorFlow in float32, the reference, is the first."""
    contestants = [
        Contestant(TENSORFLOW, subject.graph, subject.input_name, subject.output_name),
        Contestant(OPENVINO_F32, model, "", ""),
        Contestant(OPENVINO_BF16, model, "", ""),
    ]
    if subject.bfloat16_graph is not None:
        names = subject.bfloat16_names
        contestants.append(Contestant(TENSORFLOW_BF16, subject.bfloat16_graph, *names))
    return contestants


def answer(contestant: Contestant, pixels: Pixels) -> Probabilities:
    """Probabilities [N,C] of all photographs."""
    size = images_at_once(_ASKED_AT_ONCE, *pixels.shape[1:3])
    probabilities: Probabilities = contestant.ask("answer", pixels, size)
    return probabilities


def compare(reference: Probabilities, probabilities: Probabilities) -> Result:
    """How far an engine's answers [N,C] are from TensorFlow's in float32.

    Returns:
        `difference`: the largest of a probability; `log_difference`: the root mean square of the
        difference of logits over their own (logits are logarithms of probabilities, centred by
        image); `top_1_agreement`: the share of images with the same most probable class.
    """
    logits, others = centred_logits(reference), centred_logits(probabilities)
    error = np.sqrt(np.mean((logits - others) ** 2) / np.mean(logits**2))
    same = reference.argmax(axis=1) == probabilities.argmax(axis=1)
    return {
        "difference": float(np.abs(reference - probabilities).max()),
        "log_difference": float(error),
        "top_1_agreement": float(same.mean()),
    }


def centred_logits(probabilities: Probabilities) -> Probabilities:
    """Logits [N,C] of softmax, each image's with mean 0."""
    logits = np.log(np.maximum(probabilities.astype(np.float64), _TINY))
    return np.asarray(logits - logits.mean(axis=1, keepdims=True))


def batch_difference(contestant: Contestant, pixels: Pixels, probabilities: Probabilities) -> float:
    """The largest difference of a probability when the same images come in other batches."""
    few = pixels[: 2 * _ODD_BATCH + 1]  # batches of three, three and one
    others = contestant.ask("answer", few, _ODD_BATCH)
    return float(np.abs(probabilities[: len(few)] - others).max())


def time_in_turns(
    contestants: list[Contestant], pixels: Pixels, arguments: argparse.Namespace
) -> dict[str, dict[str, list[float]]]:
    """By engine, its figures of every round: images per second, seconds of CPU per image."""
    samples: dict[str, list[dict[str, float]]] = {each.kind: [] for each in contestants}
    slowest = max(time_once(each, pixels) for each in contestants)
    few = min(_FEWEST_ROUNDS, arguments.rounds)
    for turn in range(few if slowest > _SLOW_SECONDS else arguments.rounds):
        start = turn % len(contestants)
        for each in contestants[start:] + contestants[:start]:
            samples[each.kind].append(each.ask("time", pixels, arguments.round_seconds))
    names = ("images_per_second", "cpu_seconds_per_image")
    return {
        kind: {name: [float(f"{each[name]:.4g}") for each in taken] for name in names}
        for kind, taken in samples.items()
    }


def time_once(contestant: Contestant, pixels: Pixels) -> float:
    """Seconds of one batch, the first of its size: it warms up."""
    figures: dict[str, float] = contestant.ask("time", pixels, 0.0)
    return len(pixels) / figures["images_per_second"]


if __name__ == "__main__":
    main()
