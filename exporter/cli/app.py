"""All commands as one Typer application, and what it leaves behind: an exit code."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Annotated, Any, Final

import typer

from exporter.cli import commands
from exporter.cli.ending import errors_as_lines
from exporter.cli.quiet import with_quiet
from protocol.version import running_version

_CONTEXT: Final[dict[str, Any]] = {"help_option_names": ["-h", "--help"]}

PROGRAM: Final = "python -m exporter"

_HELP: Final = (
    "Turn an image classifier into a proven, versioned SavedModel for TensorFlow Serving.\n\n"
    "Nothing is visible to a model server before it has passed: the same answers as the source "
    "model, loaded and asked in a real model server, then one rename.\n\n"
    "Exit codes: 0 done, 2 usage, 3 failed, 4 refused by the gate, 130 interrupted. "
    "Settings: EXPORTER_… variables (docs/exporter.md)."
)


def create_app(program: str = PROGRAM) -> typer.Typer:
    """Every module of `commands` as a command, by name, after the one that people come for.

    Args:
        program: what people type before a command; the examples of the helps say it.
    """
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings=_CONTEXT,
        rich_markup_mode="rich",
        help=_HELP,
    )

    @app.callback()
    def exporter(
        version: Annotated[  # noqa: FBT002 - a typer flag; its callback has answered
            bool,
            typer.Option(
                "--version",
                callback=_say_version,
                is_eager=True,
                help="Print the version of Sightserve.",
            ),
        ] = False,
    ) -> None:
        pass

    names = [module.name for module in pkgutil.iter_modules(commands.__path__)]
    for name in sorted(names, key=lambda name: (name != "export", name)):
        command = importlib.import_module(f"{commands.__name__}.{name}")
        app.command(
            name,
            rich_help_panel=command.PANEL,
            context_settings=_CONTEXT,
            help=(inspect.getdoc(command.run) or "").replace(PROGRAM, program),
        )(with_quiet(command.run))
    return app


def _say_version(is_wanted: bool) -> None:  # noqa: FBT001 - typer passes it so
    if is_wanted:
        typer.echo(f"sightserve {running_version()}")
        raise typer.Exit


def main(program: str = PROGRAM) -> None:
    """Run the command line and leave with its exit code; `program` as for `create_app`."""
    with errors_as_lines():
        create_app(program)(prog_name=program)
