"""The ways to ask one model for probabilities, from Keras' own to a model server.

model.predict     Keras' loop over batches, preprocessing in NumPy before it
direct call       the Keras model called op by op
tf.function       the same traced into a graph, weights in variables
frozen            weights folded into the graph: what an export publishes
frozen+bfloat16   and moved to bfloat16 (`export --precision bfloat16`)
frozen+XLA        and compiled (`export --jit`); on request, as it may take minutes
TensorFlow Lite   the version's model.tflite
model server      gRPC, as the gateway asks
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from contract import signatures as names
from exporter.errors import ExporterError, UsageError
from exporter.graph.bfloat16 import to_bfloat16
from exporter.graph.freeze import freeze
from exporter.graph.jit import compiled
from exporter.graph.scorer import make_scorer
from exporter.graph.tflite import TfLiteModel
from exporter.measure.loading import Subject, tflite_file
from exporter.measure.race import Answer, Images, of_graph
from exporter.proof.model_server import serving
from exporter.settings import Settings
from exporter.store.inventory import PublishedVersion
from protocol.client import Array
from protocol.models import ModelSpec

PREDICT: Final = "model.predict"
DIRECT: Final = "direct call"
FUNCTION: Final = "tf.function"
FROZEN: Final = "frozen"
BFLOAT16: Final = "frozen+bfloat16"
XLA: Final = "frozen+XLA"
TFLITE: Final = "TensorFlow Lite"
SERVER: Final = "model server"


@dataclass(frozen=True, slots=True)
class Ways:
    """What can be measured, and what cannot and why."""

    answers: dict[str, Answer]
    """By name: uint8 [N,H,W,3] to float32 [N,C]."""
    missing: dict[str, str]


@contextmanager
def open_ways(subject: Subject, settings: Settings, *, with_xla: bool) -> Iterator[Ways]:
    """All ways of a subject, for as long as the context lasts (a model server runs in it)."""
    ways = Ways({}, {})
    _add_own(subject, ways)
    _add_graphs(subject, ways, with_xla=with_xla)
    if file := tflite_file(subject.target):
        ways.answers[TFLITE] = TfLiteModel(file.read_bytes())
    published = subject.target.published
    if published is None or published.card is None:
        ways.missing[SERVER] = "published versions of ours only"
        yield ways
        return
    with _served(published, settings) as answer:
        ways.answers[SERVER] = answer
        yield ways


def _add_own(subject: Subject, ways: Ways) -> None:
    scorer = subject.scorer
    if subject.target.kind in {"keras", "application"}:
        ways.answers[PREDICT] = _keras_predict(subject)
        ways.answers[DIRECT] = lambda images: np.asarray(scorer.score(tf.constant(images)))
    else:
        ways.missing[PREDICT] = ways.missing[DIRECT] = "a SavedModel is a graph, not a Keras model"
    ways.answers[FUNCTION] = lambda images: np.asarray(subject.concrete(tf.constant(images)))


def _keras_predict(subject: Subject) -> Answer:
    """`model.predict` on the whole batch; the source's own splits it into eights."""
    model, scorer = subject.network.keras_model, subject.scorer

    def predict(prepared: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        scores = model.predict(prepared, batch_size=len(prepared), verbose=0)
        return np.asarray(scores, dtype=np.float32)

    return make_scorer(
        replace(subject.network, predict=predict),
        subject.pixels[:1],
        mode=scorer.preprocess,
        task=scorer.task,
        activation=scorer.activation,
    ).reference


def _add_graphs(subject: Subject, ways: Ways, *, with_xla: bool) -> None:
    size = {"height": subject.image.height, "width": subject.image.width}
    frozen = freeze(subject.concrete, subject.weight_bytes, "auto")
    is_frozen = frozen is not None
    score = subject.concrete if frozen is None else frozen.as_function()
    if not is_frozen:
        ways.missing[FROZEN] = ways.missing[BFLOAT16] = "too large, or not all of it are variables"
        return
    ways.answers[FROZEN] = of_graph(score, **size)
    _add(ways, BFLOAT16, lambda: of_graph(to_bfloat16(score, **size), **size))
    if with_xla:
        _add(ways, XLA, lambda: of_graph(compiled(score, **size), **size))


def _add(ways: Ways, name: str, make: Callable[[], Answer]) -> None:
    try:
        ways.answers[name] = make()
    except ExporterError as error:
        ways.missing[name] = str(error)


@contextmanager
def _served(found: PublishedVersion, settings: Settings) -> Iterator[Answer]:
    """The version alone on a model server of its own, asked for `top_k` as the gateway does."""
    spec = ModelSpec(found.model_name, found.version, signature_name=names.TOP_K)
    with serving(found, settings) as client:

        def answer(images: Images) -> Array:
            return client.predict(spec, names.IMAGES, images).outputs[names.PROBABILITIES]

        yield answer


def select(ways: Ways, wanted: list[str]) -> dict[str, Answer]:
    """Some of the ways by name; all if none is named.

    Raises:
        UsageError: there is no such way.
    """
    unknown = [name for name in wanted if name not in ways.answers]
    if unknown:
        reason = ways.missing.get(unknown[0], f"there are: {', '.join(ways.answers)}")
        raise UsageError(f"--way {unknown[0]}: {reason}")
    return {name: ways.answers[name] for name in wanted or ways.answers}
