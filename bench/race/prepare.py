"""Everything that the race runs on, in a folder: pictures, one network, and what it publishes.

    FOLDER/network.keras            for Keras
    FOLDER/models/NAME/1/           published by the exporter: frozen, OpenVINO's files
    FOLDER/recipe/NAME/1/           `model.export()`, with variables: TensorFlow Serving's tutorial
    FOLDER/pictures/SIZE/*.jpg
    FOLDER/prepared.json            which class is right for each picture, and names

A process of its own (`python -m bench.race.prepare FOLDER MODEL`): the race itself stays small.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.race.baselines.answers import SIDE, pixels_of
from bench.race.pictures import SIZES, write
from bench.race.processes import ROOT
from contract.image_spec import ImageSpec
from contract.pixels import decode

NAME = "classifier"
PREPROCESSING = {"MobileNetV2": "mobilenet_v2", "ResNet50": "resnet50"}
_EXPORTED_AS = {"MobileNetV2": "tf", "ResNet50": "caffe"}
_CLEAR = 0.15
"""The most that the second probability may be of the first."""


@dataclass(frozen=True)
class Prepared:
    """The folder, and what its file says."""

    folder: Path
    model: str
    pictures: dict[str, list[dict[str, Any]]]
    """By size; each with `file`, `right` (class indices) and `bytes`."""
    recipe_input: str
    recipe_output: str
    export_seconds: float
    notes: list[str]

    @property
    def models(self) -> Path:
        """The base path of what the exporter has published."""
        return self.folder / "models"

    @property
    def version(self) -> Path:
        """The exporter's version."""
        return self.models / NAME / "1"

    @property
    def openvino(self) -> Path:
        """The second engine's files, where there are any."""
        return self.version / "assets.extra" / "openvino"

    @property
    def recipe(self) -> Path:
        """The base path of the version with variables."""
        return self.folder / "recipe" / NAME


def prepare(folder: Path, model: str, *, has_int8: bool = False) -> Prepared:
    """Fill a folder, unless it is full already; int8 is tried if it is asked for.

    Raises:
        RuntimeError: a step failed; its last lines.
    """
    if not (folder / "prepared.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _run("bench.race.prepare", str(folder), model, *(["int8"] if has_int8 else []))
    found = json.loads((folder / "prepared.json").read_text())
    if found["model"] != model:
        raise RuntimeError(f"{folder} holds {found['model']}: give another folder")
    return Prepared(folder=folder, **found)


def _run(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{words[0]} failed: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


def main() -> None:
    """Fill the folder."""
    folder, model = Path(sys.argv[1]), sys.argv[2]
    written = write(folder / "pictures")
    _save_keras(folder, model, written)
    seconds, notes = _publish(folder, model)
    recipe_input, recipe_output = _signature(folder)
    prepared = {
        "model": model,
        "pictures": {size.name: _judged(folder, written[size.name]) for size in SIZES},
        "recipe_input": recipe_input,
        "recipe_output": recipe_output,
        "export_seconds": seconds,
        "notes": notes,
    }
    (folder / "prepared.json").write_text(json.dumps(prepared))


def _save_keras(folder: Path, model: str, written: dict[str, list[tuple[str, int]]]) -> None:
    """The network, and its export with variables."""
    import keras  # noqa: PLC0415 - heavy

    from bench.race.weights import save_network  # noqa: PLC0415 - as above

    every = [each for pictures in written.values() for each in pictures]
    pixels = np.stack([pixels_of((folder / "pictures" / name).read_bytes()) for name, _ in every])
    photographs = np.array([photograph for _, photograph in every])
    save_network(model, pixels, photographs, folder / "network.keras")
    network = keras.models.load_model(folder / "network.keras")
    network.export(str(folder / "recipe" / NAME / "1"), verbose=False)


def _publish(folder: Path, model: str) -> tuple[float, list[str]]:
    """Through the gate, with what the second engine needs; seconds, and what was not kept.

    int8 only where it is asked for: the gate mostly refuses it, as random networks amplify noise.
    """
    words = [
        "exporter", "export", "--keras", str(folder / "network.keras"), "--name", NAME,
        "--base-path", str(folder / "models"), "--preprocess", _EXPORTED_AS[model],
    ]  # fmt: skip
    calibration = str(folder / "pictures" / "calibration")
    started, notes = time.monotonic(), []
    if "int8" in sys.argv[3:]:
        try:
            _run(*words, "--precision", "int8", "--calibration-dir", calibration)
        except RuntimeError as error:
            notes.append(f"no int8: {str(error).splitlines()[-1]}")
    if not (folder / "models" / NAME / "1").is_dir():
        _run(*words)
    return round(time.monotonic() - started, 1), notes


def _signature(folder: Path) -> tuple[str, str]:
    """The names of the recipe's input and output."""
    import tensorflow as tf  # noqa: PLC0415 - heavy

    loaded = tf.saved_model.load(str(folder / "recipe" / NAME / "1"))
    signature = loaded.signatures["serving_default"]
    (given,) = signature.structured_input_signature[1]
    (answered,) = signature.structured_outputs
    return str(given), str(answered)


def _judged(folder: Path, pictures: list[tuple[str, int]]) -> list[dict[str, Any]]:
    """The right class of each picture: the published graph's, in this process.

    Pictures are left out whose class is no clear one, or another one with Pillow's decoding than
    with the gateway's (which skips what no pixel of the result needs).
    """
    import tensorflow as tf  # noqa: PLC0415 - heavy

    loaded = tf.saved_model.load(str(folder / "models" / NAME / "1"))
    judged = []
    for name, _ in pictures:
        data = (folder / "pictures" / name).read_bytes()
        pixels = [decode(data, ImageSpec(height=SIDE, width=SIDE)), pixels_of(data)]
        answers = [
            loaded.signatures["serving_default"](images=tf.constant(each[np.newaxis]))
            for each in pixels
        ]
        right = [_clear(each["probabilities"].numpy()[0]) for each in answers]
        if right[0] == right[1] and right[0] is not None:
            judged.append({"file": name, "right": [right[0]], "bytes": len(data)})
    if not judged:
        raise RuntimeError("no picture has a clear answer")
    return judged


def _clear(probabilities: np.ndarray) -> int | None:
    """The first class, if it is far before the second."""
    second, first = np.argsort(probabilities)[-2:]
    return int(first) if probabilities[second] <= _CLEAR * probabilities[first] else None


if __name__ == "__main__":
    main()
