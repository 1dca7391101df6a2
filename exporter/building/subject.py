"""A source that was looked at and has answered the golden images."""

from __future__ import annotations

from dataclasses import dataclass, field

import keras
import numpy as np
import numpy.typing as npt

from contract.card import Source, Task
from contract.image_spec import ImageSpec
from exporter.building import interpretation
from exporter.graph.ending import read_ending, trace_network
from exporter.graph.scorer import Scorer, make_scorer
from exporter.memory import give_back
from exporter.options import ExportOptions, GoldenFile
from exporter.progress import Reporter
from exporter.proof import goldens, operations, weights
from exporter.proof.lines import GateLine
from exporter.settings import Settings
from exporter.sources.labels import ClassName
from exporter.sources.network import Network


@dataclass(frozen=True, slots=True)
class Held:
    """What holds the source's weights."""

    network: Network
    scorer: Scorer


@dataclass(slots=True, kw_only=True)
class Subject:
    """The source as it is understood, with its answers; it can be let go of, the facts stay."""

    source: Source
    precision: str
    is_randomly_weighted: bool
    task: Task
    preprocess: str
    is_grey: bool
    parity_bound: float
    """Largest difference of a probability from the source's."""
    image: ImageSpec
    files: tuple[GoldenFile, ...]
    pixels: npt.NDArray[np.uint8] = field(repr=False)
    """[N,H,W,3] of the files."""
    expected: npt.NDArray[np.float32] = field(repr=False)
    """[N,C]: the source's answers to these."""
    classes: tuple[ClassName, ...]
    k: int
    changing: tuple[str, ...]
    """Operations of the network that change its own variables."""
    lines: list[GateLine]
    """What it has passed so far."""
    _held: Held | None

    @property
    def held(self) -> Held:
        """The source itself, until it is let go of."""
        assert self._held is not None, "let go of already"  # noqa: S101 - a slip of ours
        return self._held

    def let_go(self) -> None:
        """Free the source's weights."""
        self._held = None
        keras.backend.clear_session()
        give_back()


def ask(network: Network, options: ExportOptions, settings: Settings, report: Reporter) -> Subject:
    """Look at a source, settle what it means, and have it answer the golden images.

    Raises:
        UsageError: options contradict it.
        RefusedError: operations, weights or scores that may not go live.
    """
    image = interpretation.image_spec(network, options)
    files = interpretation.golden_files(network, options)
    pixels = goldens.to_pixels(files, image)
    traced = trace_network(network, image)
    lines = [
        operations.require_harmless(traced, options.allowed_ops, network.source.name),
        weights.require_sound(traced, network.source.name),
    ]
    report.step("asking the source for golden answers")
    scorer = make_scorer(
        network,
        pixels,
        ending=read_ending(traced),
        mode=options.preprocess,
        task=options.task,
        activation=options.activation,
    )
    classes = interpretation.class_names(network, scorer, options, settings, report)
    interpretation.explain(network, scorer, classes, options, report)
    return Subject(
        source=network.source,
        precision=network.precision,
        is_randomly_weighted=network.is_randomly_weighted,
        task=scorer.task,
        preprocess=str(scorer.preprocess),
        is_grey=network.channels == 1,
        parity_bound=interpretation.parity_bound(network, options),
        image=image,
        files=files,
        pixels=pixels,
        expected=scorer.reference(pixels),
        classes=classes,
        k=interpretation.top_k(options.k, scorer.class_count),
        changing=tuple(operations.changes_state(traced)),
        lines=lines,
        _held=Held(network, scorer),
    )
