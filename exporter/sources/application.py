"""A Keras application as a source: its constructor, its weights, ImageNet's labels."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import keras

from contract.card import Source
from exporter.errors import FailedError, UsageError, first_line
from exporter.options import IMAGENET
from exporter.progress import Reporter
from exporter.settings import Settings
from exporter.sources import untrusted
from exporter.sources.download import bounded_downloads, failure_reason
from exporter.sources.evaluated_as import evaluated_as
from exporter.sources.keras_errors import loading_error
from exporter.sources.keras_file import from_keras, weights_digest
from exporter.sources.known_applications import Application, find_application
from exporter.sources.labels import ClassName
from exporter.sources.memory_limit import bounded_memory, is_out_of_memory
from exporter.sources.network import Network
from exporter.sources.source_files import NO_WEIGHTS, weights_file

IMAGENET_SIDE_PIXELS: Final = 224


def load_application(
    name: str,
    weights: str,
    settings: Settings,
    report: Reporter,
    *,
    image_size: tuple[int, int] | None = None,
    class_count: int | None = None,
) -> Network:
    """Build a Keras application.

    Args:
        name: a constructor of keras.applications.
        weights: `imagenet`, `none` or the path of a weights file.
        settings: bounds of the download.
        report: told how far a download is.
        image_size: height, width; the application's own when None.
        class_count: the application's own (1000) when None.

    Raises:
        UsageError: no such application or file, or a size that the application does not take.
        FailedError: the download failed, or the file does not fit.
    """
    application = find_application(name)
    file = weights_file(weights)
    options: dict[str, Any] = {"input_shape": (*image_size, 3)} if image_size else {}
    if class_count and weights != IMAGENET:
        options["classes"] = class_count
    if weights == IMAGENET:
        model, classes = _download(application, options, settings, report)
    else:
        model, classes = construct(application, weights=None, **options), None
    if file:
        _load_weights(model, file, application.name, settings.max_source_bytes)
    source = Source(
        kind="application",
        name=application.name,
        weights=file.name if file else weights,
        weights_sha256=weights_digest(model),
    )
    network = from_keras(
        model,
        source,
        preprocess_input=application.preprocess_input,
        mode=application.preprocess,
        classes=classes,
        is_randomly_weighted=weights == NO_WEIGHTS,
    )
    # Where an application takes any size, its weights were trained at ImageNet's usual one.
    height = network.height or IMAGENET_SIDE_PIXELS
    width = network.width or IMAGENET_SIDE_PIXELS
    evaluated = evaluated_as(application.family, min(height, width))
    return replace(network, height=height, width=width, evaluated=evaluated)


def _download(
    application: Application, options: dict[str, Any], settings: Settings, report: Reporter
) -> tuple[Any, tuple[ClassName, ...]]:
    what = f"{application.name}'s ImageNet weights and labels"
    with _downloads(what, "--weights", settings, report):
        model = construct(application, weights=IMAGENET, **options)
        return model, application.imagenet_classes()


def construct_pretrained(
    application: Application, settings: Settings, report: Reporter, **options: Any
) -> Any:
    """Build it with ImageNet's weights, from Keras' cache or its download.

    Raises:
        UsageError: it does not take these options.
        FailedError: the download failed.
    """
    what = f"{application.name}'s ImageNet weights"
    with _downloads(what, "--weights", settings, report):
        return construct(application, weights=IMAGENET, **options)


def imagenet_classes(settings: Settings, report: Reporter) -> tuple[ClassName, ...]:
    """ImageNet's labels, from Keras' cache or its download.

    Raises:
        FailedError: the download failed.
    """
    with _downloads("ImageNet's labels", "--labels", settings, report):
        return find_application("MobileNetV2").imagenet_classes()


@contextmanager
def _downloads(what: str, option: str, settings: Settings, report: Reporter) -> Iterator[None]:
    keras.utils.disable_interactive_logging()  # its progress bar would fight with ours
    with bounded_downloads(settings, report.download):
        try:
            yield
        except UsageError:
            raise
        except Exception as error:  # Keras raises bare Exception when a download fails
            raise FailedError(
                f"cannot download {what}: {failure_reason(error)}; "
                f"fetch {_url(error)} elsewhere and pass {option} FILE"
            ) from error


def construct(application: Application, **options: Any) -> Any:
    """Call its constructor.

    Raises:
        UsageError: it does not take these options.
    """
    try:
        return application.construct(**options)
    except ValueError as error:
        if "corrupted" in str(error):
            raise  # a download that does not have the published hash
        raise UsageError(f"{application.name}: {first_line(error)}") from error


def _url(error: Exception) -> str:
    """The address that Keras tried, from its message."""
    found = re.search(r"https?://\S+", str(error))
    return found[0].rstrip(":") if found else "the file"


def read_weights(model: Any, path: Path) -> None:
    """Load all weights of a model, or fail: Keras only warns where layers keep random ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model.load_weights(path)


def _load_weights(model: Any, path: Path, name: str, max_bytes: int) -> None:
    weight_bytes = untrusted.require_harmless(path, max_bytes)
    try:
        with bounded_memory(weight_bytes):
            read_weights(model, path)
    except Exception as error:
        if is_out_of_memory(error):
            raise loading_error(f"--weights {path}", error) from error
        raise FailedError(
            f"--weights {path}: these weights do not fit {name} with {model.output_shape[-1]} "
            f"classes ({first_line(error)}); name other classes with --labels"
        ) from error
