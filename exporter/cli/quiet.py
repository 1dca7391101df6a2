"""`--quiet`, which every command takes: what is said about the work is left out, data is not."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from typing import Annotated, Any, Final

import typer
from rich.console import Console

_IS_QUIET: Final = ContextVar("_IS_QUIET", default=False)

_Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Print errors, and the data that was asked for, only."),
]


def with_quiet(run: Callable[..., None]) -> Callable[..., None]:
    """The command with the option --quiet at its end."""
    signature = inspect.signature(run, eval_str=True)
    option = inspect.Parameter(
        "quiet", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=_Quiet
    )

    @functools.wraps(run)
    def quietable(*, quiet: bool, **options: Any) -> None:
        token = _IS_QUIET.set(quiet)
        try:
            run(**options)
        finally:
            _IS_QUIET.reset(token)

    del quietable.__wrapped__  # typer would read its signature
    parameters = [*signature.parameters.values(), option]
    quietable.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    quietable.__annotations__ = {each.name: each.annotation for each in parameters}
    return quietable


def talking(*, as_json: bool = False) -> Console:
    """Where a command tells what it does: standard error beside JSON, nowhere with --quiet."""
    return Console(stderr=as_json, quiet=_IS_QUIET.get())


def talking_aside() -> Console:
    """The same for commands whose output is data: always on standard error."""
    return talking(as_json=True)
