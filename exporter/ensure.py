"""`ensure`: publish a model unless there is one, so that starting a stack twice publishes once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from exporter.cli_inspect import BasePath  # noqa: TC001 - typer reads annotations at run time
from exporter.publish import versions
from exporter.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

_DIGITS = "digits"


def register(app: typer.Typer, *, demo: Callable[..., None], export: Callable[..., None]) -> None:
    """Add the command, which hands over to `demo` or `export`."""

    @app.command(rich_help_panel="Publish")
    def ensure(
        model: Annotated[
            str, typer.Option(help="digits, or a Keras application such as ResNet50.")
        ] = "MobileNetV2",
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
        elif model.lower() == _DIGITS:
            demo(name=model_name, base_path=path)
        else:
            export(application=model, weights=weights, name=model_name, base_path=path)
