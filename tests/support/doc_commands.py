"""Command lines of the pages, read by the commands themselves and not run."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import typer.main

from app.settings.gateway import ENV_PREFIX, Settings
from exporter.cli.app import create_app as exporter_app
from sightserve.cli.app import create_app as sightserve_app

if TYPE_CHECKING:
    from collections.abc import Iterator

UsageError = typer.BadParameter.__base__
EXPORTER = (
    ["python", "-m", "exporter"],
    ["docker", "compose", "run", "--rm", "exporter"],
    ["k8s/exporter.sh"],
)
_SETTING = re.compile(r"^([A-Z][A-Z0-9_]*)=")


def command_lines(text: str) -> Iterator[list[str]]:
    """The words of each line; a backslash at its end continues it, a # begins a comment."""
    for line in text.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            yield words


def read(words: list[str]) -> bool:
    """Read a line as its command does; whether it is one of ours.

    Raises:
        AssertionError: the command would not take it.
    """
    while words and (setting := _SETTING.match(words[0])):
        name = setting[1]
        if name.startswith(ENV_PREFIX):
            assert name.removeprefix(ENV_PREFIX).lower() in Settings.model_fields, name
        words = words[1:]
    if words[:1] == ["sightserve"]:
        return _parse(sightserve_app(), words[1:])
    for prefix in EXPORTER:
        if words[: len(prefix)] == prefix:
            return _parse(exporter_app(), words[len(prefix) :])
    return words[:3] in (["python", "-m", "app"], ["python", "-m", "serving"])


def _parse(app: typer.Typer, words: list[str]) -> bool:
    group = typer.main.get_command(app)
    with group.make_context("command", list(words)) as context:
        try:
            _, command, rest = group.resolve_command(context, list(words))
            command.make_context(words[0], rest, parent=context).close()
        except UsageError as error:
            raise AssertionError(f"{shlex.join(words)}: {error.format_message()}") from error
    return True
