"""A training as a source of an export: it happens where the source is loaded.

That is the exporter's child process, whose memory goes when it ends, and which a Ctrl-C ends.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from PIL import Image

from contract.card import Source
from exporter.options import GoldenFile
from exporter.progress import Reporter
from exporter.settings import Settings
from exporter.training.history import History, Stage
from exporter.training.options import TrainingOptions
from exporter.training.plan import Plan
from exporter.training.progress import TrainingReporter

if TYPE_CHECKING:
    from exporter.sources.network import Network  # would bring TensorFlow

HISTORY: Final = "training.json"
KERAS: Final = "trained.keras"
_GOLDEN_PICTURES: Final = 8


@dataclass(frozen=True, slots=True)
class TrainedPhotos:
    """What to train, and where to leave what is known afterwards."""

    plan: Plan
    options: TrainingOptions
    settings: Settings
    scratch: Path

    def __call__(self, report: Reporter, /) -> Network:
        """As `Load`."""
        import keras  # noqa: PLC0415 - TensorFlow, seconds

        from exporter.sources.keras_file import from_keras, weights_digest  # noqa: PLC0415 - as above
        from exporter.sources.labels import ClassName  # noqa: PLC0415 - as above

        keras.utils.set_random_seed(self.options.seed)
        model, stages = self._train(cast("TrainingReporter", report))
        (self.scratch / HISTORY).write_text(self._history(model, stages).model_dump_json(indent=2))
        if self.options.keras_file:
            model.save(self.scratch / KERAS)
        source = Source(
            kind="keras",
            name=f"{self.options.network_name} trained on {self.plan.name}",
            weights=f"trained from {self._start()}",
            weights_sha256=weights_digest(model),
        )
        classes = tuple(ClassName(label) for label in self.plan.labels)
        network = from_keras(model, source, classes=classes)
        return replace(network, golden_files=self._goldens())

    def _train(self, report: TrainingReporter) -> tuple[Any, list[Stage]]:
        from exporter.training import backbone as backbones  # noqa: PLC0415 - TensorFlow
        from exporter.training import head, whole  # noqa: PLC0415 - TensorFlow

        plan, options = self.plan, self.options
        if options.network != "frozen":
            report.step(f"training the {options.network_name}")
            model, stage = whole.train(plan, options, self.settings, report)
            return model, [stage]
        report.step(f"computing the features of {options.network_name}")
        size = (plan.image.height, plan.image.width)
        backbone = backbones.load(
            options.network_name, options.weights, size, self.settings, report
        )
        features = head.extract(backbone, plan, options, report)
        report.step("training the head")
        trained, stage = head.train(features, plan, options, report)
        model, stages = head.assemble(backbone, trained, plan), [stage]
        if options.fine_tune:
            report.step("fine-tuning")
            stages.append(whole.fine_tune(model, backbone, plan, options, report))
            if not stages[-1].best:
                report.note("fine-tuning did not help: the weights are those from before")
        return model, stages

    def _start(self) -> str:
        if self.options.network != "frozen":
            return "random weights"
        return Path(self.options.weights).name

    def _history(self, model: Any, stages: list[Stage]) -> History:
        is_anew = self.options.augment and self.options.network != "frozen"
        copies = self.plan.augmented_copies if self.options.augment else 0
        return History(
            network=self.options.network_name,
            weights=self._start(),
            seed=self.options.seed,
            image_height=self.plan.image.height,
            image_width=self.plan.image.width,
            parameters=model.count_params(),
            augmented_copies=None if is_anew else copies,
            notes=self.plan.notes,
            stages=tuple(stages),
        )

    def _goldens(self) -> tuple[GoldenFile, ...]:
        """Some held-out pictures as the network sees them: whole photos would swell the version."""
        pixels, held_out = self.plan.pixels.open(), self.plan.parts.test
        chosen = held_out[np.linspace(0, len(held_out) - 1, _GOLDEN_PICTURES).astype(int)]
        return tuple(_as_png(pixels[position]) for position in np.unique(chosen))


def _as_png(picture: Any) -> GoldenFile:
    buffer = BytesIO()
    Image.fromarray(np.asarray(picture)).save(buffer, "PNG")
    return GoldenFile(".png", buffer.getvalue())
