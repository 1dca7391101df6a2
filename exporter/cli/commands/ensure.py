"""`ensure`: publish a model unless there is one, so that starting a stack twice publishes once."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from exporter.cli.commands import demo, export
from exporter.cli.parameters import PUBLISH_PANEL, BasePath
from exporter.options import DEFAULT_APPLICATION, DIGITS
from exporter.settings import load_settings
from exporter.store.version_numbers import versions

PANEL: Final = PUBLISH_PANEL


def run(
    model: Annotated[
        str, typer.Option(help="digits, or a Keras application such as ResNet50.")
    ] = DEFAULT_APPLICATION,
    weights: Annotated[
        str, typer.Option(help="Of an application: imagenet, none (random) or a weights FILE.")
    ] = "imagenet",
    name: Annotated[str | None, typer.Option(help="Model name; the model's own.")] = None,
    base_path: BasePath = None,
) -> None:
    """Publish a model if none of that name is published yet; else do nothing.

    [bold]Example[/bold]

      python -m exporter ensure --model digits --name classifier
    """
    path = base_path or load_settings().base_path
    model_name = name or model.lower()
    existing = versions(path / model_name)
    if existing:
        typer.echo(f"{path / model_name} holds version {existing[-1]}: nothing to do")
    elif model.lower() == DIGITS:
        demo.run(name=model_name, base_path=path)
    else:
        export.run(application=model, weights=weights, name=model_name, base_path=path)
