"""`ensure`: publish a model unless there is one, so that starting a stack twice publishes once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from exporter.cli.commands import demo, export
from exporter.cli.output import say
from exporter.cli.parameters import PUBLISH_PANEL, AsJson, BasePath
from exporter.cli.quiet import talking
from exporter.options import DEFAULT_APPLICATION, DIGITS
from exporter.settings import load_settings
from exporter.store.version_numbers import versions

PANEL: Final = PUBLISH_PANEL


def run(
    model: Annotated[
        str, typer.Option(help="digits, or a Keras application such as ResNet50.")
    ] = DEFAULT_APPLICATION,
    weights: Annotated[
        str,
        typer.Option(
            help="Weights of a Keras application: imagenet (downloaded), none (random) or a FILE."
        ),
    ] = "imagenet",
    name: Annotated[
        str | None,
        typer.Option(help="Name to publish it under; default: the model's own, in small letters."),
    ] = None,
    base_path: BasePath = None,
    as_json: AsJson = False,  # noqa: FBT002 - a typer flag
) -> None:
    """Publish a model if none of that name is published yet; else do nothing.

    [bold]Example[/bold]

      python -m exporter ensure --model digits --name classifier
    """
    path = base_path or load_settings().base_path
    model_name = name or model.lower()
    existing = versions(path / model_name)
    if existing:
        folder = path / model_name
        if as_json:
            facts = {
                "model": model_name,
                "version": existing[-1],
                "path": str(folder / str(existing[-1])),
                "is_new": False,
                "at": datetime.now(UTC).isoformat(),
            }
            typer.echo(json.dumps(facts, indent=2))
        else:
            say(talking(), f"{folder} holds version {existing[-1]}: nothing to do")
    elif model.lower() == DIGITS:
        demo.run(name=model_name, base_path=path, as_json=as_json)
    else:
        export.run(
            application=model, weights=weights, name=model_name, base_path=path, as_json=as_json
        )
