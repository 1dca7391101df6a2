"""All commands as one Typer application: our own, and the exporter's where it is installed."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import sys
from collections.abc import Callable
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from protocol import installation
from protocol.version import running_version
from sightserve.cli import commands, programs

INTERRUPTED: Final = 130
_USAGE: Final = 2
_HELP: Final = """From a model file to a service, and from a photo to its labels.

Begin with [bold]sightserve serve digits[/bold].

Exit codes: 0 done, 1 a file failed, 2 usage, 3 failed, 4 refused by the gate, 130 interrupted.
"""


def create_app() -> typer.Typer:
    """Every module of `commands` as a command, by name; then what other programs do."""
    app = typer.Typer(
        cls=_WithPrograms,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
        help=_HELP,
    )
    app.callback(invoke_without_command=True)(_top)
    for module in sorted(pkgutil.iter_modules(commands.__path__), key=lambda each: each.name):
        command = importlib.import_module(f"{commands.__name__}.{module.name}")
        app.command(module.name, rich_help_panel=command.PANEL)(ended_well(command.run))
    return app


def ended_well(run: Callable[..., Any]) -> Callable[..., Any]:
    """A command that says in one line that it was interrupted, or what is not installed."""

    @functools.wraps(run)
    def command(*arguments: Any, **options: Any) -> Any:
        try:
            with installation.complete("all"):
                return run(*arguments, **options)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)  # noqa: T201 - one plain line
            raise typer.Exit(INTERRUPTED) from None

    return command


class _WithPrograms(TyperGroup):
    """Knows the names of other programs' commands, and imports those programs for help alone."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *programs.names()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return super().get_command(ctx, cmd_name) or programs.command(cmd_name)


def _top(
    version: Annotated[  # noqa: FBT002 - a typer flag
        bool, typer.Option("--version", "-V", help="Print the version and stop.")
    ] = False,
    *,
    ctx: typer.Context,
) -> None:
    if version:
        typer.echo(f"sightserve {running_version()}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
        raise typer.Exit(_USAGE)
