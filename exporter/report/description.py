"""From findings to what a report says of them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from contract.card import ClassInfo, ModelCard
from exporter.accuracy.evaluation import Evaluation
from exporter.accuracy.metrics import CALIBRATION_BINS, Metrics
from exporter.accuracy.mistakes import Mistake
from exporter.accuracy.preprocessing import ModeResult
from exporter.accuracy.regression import Comparison
from exporter.proof import goldens
from exporter.proof.goldens import Goldens
from exporter.proof.latency import Latency
from exporter.proof.lines import GateLine
from exporter.report import content

_GOLDEN_CLASSES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What an export has found out besides card and goldens."""

    lines: Sequence[GateLine]
    evaluation: Evaluation | None = None
    modes: Sequence[ModeResult] = ()
    comparison: Comparison | None = None
    latency: Latency | None = None


def describe(
    version: Path,
    card: ModelCard,
    kept: Goldens,
    findings: Findings,
    mistakes: Sequence[Mistake],
) -> content.ReportContent:
    """Everything about a staged version."""
    evaluation, compared, latency = findings.evaluation, findings.comparison, findings.latency
    return content.ReportContent(
        written_at=datetime.now(UTC),
        card=card,
        gate=tuple(content.GateContent(**asdict(line)) for line in findings.lines),
        evaluation=describe_evaluation(evaluation, mistakes) if evaluation else None,
        modes=tuple(content.ModeContent(**asdict(mode)) for mode in findings.modes),
        regression=_regression(compared) if compared else None,
        latency=content.LatencyContent(**asdict(latency)) if latency else None,
        goldens=_goldens(version, card, kept),
        files=_files(version),
        graph_sha256=hashlib.sha256((version / "saved_model.pb").read_bytes()).hexdigest(),
    )


def describe_evaluation(
    evaluation: Evaluation, mistakes: Sequence[Mistake]
) -> content.EvaluationContent:
    """An evaluation; labels in place of class indices where people read them."""
    metrics, classes = evaluation.metrics, evaluation.classes
    confusion = metrics.confusion
    cells = zip(confusion.truth, confusion.predicted, confusion.pictures, strict=True)
    return content.EvaluationContent(
        target=evaluation.target,
        dataset=evaluation.dataset,
        pictures=metrics.n,
        top_1=metrics.top_1,
        top_1_low=metrics.top_1_interval.low,
        top_1_high=metrics.top_1_interval.high,
        top_5=metrics.top_5,
        ece=metrics.ece,
        bins=_bins(metrics),
        classes=_classes(metrics, classes),
        confusion=tuple(
            content.ConfusionContent(truth=int(truth), predicted=int(best), pictures=int(pictures))
            for truth, best, pictures in cells
        ),
        mistakes=tuple(
            content.MistakeContent(
                file=each.file.name,
                truth=classes[each.truth].label,
                predicted=classes[each.answered].label,
                probability=each.probability,
            )
            for each in mistakes
        ),
        broken=tuple(
            content.BrokenContent(file=each.name, reason=each.reason) for each in evaluation.broken
        ),
        unknown=tuple(content.UnknownContent(**asdict(each)) for each in evaluation.unknown),
    )


def _bins(metrics: Metrics) -> tuple[content.BinContent, ...]:
    return tuple(
        content.BinContent(
            low=place / CALIBRATION_BINS,
            high=(place + 1) / CALIBRATION_BINS,
            pictures=each.pictures,
            confidence=each.confidence,
            accuracy=each.accuracy,
        )
        for place, each in enumerate(metrics.bins)
        if each is not None
    )


def _classes(metrics: Metrics, classes: Sequence[ClassInfo]) -> tuple[content.ClassContent, ...]:
    seen = np.union1d(metrics.confusion.truth, metrics.confusion.predicted)
    return tuple(
        content.ClassContent(
            class_index=int(index),
            label=classes[index].label,
            pictures=int(metrics.support[index]),
            precision=_figure(metrics.precision[index]),
            recall=_figure(metrics.recall[index]),
        )
        for index in seen
    )


def _figure(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _regression(compared: Comparison) -> content.RegressionContent:
    paired = compared.paired
    return content.RegressionContent(
        against=compared.against,
        pictures=paired.n,
        top_1=compared.new_top_1,
        against_top_1=compared.old_top_1,
        difference=compared.new_top_1 - compared.old_top_1,
        low=-paired.interval.high,
        high=-paired.interval.low,
        only_new_right=paired.only_second,
        only_against_right=paired.only_first,
    )


def _goldens(version: Path, card: ModelCard, kept: Goldens) -> tuple[content.GoldenContent, ...]:
    names = sorted(path.name for path in (version / goldens.FOLDER).iterdir())
    best = np.argsort(-kept.probabilities, axis=1, kind="stable")[:, :_GOLDEN_CLASSES]
    return tuple(
        content.GoldenContent(
            file=name,
            predictions=tuple(
                content.PredictionContent(
                    class_index=int(index),
                    label=card.classes[index].label,
                    probability=float(row[index]),
                )
                for index in indices
            ),
        )
        for name, row, indices in zip(names, kept.probabilities, best, strict=True)
    )


def _files(version: Path) -> tuple[content.FileContent, ...]:
    found = sorted(path for path in version.rglob("*") if path.is_file())
    return tuple(
        content.FileContent(
            name=path.relative_to(version).as_posix(), size_bytes=path.stat().st_size
        )
        for path in found
    )
