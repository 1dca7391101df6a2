"""A target in memory: what can be asked, and what is known about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from contract import signatures as names
from contract.image_spec import ImageSpec
from exporter.errors import UsageError
from exporter.graph.freeze import trace
from exporter.graph.scorer import Scorer, make_scorer
from exporter.measure.targets import Target
from exporter.options import IMAGENET
from exporter.preprocessing import Preprocess
from exporter.progress import Reporter
from exporter.proof import goldens
from exporter.settings import Settings
from exporter.sources.network import Network
from exporter.sources.selection import Selected, SourceOptions
from exporter.sources.source_files import SourceFiles
from exporter.sources.tensor_names import TensorNames

_PROBED_IMAGES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """What a source does not say itself; a published version needs none of it."""

    weights: str = IMAGENET
    preprocess: Preprocess | None = None
    image_size: tuple[int, int] | None = None
    """height, width"""


@dataclass(frozen=True, slots=True)
class Subject:
    """A loaded target."""

    target: Target
    network: Network
    scorer: Scorer
    image: ImageSpec
    labels: tuple[str, ...] | None
    """In order of class index; None where nobody says."""
    pixels: npt.NDArray[np.uint8] = field(repr=False)
    """uint8 [N,H,W,3]: the golden images at this size."""
    concrete: Any = field(repr=False)
    """The scorer as a graph: uint8 [N,H,W,3] to float32 [N,C]."""
    weight_bytes: int
    """Of its variables."""
    parameters: int
    """Numbers that are weights, whether variables or constants."""


def load(target: Target, options: LoadOptions, settings: Settings, report: Reporter) -> Subject:
    """Load a target and trace it.

    Raises:
        ExporterError: as at export.
    """
    network = _network(target, options, settings, report)
    image = _image(target, network, options)
    pixels = goldens.to_pixels(goldens.draw(), image)[:_PROBED_IMAGES]
    scorer = make_scorer(network, pixels, mode=options.preprocess, task=_task(target))
    concrete, weight_bytes = trace(scorer.score, height=image.height, width=image.width)
    return Subject(
        target,
        network,
        scorer,
        image,
        _labels(target, network),
        pixels,
        concrete,
        weight_bytes,
        count_parameters(concrete),
    )


def count_parameters(concrete: Any) -> int:
    """Elements of all variables, and of all constants of a floating type that are no scalars."""
    definition = concrete.graph.as_graph_def()
    nodes = [*definition.node, *(n for each in definition.library.function for n in each.node_def)]
    # In a version of ours the network's nodes have a name; what decodes files beside it has none.
    nodes = [node for node in nodes if node.name.startswith("network/")] or nodes
    shapes = [node.attr["value"].tensor.tensor_shape for node in nodes if _is_weight(node)]
    constants = sum(_elements([dim.size for dim in shape.dim]) for shape in shapes)
    return constants + sum(_elements(variable.shape) for variable in concrete.variables)


def _is_weight(node: Any) -> bool:
    if node.op != "Const" or not tf.as_dtype(node.attr["dtype"].type).is_floating:
        return False
    return bool(node.attr["value"].tensor.tensor_shape.dim)


def _elements(shape: Any) -> int:
    return int(np.prod(shape, dtype=np.int64))


def _network(target: Target, options: LoadOptions, settings: Settings, report: Reporter) -> Network:
    source = SourceOptions(
        files=SourceFiles(
            application=target.text if target.kind == "application" else None,
            keras_file=target.path if target.kind == "keras" else None,
            saved_model=target.path if target.kind in {"published", "saved_model"} else None,
            weights=options.weights,
        ),
        image_size=options.image_size if target.kind == "application" else None,
        names=_tensor_names(target),
    )
    try:
        return Selected(source, settings)(report)
    except UsageError as error:
        if target.kind != "application":
            raise
        raise UsageError(f"{target.text}: no version of it is published, and {error}") from error


def _tensor_names(target: Target) -> TensorNames:
    if target.published is None or target.published.card is None:
        return TensorNames()
    return TensorNames(names.SERVING_DEFAULT, names.IMAGES, names.PROBABILITIES)


def _image(target: Target, network: Network, options: LoadOptions) -> ImageSpec:
    if target.published is not None and target.published.card is not None:
        return target.published.card.image
    asked_height, asked_width = options.image_size or (None, None)
    height, width = network.height or asked_height, network.width or asked_width
    if height is None or width is None:
        raise UsageError(f"{target.text} takes any image size: choose --image-size")
    return ImageSpec(height=height, width=width)


def _task(target: Target) -> Any:
    card = target.published.card if target.published else None
    return card.task if card else None


def _labels(target: Target, network: Network) -> tuple[str, ...] | None:
    card = target.published.card if target.published else None
    if card is not None:
        return card.labels
    return tuple(each.label for each in network.classes) if network.classes else None


def tflite_file(target: Target) -> Path | None:
    """The TensorFlow Lite model beside a published version, if there is one."""
    path = target.path / "model.tflite" if target.published and target.path else None
    return path if path and path.is_file() else None
