"""All commands as one Typer application."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Final

import typer

from sightserve.cli import commands

_HELP: Final = "From a model file to a service, and from a photo to its labels."


def create_app() -> typer.Typer:
    """Every module of `commands` as a command, by name."""
    app = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        help=_HELP,
    )

    @app.callback()
    def sightserve() -> None:
        """Keep commands names even where there is only one."""

    for module in sorted(pkgutil.iter_modules(commands.__path__), key=lambda each: each.name):
        command = importlib.import_module(f"{commands.__name__}.{module.name}")
        app.command(module.name, rich_help_panel=command.PANEL)(command.run)
    return app
