"""Versions that tell on whoever mixes them up: each says by its labels which copy it is.

A version classifies the colour of a picture. Variants differ in size, in what they do with a wide
picture, and in number and order of classes; `Artifact` knows what each says about a
`Banner`, so that pixels made for another variant, labels of another copy and a version number that
is not the answering one's all show. The graphs are the exporter's own, without its checks, which
take seconds each; a copy gets its labels by replacing texts of one length in `saved_model.pb`.

python -m tests.support.colour_versions FOLDER     writes the variants (a process with TensorFlow)
"""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from contract.card import ClassInfo, ModelCard, Source
from contract.image_spec import Fit, ImageSpec
from tests.support.pictures import encoded
from tests.support.processes import ROOT

NAME = "m"
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
BACKGROUND = "blue"
_NOBODY = "v00000-00000"
"""What stands in the variants' labels in the place of an artifact's stamp."""


@dataclass(frozen=True)
class Variant:
    """What a version takes, and its classes in their order; not all are colours that win."""

    side: int
    fit: Fit
    classes: tuple[str, ...]


VARIANTS = {
    "small": Variant(8, "stretch", ("red", "green", "blue")),
    "large": Variant(32, "center_crop", ("blue", "none", "red", "green")),
    "middle": Variant(16, "pad", ("green", "blue", "red", "none", "nothing")),
    "small, cropped": Variant(8, "center_crop", ("green", "red", "blue")),
}
"""The last takes pixels of the first without an error, and is wrong then."""


@dataclass(frozen=True)
class Banner:
    """Three squares in a row, the middle one of another colour: its answer depends on the fit."""

    outer: str
    middle: str

    def png(self, number: int = 0, side: int = 32) -> bytes:
        """The file; another number is another file that looks the same."""
        pixels = np.empty((side, 3 * side, 3), np.uint8)
        pixels[:] = COLOURS[self.outer]
        pixels[:, side : 2 * side] = COLOURS[self.middle]
        pixels[0, 0] = (number & 255, number >> 8 & 255, number >> 16 & 255)
        return encoded(pixels, "PNG")

    def seen_by(self, variant: Variant) -> str:
        """The class that the variant must put first."""
        seen: dict[Fit, str] = {
            "stretch": self.outer, "center_crop": self.middle, "pad": BACKGROUND
        }  # fmt: skip
        return seen[variant.fit]


@dataclass(frozen=True)
class Artifact:
    """One SavedModel, published under one number on as many volumes as one likes."""

    number: int
    serial: int
    variant: str

    @property
    def stamp(self) -> str:
        """What every label starts with: as many characters for each artifact."""
        return f"v{self.number:05}-{self.serial:05}"

    def mistake(self, body: dict[str, Any], banner: Banner) -> str | None:
        """What is wrong with an answer that starts with this stamp; None if nothing is."""
        variant, predictions = VARIANTS[self.variant], body["predictions"]
        if body["model"]["version"] != self.number:
            return f"{self.stamp} answered as version {body['model']['version']}"
        for each in predictions:
            name = variant.classes[each["class_index"] : each["class_index"] + 1]
            wanted = (f"{self.stamp}-{name[0]}", f"{self.stamp}-id") if name else (None, None)
            if (each["label"], each["id"]) != wanted:
                return f"{self.stamp}: class {each['class_index']} is {each['label']}, {each['id']}"
        if len(predictions) != min(5, len(variant.classes)):
            return f"{self.stamp}: {len(predictions)} classes"
        if predictions[0]["label"] != f"{self.stamp}-{banner.seen_by(variant)}":
            return f"{self.stamp} ({self.variant}) sees {predictions[0]['label']} in {banner}"
        return None


class Artifacts:
    """All that were published, by their stamps. Threads may share it."""

    def __init__(self, folder: Path) -> None:
        """`folder` holds the variants, as `build` writes them."""
        self._folder = folder
        self._serials = itertools.count(1)
        self._made: dict[str, Artifact] = {}

    def new(self, number: int, variant: str) -> Artifact:
        """Another model under this number."""
        artifact = Artifact(number, next(self._serials), variant)
        self._made[artifact.stamp] = artifact
        return artifact

    def write(self, artifact: Artifact, volume: Path) -> None:
        """Publish a copy below `volume`, by one rename."""
        staged = volume / f".staged-{artifact.stamp}"
        shutil.copytree(self._folder / artifact.variant, staged)
        graph = staged / "saved_model.pb"
        graph.write_bytes(graph.read_bytes().replace(_NOBODY.encode(), artifact.stamp.encode()))
        staged.rename(volume / str(artifact.number))

    def answering(self, body: dict[str, Any]) -> Artifact | None:
        """Whose labels an answer has: those of its first class."""
        label = str(body["predictions"][0]["label"])
        return self._made.get(label[: len(_NOBODY)])


def remove(volume: Path, number: int) -> None:
    """Take a version off the volume, as one step."""
    gone = volume / f".removed-{number}"
    (volume / str(number)).rename(gone)
    shutil.rmtree(gone)


def banners() -> Iterator[Banner]:
    """Endlessly, each in turn."""
    return itertools.cycle([Banner("red", "green"), Banner("green", "red"), Banner("blue", "red")])


def build(folder: Path) -> Path:
    """Write the variants below `folder`, unless they are there; a process of its own does it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all((folder / name / "saved_model.pb").exists() for name in VARIANTS):
            subprocess.run(
                [sys.executable, "-m", "tests.support.colour_versions", str(folder)],
                cwd=ROOT,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
                check=True,
                timeout=120,
            )
    return folder


def _write(path: Path, variant: Variant) -> None:
    import tensorflow as tf  # noqa: PLC0415 - seconds, and only this process wants it

    from exporter.graph.freeze import already_frozen, trace_as_it_is  # noqa: PLC0415
    from exporter.graph.functions import Head  # noqa: PLC0415
    from exporter.graph.write_frozen import write_frozen  # noqa: PLC0415
    from exporter.store import warmup  # noqa: PLC0415

    channels = list(COLOURS)
    kernel = np.zeros((3, len(variant.classes)), np.float32)
    for index, name in enumerate(variant.classes):
        if name in COLOURS:
            kernel[channels.index(name), index] = 8

    def score(images: Any) -> Any:
        means = tf.reduce_mean(tf.cast(images, tf.float32), axis=[1, 2]) / 255
        return tf.nn.softmax(tf.linalg.matmul(means, tf.constant(kernel)))

    image = ImageSpec(
        height=variant.side, width=variant.side, fit=variant.fit, background=COLOURS[BACKGROUND]
    )
    labels = [f"{_NOBODY}-{name}" for name in variant.classes]
    card = ModelCard(
        model_name=NAME,
        classes=tuple(
            ClassInfo(index=index, label=label, id=f"{_NOBODY}-id")
            for index, label in enumerate(labels)
        ),
        k=len(labels),
        image=image,
        source=Source(kind="saved_model", name="colours"),
        exported_at=datetime.now(UTC),
    )
    frozen = already_frozen(trace_as_it_is(score, height=variant.side, width=variant.side))
    write_frozen(path, frozen, Head(image, labels, len(labels)), card.model_dump_json())
    warmup.write(path, card, max_batch_size=32)


if __name__ == "__main__":
    for each, what in VARIANTS.items():
        _write(Path(sys.argv[1]) / each, what)
