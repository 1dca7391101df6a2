"""The second engine's part of an export: after the build, before the gate. Needs no TensorFlow.

    staged version ─► child: IR, figures ─► card in the graph ─► model server per precision ─► kept
                        └── fails ──► left out with a note, or refused where it was asked for

The card stands in the graph with the figures before any model server loads it, so that what the
gate has proven is what is published. What a model server refuses is taken out of the card, and the
rest is proven again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from contract.card import EngineProof, ModelCard
from exporter.accuracy.datasets import PictureFile
from exporter.apart import run_apart
from exporter.built import Built
from exporter.errors import ExporterError
from exporter.measure.machine import has_bfloat16
from exporter.openvino import files
from exporter.openvino.job import Examples, Job, Made
from exporter.options import ExportOptions
from exporter.progress import Reporter
from exporter.proof import calibration, gate
from exporter.proof.goldens import Goldens
from exporter.proof.lines import GateLine
from exporter.settings import Settings
from exporter.store import card_text, inventory

STEP: Final = "openvino"
_MAX_EXAMPLES: Final = 1000
"""Of labelled pictures, evenly from all; with int8 all of them are asked."""
_WORKER: Final = f"{__name__.rpartition('.')[0]}.worker"


@dataclass(slots=True)
class Staged:
    """A staged version as far as the second engine is concerned."""

    base_path: Path
    version_path: Path
    built: Built
    card: ModelCard
    """As its graph answers it."""
    card_text: str
    lines: list[GateLine] = field(default_factory=list)
    """What the second engine has passed."""


def add(
    staged: Staged, kept: Goldens, options: ExportOptions, settings: Settings, report: Reporter
) -> None:
    """Make the version for OpenVINO, prove it, and have the card tell.

    Args:
        staged: its card becomes the one that is published.
        kept: its golden images.
        options: `openvino` and `precision` say what is wanted, and how much.
        settings: timeouts.
        report: told what is left out.

    Raises:
        ExporterError: it was asked for, and cannot be had.
    """
    if options.openvino == "never":
        return
    try:
        made = _make(staged, options, report)
        for note in made.notes:
            report.note(note)
        proofs = _proven(staged, kept, made, settings, options, report)
    except ExporterError as error:
        if is_required(options):
            raise
        report.note(f"OpenVINO is left out: {error}")
        proofs = ()
    if not proofs:
        files.remove(staged.version_path)
        _tell(staged, (), None)
    staged.lines = list(lines(proofs))


def is_required(options: ExportOptions) -> bool:
    """Whether the export fails without it."""
    return options.openvino == "always" or options.precision == "int8"


def lines(proofs: Sequence[EngineProof]) -> Iterator[GateLine]:
    """What was found, for people."""
    for proof in proofs:
        more = ""
        if proof.evaluation_n is not None:
            more = f", {proof.evaluation_agreement:.2%} of {proof.evaluation_n} other images"
        yield GateLine(
            step=f"{STEP} {proof.precision}",
            found=f"{proof.max_abs_difference:.1e} from the source at most, the same first class "
            f"for {proof.top_1_agreement:.0%} of {proof.n} golden images{more}; every signature "
            "over gRPC and REST",
            bound=f"{proof.bound:g}",
        )


def _make(staged: Staged, options: ExportOptions, report: Reporter) -> Made:
    report.advance("converting it for OpenVINO", 1, 1)
    calibrating, held_out = calibration.for_int8(
        options, is_evaluated=staged.built.examined is not None
    )
    job = Job(
        version_path=staged.version_path,
        card=staged.card,
        is_bfloat16_native=has_bfloat16(),
        calibration=tuple(calibrating),
        examples=_examples(staged.built, held_out, is_all=bool(calibrating)),
        min_agreement=options.min_agreement,
        min_accuracy=options.accuracy.min_accuracy if options.accuracy else None,
    )
    made: Made = run_apart(
        _WORKER,
        "make",
        {"job": job},
        report=report,
        writes_to=staged.version_path.parent,
        what="the conversion for OpenVINO",
    )
    return made


def _examples(built: Built, held_out: Sequence[Path], *, is_all: bool) -> Examples | None:
    if built.examined is None:
        unlabelled = tuple(PictureFile(path, str(path)) for path in held_out)
        return Examples(files=unlabelled) if unlabelled else None
    evaluation = built.examined.evaluation
    count = len(evaluation.files) if is_all else min(_MAX_EXAMPLES, len(evaluation.files))
    chosen = np.linspace(0, len(evaluation.files) - 1, count).round().astype(int)
    return Examples(
        files=tuple(evaluation.files[index] for index in chosen),
        best=tuple(int(each) for each in evaluation.best[chosen]),
        truth=tuple(int(each) for each in evaluation.truth[chosen]),
    )


def _proven(
    staged: Staged,
    kept: Goldens,
    made: Made,
    settings: Settings,
    options: ExportOptions,
    report: Reporter,
) -> tuple[EngineProof, ...]:
    """The precisions that a model server answers rightly in; the card tells of no other."""
    proofs = made.proofs
    while proofs:
        _tell(staged, proofs, made.openvino)
        passed = []
        for place, proof in enumerate(proofs, start=1):
            report.advance(f"asking OpenVINO in {proof.precision}", place, len(proofs))
            try:
                gate.prove_engine(staged.base_path, kept, staged.card, proof, settings)
            except ExporterError as error:
                if _is_asked_for(proof, options):
                    raise
                report.note(f"OpenVINO in {proof.precision} is left out: {error}")
            else:
                passed.append(proof)
        if len(passed) == len(proofs):
            break
        proofs = tuple(passed)
    return proofs


def _is_asked_for(proof: EngineProof, options: ExportOptions) -> bool:
    asked = {"f32"} if options.openvino == "always" else set()
    return proof.precision in asked | ({"int8"} if options.precision == "int8" else set())


def _tell(staged: Staged, proofs: tuple[EngineProof, ...], openvino: str | None) -> None:
    """Write the card with these figures, into the graph and beside it."""
    frameworks = {key: text for key, text in staged.card.frameworks.items() if key != "openvino"}
    if openvino is not None:
        frameworks["openvino"] = openvino
    staged.card = staged.card.model_copy(update={"engines": proofs, "frameworks": frameworks})
    staged.card_text = card_text.replace(
        staged.version_path, staged.card_text, staged.card.model_dump_json()
    )
    inventory.write_card(staged.version_path, staged.card)
    if openvino is not None:
        files.keep_only(staged.version_path, [proof.precision for proof in proofs])
        files.write_engine(staged.version_path, proofs, openvino, staged.card_text)
