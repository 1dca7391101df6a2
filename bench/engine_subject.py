"""A Keras application with random weights that mean something, frozen for the engines.

As Keras draws them, an application's answers hardly differ from image to image (`settled_weights`),
so the class with the highest probability is decided by rounding, and two engines agree or disagree
by chance. Settled on photographs are

- batch normalisations: their statistics, and a shift of 1. With none, half of every signal is cut
  off behind each, and random networks magnify rounding from layer to layer: the logits of
  MobileNetV2 and ResNet50 were 35 and 31 % off in bfloat16, TensorFlow's as OpenVINO's, and are 10
  and 8 % with it;
- ConvNeXt's layer scales: 1e-6 as drawn, so that no block would count; 1 here;
- the last layer, class by class: logits have mean 0 and a standard deviation of three.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from bench.settled_weights import settle
from exporter.batches import ask_in_batches, images_at_once
from tests.support.pictures import photographs

Pixels = npt.NDArray[np.uint8]

LOGITS_DEVIATION: Final = 3.0
_SHIFT: Final = 1.0
_USUAL_SIDE: Final = 224
_AT_ONCE: Final = 8  # of small images; of large ones fewer
_LEAST_SETTLING: Final = 2
_SETTLING_SEED: Final = 1
_MEASURED_SEED: Final = 2
_SMALLEST_CROP: Final = 0.4  # of the photograph's shorter side


@dataclass(frozen=True)
class Subject:
    """A frozen application on disk."""

    graph: Path
    """A GraphDef of uint8 [N,H,W,3] to float32 [N,C]."""
    input_name: str
    output_name: str
    pixels: Pixels
    """Photographs to ask it about, uint8 [N,H,W,3]; not those that it was settled on."""
    bfloat16_graph: Path | None = None
    """The same after TensorFlow's rewrite to bfloat16 (`--precision bfloat16`)."""
    bfloat16_names: tuple[str, str] = ("", "")
    """Its input and output."""


def crops(count: int, height: int, width: int, seed: int) -> Pixels:
    """Square pieces of real photographs at one size, uint8 [count,height,width,3]."""
    random = np.random.default_rng(seed)
    pictures = list(photographs().values())
    return np.stack(
        [_crop(random, pictures[index % len(pictures)], height, width) for index in range(count)]
    )


def _crop(random: np.random.Generator, picture: Pixels, height: int, width: int) -> Pixels:
    side = int(min(picture.shape[:2]) * random.uniform(_SMALLEST_CROP, 1))
    top, left = (random.integers(0, extent - side + 1) for extent in picture.shape[:2])
    piece = Image.fromarray(picture[top : top + side, left : left + side])
    return np.asarray(piece.resize((width, height), Image.Resampling.BILINEAR))


def build(
    name: str, directory: Path, count: int, *, is_settled: bool = True, with_bfloat16: bool = False
) -> Subject:
    """Draw, settle and freeze an application.

    Args:
        name: a constructor of keras.applications.
        directory: where the graphs go.
        count: of photographs.
        is_settled: else its weights stay as Keras draws them, enough to be converted.
        with_bfloat16: write TensorFlow's graph of bfloat16, too.
    """
    import keras  # noqa: PLC0415 - only in the process that needs it

    from exporter.graph.freeze import freeze, trace  # noqa: PLC0415 - as above
    from exporter.sources import preprocess  # noqa: PLC0415 - as above
    from exporter.sources.known_applications import find_application  # noqa: PLC0415 - as above

    keras.utils.set_random_seed(1)
    application = find_application(name)
    model = application.construct(weights=None)
    height, width = (side or _USUAL_SIDE for side in model.input_shape[1:3])
    if is_settled:
        settle_on_photographs(model, application.preprocess_input, count, height, width)
    pixels = crops(count, height, width, _MEASURED_SEED)

    def score(images: Any) -> Any:
        return model(preprocess.in_graph(application.preprocess, images), training=False)

    concrete, weight_bytes = trace(score, height=height, width=width)
    frozen = freeze(concrete, weight_bytes, "always")
    assert frozen is not None, "`always` gives one or raises"  # noqa: S101 - a slip of ours
    graph = directory / "frozen.pb"
    graph.write_bytes(frozen.take().SerializeToString())
    subject = Subject(graph, frozen.input_name, frozen.output_name, pixels)
    return _with_bfloat16(subject, score) if with_bfloat16 else subject


def _with_bfloat16(subject: Subject, score: Any) -> Subject:
    from exporter.graph.bfloat16 import to_bfloat16  # noqa: PLC0415 - as above

    height, width = subject.pixels.shape[1:3]
    concrete = to_bfloat16(score, height=height, width=width)
    path = subject.graph.with_name("bfloat16.pb")
    path.write_bytes(concrete.graph.as_graph_def().SerializeToString())
    names = concrete.inputs[0].name, concrete.outputs[0].name
    return Subject(
        subject.graph, subject.input_name, subject.output_name, subject.pixels, path, names
    )


def settle_on_photographs(
    model: Any, preprocess_input: Any, count: int, height: int, width: int
) -> None:
    """Settle all three, the blocks first, for the last layer sees what they make."""
    images = preprocess_input(crops(count, height, width, _SETTLING_SEED).astype(np.float32))
    for layer in model.layers:
        kind = type(layer).__name__
        if kind == "LayerScale":
            layer.gamma.assign(np.ones(layer.gamma.shape, np.float32))
        elif kind == "BatchNormalization" and layer.center:
            layer.beta.assign(np.full(layer.beta.shape, _SHIFT, np.float32))
    # Keras keeps every activation of such a pass.
    few = max(_LEAST_SETTLING, images_at_once(count, height, width))
    settle(model, images[:few])
    settle_logits(model, images, images_at_once(_AT_ONCE, height, width))


def settle_logits(model: Any, images: npt.NDArray[np.float32], batch_size: int) -> None:
    """Give every logit the same mean and deviation over these images, float [N,H,W,3]."""
    import keras  # noqa: PLC0415 - as above

    last = next(layer for layer in reversed(model.layers) if hasattr(layer, "kernel"))
    activation, last.activation = last.activation, keras.activations.linear
    ending = keras.Model(model.input, last.output)
    logits = ask_in_batches(lambda batch: np.asarray(ending(batch)), images, batch_size)
    last.activation = activation
    logits = logits.reshape(len(images), -1)
    factor = LOGITS_DEVIATION / logits.std(axis=0)
    last.kernel.assign(np.asarray(last.kernel) * factor)
    last.bias.assign((np.asarray(last.bias) - logits.mean(axis=0)) * factor)
