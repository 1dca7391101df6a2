"""A version for OpenVINO: converted, and every precision held against the source. Runs in a child.

IR ─► f32: parity bound ─► bf16, where the CPU has it: its bound, else left out with a note
                         └► int8, where it was asked for: its bound, else refused
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

import numpy as np
import numpy.typing as npt

from contract.card import EngineProof
from exporter.accuracy.answers import answer_all
from exporter.accuracy.in_process import Classify, InProcess
from exporter.batches import ask_in_batches, images_at_once
from exporter.errors import RefusedError
from exporter.openvino import conversion, quantization
from exporter.openvino.conversion import STEP
from exporter.openvino.job import Examples, Job, Made
from exporter.openvino.running import Compiled
from exporter.progress import Reporter
from exporter.proof import calibration, goldens
from exporter.proof.goldens import Goldens
from exporter.proof.likeness import BOUNDS, Bound, compare

_LARGEST_BATCH = 8
_BATCH_SIZES = (1, 2, 3)
"""Asked besides: what is compiled once must answer batches of any size alike."""


def make(job: Job, report: Reporter) -> Made:
    """Write `assets.extra/openvino/` and prove what is in it.

    Raises:
        RefusedError: it cannot be converted, f32 differs from the source, or int8 was asked for
            and differs by more than is allowed.
    """
    conversion.convert(job.version_path, job.card.image)
    kept = goldens.read(job.version_path)
    proving = _Proving(job, kept, report)
    proofs = [proving.prove("f32")]
    notes = []
    if job.is_bfloat16_native:
        try:
            proofs.append(proving.prove("bf16"))
        except RefusedError as error:
            notes.append(f"OpenVINO in bf16 is left out: {error}")
    if job.calibration:
        proofs.append(_quantised(job, proving, report))
    return Made(tuple(proofs), metadata.version("openvino"), tuple(notes))


def _quantised(job: Job, proving: _Proving, report: Reporter) -> EngineProof:
    """The quick way first: the thorough one takes several times as long."""
    report.advance("quantising to int8", 1, 1)
    images = calibration.read(list(job.calibration), job.card.image)
    assert images is not None  # noqa: S101 - there are files; for the type checker
    quantization.quantise(job.version_path, images, is_thorough=False)
    try:
        return proving.prove("int8")
    except RefusedError:
        quantization.quantise(job.version_path, images, is_thorough=True)
        return proving.prove("int8")


class _Proving:
    """Precisions of one version against its source's answers."""

    def __init__(self, job: Job, kept: Goldens, report: Reporter) -> None:
        self._job = job
        self._kept = kept
        self._report = report
        self._best = np.array(job.examples.best) if job.examples and job.examples.best else None

    def prove(self, precision: str) -> EngineProof:
        """The figures of one.

        Raises:
            RefusedError: it leaves its bounds.
        """
        answer = Compiled(self._job.version_path, precision)
        bound = bound_of(precision, self._job)
        height, width = self._kept.pixels.shape[1:3]
        size = images_at_once(_LARGEST_BATCH, height, width)
        expected = self._kept.probabilities
        found = ask_in_batches(answer, self._kept.pixels, size)
        _require_sizes(precision, answer, self._kept.pixels[: max(_BATCH_SIZES)], found, bound)
        try:
            likeness = compare(found, expected, bound.difference)
        except ValueError as error:
            raise RefusedError(f"OpenVINO in {precision} {error}", step=STEP) from error
        # Written so that NaN is refused as well.
        if not (
            likeness.max_abs_difference <= bound.difference
            and likeness.agreement >= bound.agreement
        ):
            raise RefusedError(
                f"OpenVINO in {precision} is off by {likeness.max_abs_difference:.2g}, with the "
                f"same first class for {likeness.agreement:.1%} of {likeness.n} golden images "
                f"(allowed: {bound.difference:g}, {bound.agreement:.0%})",
                step=STEP,
            )
        evaluation = self._evaluate(precision, answer, self._job.examples)
        return EngineProof(
            engine="openvino",
            precision=precision,
            n=likeness.n,
            max_abs_difference=likeness.max_abs_difference,
            bound=bound.difference,
            top_1_agreement=round(likeness.agreement, 6),
            **evaluation,
        )

    def _evaluate(
        self, precision: str, answer: Classify, examples: Examples | None
    ) -> dict[str, float]:
        if examples is None:
            return {}
        card = self._job.card
        asked = InProcess(f"OpenVINO in {precision}", card.classes, card.image, answer)
        answered = answer_all(
            asked,
            examples.files,
            lambda done, total: self._report.advance(f"asking {asked.name}", done, total),
        )
        if len(answered.positions) != len(examples.files):
            raise RefusedError(f"unreadable: {answered.broken[0]}", step=STEP)
        best = answered.answers.class_indices[:, 0]
        if self._best is None:
            self._best = best
        agreement = float((best == self._best).mean())
        found = {"evaluation_n": len(best), "evaluation_agreement": round(agreement, 6)}
        if agreement < self._job.min_agreement:
            raise RefusedError(
                f"OpenVINO in {precision} has the same first class for {agreement:.2%} of "
                f"{len(best)} images, wanted are {self._job.min_agreement:.2%} (--min-agreement)",
                step="agreement",
            )
        if examples.truth is not None:
            top_1 = float((best == np.array(examples.truth)).mean())
            _require_accuracy(precision, top_1, len(best), self._job.min_accuracy)
            found["evaluation_top_1"] = round(top_1, 6)
        return found


def bound_of(precision: str, job: Job) -> Bound:
    """What a precision is held to on the golden images."""
    assert job.card.parity is not None  # noqa: S101 - the build has set it; for the type checker
    parity = job.card.parity.bound
    if precision == "f32":
        return Bound(parity, 1.0)
    own = BOUNDS[f"openvino {precision}"]
    return Bound(max(own.difference, parity), own.agreement)


def _require_sizes(
    precision: str,
    answer: Classify,
    pixels: npt.NDArray[np.uint8],
    expected: npt.NDArray[np.float32],
    bound: Bound,
) -> None:
    for size, found in _by_size(answer, pixels):
        off = float(np.abs(found - expected[:size]).max())
        if not off <= bound.difference:
            raise RefusedError(
                f"OpenVINO in {precision} answers a batch of {size} otherwise, by {off:.2g} "
                f"(allowed: {bound.difference:g})",
                step=STEP,
            )


def _by_size(
    answer: Classify, pixels: npt.NDArray[np.uint8]
) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    for size in _BATCH_SIZES:
        yield size, answer(pixels[:size])


def _require_accuracy(precision: str, top_1: float, n: int, min_accuracy: float | None) -> None:
    if min_accuracy is not None and top_1 < min_accuracy:
        raise RefusedError(
            f"OpenVINO in {precision}: top-1 accuracy {top_1:.4f} on {n} pictures, wanted are "
            f"{min_accuracy:g} (--min-accuracy)",
            step="accuracy",
        )
