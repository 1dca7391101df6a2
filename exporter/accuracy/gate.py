"""The gate's part with labelled pictures: before the version is saved, and after it is proven.

The graph is asked in this process, as its card, which tells the figures, lies inside of it; that a
model server answers the same is proven by the goldens. The published version is asked on a model
server of its own, started after the gate's has ended: never two models in memory for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contract.card import ClassInfo
from contract.image_spec import ImageSpec
from exporter.accuracy import preprocessing, regression, requirements
from exporter.accuracy.evaluation import Evaluation, LabelledSet, evaluate
from exporter.accuracy.in_process import Classify, InProcess
from exporter.accuracy.model_server import served
from exporter.accuracy.preprocessing import ModeResult, Predict
from exporter.accuracy.regression import Comparison
from exporter.options import AccuracyOptions
from exporter.progress import Reporter
from exporter.proof.lines import GateLine
from exporter.settings import Settings
from exporter.store import inventory
from exporter.store.version_numbers import versions


@dataclass(frozen=True, slots=True)
class Examined:
    """What labelled pictures said about a graph."""

    evaluation: Evaluation
    modes: tuple[ModeResult, ...]
    lines: tuple[GateLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A graph that is not saved yet, and the source that it came from."""

    name: str
    classify: Classify
    """The graph: uint8 [N,H,W,3] to float32 [N,C]."""
    predictors: Mapping[str, Predict]
    """The source behind each preprocessing that has a name."""
    classes: tuple[ClassInfo, ...]
    image: ImageSpec
    preprocess: str


def examine(
    candidate: Candidate, pictures: LabelledSet, wanted: AccuracyOptions, report: Reporter
) -> Examined:
    """Have the graph answer the pictures; refuse what is wrong, or not right often enough.

    Raises:
        UsageError: the set names classes that the model does not have, or has no readable picture.
        RefusedError: the accuracy is too low, or another order of the labels or another
            preprocessing is right clearly more often.
    """
    asked = InProcess(candidate.name, candidate.classes, candidate.image, candidate.classify)
    evaluation = evaluate(asked, pictures, report)
    # The most telling refusal first: under a wrong order of labels no preprocessing is right, and
    # under a wrong preprocessing no accuracy is.
    requirements.require_order(evaluation)
    modes: tuple[ModeResult, ...] = ()
    if len(candidate.classes) > 1:
        modes = preprocessing.compare(
            evaluation, candidate.image, candidate.preprocess, candidate.predictors
        )
    lines = [requirements.require_accuracy(evaluation, wanted.min_accuracy)]
    if modes:
        lines.append(preprocessing.line(modes))
    return Examined(evaluation, modes, tuple(lines))


def compare_with_published(
    new: Evaluation,
    pictures: LabelledSet,
    wanted: AccuracyOptions,
    model_path: Path,
    settings: Settings,
    report: Reporter,
) -> tuple[Comparison, GateLine] | None:
    """Have a published version answer the same pictures; None: nothing to compare with.

    Raises:
        UsageError: there is no such version, or it has no class in common.
        FailedError: it does not answer.
        RefusedError: the new one is worse by more than is allowed.
    """
    if wanted.max_regression is None:
        return None
    if wanted.against is None and not versions(model_path):
        report.note(f"--max-regression: no version of {model_path.name} is published yet")
        return None
    found = inventory.find(model_path.parent, model_path.name, wanted.against)
    with served(found, settings) as version:
        comparison = regression.compare(new, evaluate(version, pictures, report))
    line = regression.require(comparison, wanted.max_regression)
    doubt = regression.doubt(comparison, wanted.max_regression)
    if doubt:
        report.note(doubt)
    return comparison, line
