"""`demo`: train, measure, export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from contract.card import Source
from exporter import digits, export
from exporter.options import ExportOptions, GoldenFile
from exporter.preprocessing import NONE
from exporter.progress import Reporter
from exporter.settings import Settings
from exporter.sources.keras_file import from_keras, weights_digest
from exporter.sources.labels import ClassName
from exporter.sources.network import Network

STEPS: Final = digits.EPOCHS + 2 + export.STEPS
_GOLDEN_DIGITS: Final = 24


@dataclass(frozen=True, slots=True)
class DemoFiles:
    """What else to write, for those who want to check."""

    keras_file: Path | None = None
    held_out_folder: Path | None = None


def publish_demo(
    name: str, base_path: Path, files: DemoFiles, settings: Settings, report: Reporter
) -> export.Published:
    """Train on the digits and publish the model.

    Raises:
        ExporterError: the export failed or was refused.
    """
    report.step("drawing 1797 digits")
    data = digits.load()
    report.step(f"training, epoch 1 of {digits.EPOCHS}")

    def on_epoch(finished: int) -> None:
        if finished < digits.EPOCHS:
            report.step(f"training, epoch {finished + 1} of {digits.EPOCHS}")

    model = digits.train(data, on_epoch)
    report.step("measuring accuracy on held-out digits")
    evaluation = digits.evaluate(model, data.held_out)
    if files.keras_file:
        model.save(files.keras_file)
    if files.held_out_folder:
        digits.write_files(data.held_out, files.held_out_folder)
    options = ExportOptions(
        name=name,
        base_path=base_path,
        golden_files=tuple(GoldenFile(".png", d.png) for d in data.held_out[:_GOLDEN_DIGITS]),
        parity_bound=settings.parity_bound,
        evaluation=evaluation,
        preprocess=NONE,
    )
    return export.export(lambda _: _network(model), options, settings, report)


def _network(model: Any) -> Network:
    source = Source(
        kind="keras",
        name="digits demo",
        weights="trained by python -m exporter demo",
        weights_sha256=weights_digest(model),
    )
    return from_keras(model, source, classes=tuple(ClassName(label) for label in digits.LABELS))
