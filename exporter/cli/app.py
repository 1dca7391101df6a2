"""All commands as one Typer application, and what it leaves behind: an exit code."""

from __future__ import annotations

import importlib
import os
import pkgutil
import signal
import sys
from typing import Final, NoReturn

import typer

from exporter.cli import commands
from exporter.errors import ExporterError, FailedError, RefusedError

_SIGTERM_EXIT_CODE: Final = 128 + signal.SIGTERM

_HELP: Final = (
    "Turn an image classifier into a proven, versioned SavedModel for TensorFlow Serving.\n\n"
    "Nothing is visible to a model server before it has passed: the same answers as the source "
    "model, loaded and asked in a real model server, then one rename.\n\n"
    "Exit codes: 0 done, 2 usage, 3 failed, 4 refused by the gate, 130 interrupted. "
    "Settings: EXPORTER_… variables (docs/exporter.md)."
)


def create_app() -> typer.Typer:
    """Every module of `commands` as a command, by name, after the one that people come for."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        help=_HELP,
    )
    names = [module.name for module in pkgutil.iter_modules(commands.__path__)]
    for name in sorted(names, key=lambda name: (name != "export", name)):
        command = importlib.import_module(f"{commands.__name__}.{name}")
        app.command(name, rich_help_panel=command.PANEL)(command.run)
    return app


def main() -> None:
    """Run the command line and leave with its exit code."""
    # 2 drops information and warnings; errors still show. Must be set before TensorFlow loads.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    signal.signal(signal.SIGTERM, _terminate)
    try:
        create_app()()
    except RefusedError as error:
        print(f"error: refused ({error.step}): {error}", file=sys.stderr)  # noqa: T201 - one plain line, never wrapped
        sys.exit(error.exit_code)
    except ExporterError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - as above
        sys.exit(error.exit_code)
    except OSError as error:  # a full disk, a folder that is not ours: no traceback says it better
        print(f"error: {error.filename or 'file system'}: {error.strerror}", file=sys.stderr)  # noqa: T201 - as above
        sys.exit(FailedError.exit_code)


def _terminate(_signal: int, _frame: object) -> NoReturn:
    """Leave through the context managers, so that staging folder and model server go too."""
    raise SystemExit(_SIGTERM_EXIT_CODE)
