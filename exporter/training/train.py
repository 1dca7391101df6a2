"""The use case: a folder of photographs in, a published version out.

Prints nothing. Only the child process of the build imports TensorFlow:

    look, decode, split ─► build: train, then as any source ─► gate, publish ─► .keras
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exporter import export, interruption, preflight
from exporter.build_process import build_apart
from exporter.built import Built
from exporter.errors import UsageError
from exporter.export import Build, Published
from exporter.openvino import packages
from exporter.options import AccuracyOptions, ExportOptions
from exporter.preprocessing import NONE
from exporter.progress import Reporter
from exporter.settings import Settings
from exporter.sources.application_names import spelled
from exporter.sources.loading import Load
from exporter.sources.source_files import SourceFiles
from exporter.training import plan as plans
from exporter.training.history import History
from exporter.training.options import TrainingOptions
from exporter.training.page import training_page
from exporter.training.plan import Plan
from exporter.training.progress import TrainingReporter
from exporter.training.trained import HISTORY, KERAS, TrainedPhotos

HTML: Final = "training.html"
"""Beside the version's `report.html`, with `training.json`; model servers ignore both."""
_LEAST_PART: Final = 0.01
_MOST_HELD_OUT: Final = 0.8


def steps(options: TrainingOptions) -> int:
    """Of a training with these options: reading, its own, and the export's."""
    own = 2 + options.fine_tune if options.network == "frozen" else 1
    return 1 + own + export.STEPS


def require_sensible(options: TrainingOptions, settings: Settings) -> None:
    """All that can be refused before a picture is opened.

    Raises:
        UsageError: options contradict each other, or name what does not exist.
        RefusedError: the weights file claims more than it holds.
        FailedError: the base path cannot be written.
    """
    if options.application is not None:
        spelled(options.application)
    if options.fine_tune and options.network != "frozen":
        raise UsageError(
            "--fine-tune goes on with pretrained weights; random ones (--weights none) are trained "
            "whole anyway"
        )
    if options.mirror and not options.augment:
        raise UsageError("--mirror is an augmentation; leave --no-augment out")
    for option, part in (("--validation", options.validation), ("--test", options.test)):
        if not _LEAST_PART <= part < 1:
            raise UsageError(f"{option} {part:g}: write a part of each class, such as 0.15")
    if options.validation + options.test > _MOST_HELD_OUT:
        raise UsageError(
            f"--validation {options.validation:g} and --test {options.test:g} leave less than "
            f"{1 - _MOST_HELD_OUT:.0%} of the pictures to train on"
        )
    files = SourceFiles(application=options.network_name, weights=options.weights)
    preflight.require_sources(files, labels=None, golden_dir=None, settings=settings)
    preflight.require_target(packages.settled(_export_options(options, settings, None)))
    if options.keras_file:
        _require_keras_target(options.keras_file)


def train(
    options: TrainingOptions,
    settings: Settings,
    report: TrainingReporter,
    build: Build = build_apart,
) -> Published:
    """Train, measure on what was held out, and publish.

    Raises:
        ExporterError: one of its three kinds; nothing is visible then.
    """
    require_sensible(options, settings)
    with _scratch() as scratch:
        plan = _plan(options, scratch, report)
        if options.network != "frozen":
            report.note(
                f"starting from random weights: the whole {options.network_name} is trained, and "
                "knows nothing but these pictures"
            )
        held_out = _hold_out(plan, scratch)
        published = export.export(
            TrainedPhotos(plan, options, settings, scratch),
            _export_options(options, settings, held_out),
            settings,
            report,
            _Reporting(build, plan, scratch),
        )
        if options.keras_file:
            _keep(scratch / KERAS, options.keras_file)
    return published


def dry_run(options: TrainingOptions, settings: Settings, report: Reporter) -> Plan:
    """Only what needs no TensorFlow: what would be trained on what.

    Raises:
        ExporterError: as `train`, as far as it comes.
    """
    require_sensible(options, settings)
    with _scratch() as scratch:
        return _plan(options, scratch, report)


@dataclass(frozen=True, slots=True)
class _Reporting:
    """A build that leaves the training's own page in the staged version."""

    build: Build
    plan: Plan
    scratch: Path

    def __call__(
        self,
        load: Load,
        options: ExportOptions,
        settings: Settings,
        report: Reporter,
        version_path: Path,
    ) -> Built:
        built = self.build(load, options, settings, report, version_path)
        told = (self.scratch / HISTORY).read_text(encoding="utf-8")
        evaluation = built.examined.evaluation if built.examined else None
        title = f"{options.name}: training report"
        text = training_page(title, self.plan, History.model_validate_json(told), evaluation)
        (version_path / HISTORY).write_text(told + "\n", encoding="utf-8")
        (version_path / HTML).write_text(text, encoding="utf-8")
        return built


def _plan(options: TrainingOptions, scratch: Path, report: Reporter) -> Plan:
    plan = plans.make(options, scratch, report)
    for note in plan.notes:
        report.note(note)
    return plan


def _export_options(
    options: TrainingOptions, settings: Settings, held_out: Path | None
) -> ExportOptions:
    return ExportOptions(
        name=options.name,
        base_path=options.base_path,
        image={
            "fit": options.fit,
            **(dict(zip(("height", "width"), options.image_size, strict=True))
               if options.image_size else {}),
        },
        preprocess=NONE,
        parity_bound=settings.parity_bound,
        encoded_parity_bound=settings.encoded_parity_bound,
        accuracy=AccuracyOptions(pictures=held_out, min_accuracy=options.min_accuracy)
        if held_out
        else None,
        openvino=options.openvino,
    )  # fmt: skip


def _hold_out(plan: Plan, scratch: Path) -> Path:
    """The test part as the labelled pictures that the gate takes: a folder per class, of links."""
    folder = scratch / f"{plan.name}, held out"
    for position in plan.parts.test:
        file = plan.files[position]
        link = folder / file.label / Path(*file.path.relative_to(plan.folder).parts[1:])
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file.path.resolve())
    return folder


def _require_keras_target(file: Path) -> None:
    if file.suffix != ".keras":
        raise UsageError(f"--keep-keras {file}: the file's name ends in .keras")
    if file.is_dir() or not file.absolute().parent.is_dir():
        raise UsageError(f"--keep-keras {file}: there is no such folder to write a file to")


def _keep(trained: Path, file: Path) -> None:
    """All of it or nothing, like the version."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        shutil.copyfile(trained, beside)
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder that goes with us, also on Ctrl-C."""
    with interruption.held():
        folder = Path(tempfile.mkdtemp(prefix="sightserve-"))
    try:
        interruption.require_none()
        yield folder
    finally:
        with interruption.held():
            shutil.rmtree(folder, ignore_errors=True)
