"""The use case: a source in, a proven version out. Prints nothing; its errors name options.

Needs no TensorFlow itself: what does is `exporter.build`, which may run here or, so that its memory
is gone before a model server starts, in a process of its own (`exporter.build_process`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from contract.card import ModelCard
from exporter import preflight
from exporter.accuracy import gate as accuracy_gate
from exporter.accuracy.evaluation import read_set
from exporter.built import Built
from exporter.openvino import packages, stage
from exporter.options import ExportOptions
from exporter.progress import Reporter
from exporter.proof import calibration, gate, goldens, latency
from exporter.proof.latency import Latency
from exporter.proof.lines import GateLine
from exporter.proof.replay import Checked
from exporter.report import files as report_files
from exporter.report.description import Findings
from exporter.settings import Settings
from exporter.side_effects.refusal import require_known_ops
from exporter.sources.loading import Load
from exporter.store import inventory, manifest, publish, signature

STEPS: Final = 7
"""Five of the build, then proving and publishing."""


@dataclass(frozen=True, slots=True)
class Published:
    """A visible version."""

    path: Path
    version: int
    card: ModelCard
    checked: list[Checked]
    lines: tuple[GateLine, ...]


class Build(Protocol):
    """`exporter.build.build`, here or elsewhere."""

    def __call__(
        self,
        load: Load,
        options: ExportOptions,
        settings: Settings,
        report: Reporter,
        version_path: Path,
    ) -> Built:
        """Write a staged version of the source; what it has passed."""
        ...


def build_here(
    load: Load, options: ExportOptions, settings: Settings, report: Reporter, version_path: Path
) -> Built:
    """In this process, whose memory keeps what TensorFlow does not give back."""
    from exporter.build import build  # noqa: PLC0415 - TensorFlow, seconds

    return build(load, options, settings, report, version_path)


def export(
    load: Load,
    options: ExportOptions,
    settings: Settings,
    report: Reporter,
    build: Build = build_here,
) -> Published:
    """Load, wrap, freeze, prove and publish.

    Args:
        load: gives the source; called once, after the cheap checks.
        options: what and how.
        settings: timeouts, model server, batch sizes.
        report: told about each of the `STEPS` steps.
        build: where the work with TensorFlow is done.

    Raises:
        ExporterError: one of its three kinds; nothing is visible then.
    """
    options = packages.settled(options)
    preflight.require_target(options)
    require_known_ops(options.allowed_ops)
    calibration.require(options)
    pictures = read_set(options.accuracy.pictures) if options.accuracy else None
    model_path = options.base_path / options.name
    signing_key = Path(settings.signing_key) if settings.signing_key else None
    if signing_key:
        signature.require_usable(signing_key)
    with publish.staging(model_path) as staged:
        built = build(load, options, settings, report, staged.version_path)
        answers = goldens.read(staged.version_path)
        report.step("proving it on a model server")
        proving = stage.Staged(
            staged.base_path,
            staged.version_path,
            built,
            inventory.read_card(staged.version_path),
            built.card_text,
        )
        stage.add(proving, answers, options, settings, report)
        card = proving.card
        timed: list[Latency] = []
        checked = gate.prove(
            staged.base_path,
            answers,
            card,
            settings,
            then=lambda client, spec: timed.append(latency.measure(client, spec, answers.pixels)),
        )
        lines = [*built.lines, *gate.lines(checked, card), *proving.lines]
        lines += [latency.require(each, options.max_latency_ms) for each in timed]
        compared = None
        if options.accuracy and pictures and built.examined:
            compared = accuracy_gate.compare_with_published(
                built.examined.evaluation, pictures, options.accuracy, model_path, settings, report
            )
        if compared:
            lines.append(compared[1])
        findings = Findings(
            lines=lines,
            evaluation=built.examined.evaluation if built.examined else None,
            modes=built.examined.modes if built.examined else (),
            comparison=compared[0] if compared else None,
            latency=timed[0] if timed else None,
        )
        report_files.write(staged.version_path, card, answers, findings)
        report.step("publishing")
        manifest.write(staged.version_path)
        if signing_key:
            signature.sign(staged.version_path, signing_key)
        path = staged.publish(options.version)
    return Published(path, int(path.name), card, checked, tuple(lines))
