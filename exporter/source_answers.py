"""A source that answers labelled pictures as it would be exported, without a graph of ours."""

from __future__ import annotations

from pathlib import Path

from exporter.accuracy.in_process import InProcess
from exporter.building import interpretation
from exporter.graph.scorer import make_scorer
from exporter.options import ExportOptions, SourceChoices
from exporter.progress import Reporter
from exporter.proof import goldens
from exporter.settings import Settings
from exporter.sources import labels
from exporter.sources.selection import Selected, SourceOptions
from exporter.sources.source_files import SourceFiles
from exporter.sources.tensor_names import TensorNames


def load(path: Path, choices: SourceChoices, settings: Settings, report: Reporter) -> InProcess:
    """Load a .keras or .h5 file or a SavedModel, and settle pixels, scores and labels as `export`.

    Raises:
        ExporterError: as `export` would refuse it.
    """
    is_folder = path.is_dir()
    selected = Selected(
        SourceOptions(
            files=SourceFiles(
                keras_file=None if is_folder else path, saved_model=path if is_folder else None
            ),
            labels=choices.labels,
            names=TensorNames(choices.signature, choices.input_name, choices.output_name),
        ),
        settings,
    )
    network = selected(report)
    options = ExportOptions(
        name=path.stem,
        base_path=path,
        labels=choices.labels,
        image=choices.image,
        preprocess=choices.preprocess,
        activation=choices.activation,
        parity_bound=settings.parity_bound,
    )
    image = interpretation.image_spec(network, options)
    scorer = make_scorer(
        network,
        goldens.to_pixels(goldens.draw(), image),
        mode=options.preprocess,
        task=options.task,
        activation=options.activation,
    )
    classes = interpretation.class_names(network, scorer, options, settings, report)
    return InProcess(path.name, labels.to_classes(classes), image, scorer.reference)
