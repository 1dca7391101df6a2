"""`demo`: draw, train, export with the accuracy on what was held out."""

# ruff: noqa: PLC0415 - scikit-learn and TensorFlow are imported where they are needed

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from contract.card import Source
from exporter import export
from exporter.export import Build
from exporter.options import (
    DIGITS_EPOCHS,
    AccuracyOptions,
    ExportOptions,
    GoldenFile,
    OpenVino,
)
from exporter.preprocessing import NONE
from exporter.progress import Reporter
from exporter.settings import Settings

if TYPE_CHECKING:
    from exporter.sources.network import Network

STEPS: Final = DIGITS_EPOCHS + 1 + export.STEPS
_GOLDEN_DIGITS: Final = 24
_DATASET: Final = "scikit-learn digits, held out"


@dataclass(frozen=True, slots=True)
class DemoFiles:
    """What else to write, for those who want to check."""

    keras_file: Path | None = None
    held_out_folder: Path | None = None


def publish_demo(
    name: str,
    base_path: Path,
    files: DemoFiles,
    settings: Settings,
    report: Reporter,
    build: Build = export.build_here,
    *,
    openvino: OpenVino = "never",
) -> export.Published:
    """Train on the digits, measure on those held out as on any labelled pictures, and publish.

    Raises:
        ExporterError: the export failed or was refused.
    """
    report.step("drawing 1797 digits")
    from exporter import digits  # scikit-learn, a second

    held_out = digits.held_out()
    if files.held_out_folder:
        digits.write_files(held_out, files.held_out_folder)
    with TemporaryDirectory(prefix="digits-") as folder:
        pictures = Path(folder) / _DATASET
        digits.write_files(held_out, pictures)
        options = ExportOptions(
            name=name,
            base_path=base_path,
            parity_bound=settings.parity_bound,
            encoded_parity_bound=settings.encoded_parity_bound,
            preprocess=NONE,
            accuracy=AccuracyOptions(pictures=pictures),
            openvino=openvino,
        )
        return export.export(TrainedDigits(files.keras_file), options, settings, report, build)


@dataclass(frozen=True, slots=True)
class TrainedDigits:
    """The demonstration model as a source: trained when it is loaded."""

    keras_file: Path | None

    def __call__(self, report: Reporter, /) -> Network:
        """As `Load`."""
        from exporter import digits, digits_network

        data = digits.load()
        report.step(f"training, epoch 1 of {DIGITS_EPOCHS}")

        def on_epoch(finished: int) -> None:
            if finished < DIGITS_EPOCHS:
                report.step(f"training, epoch {finished + 1} of {DIGITS_EPOCHS}")

        model = digits_network.train(data, on_epoch)
        if self.keras_file:
            model.save(self.keras_file)
        return replace(
            _network(model),
            golden_files=tuple(
                GoldenFile(".png", digit.png) for digit in data.held_out[:_GOLDEN_DIGITS]
            ),
        )


def _network(model: Any) -> Network:
    from exporter import digits
    from exporter.sources.keras_file import from_keras, weights_digest
    from exporter.sources.labels import ClassName

    source = Source(
        kind="keras",
        name="digits demo",
        weights="trained by python -m exporter demo",
        weights_sha256=weights_digest(model),
    )
    return from_keras(model, source, classes=tuple(ClassName(label) for label in digits.LABELS))
