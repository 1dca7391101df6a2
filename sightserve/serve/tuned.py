"""What `tune` has written, for `serve --tuned`: flags and variables of the two servers.

Read as text: the folder may come from another machine, whose command this is not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sightserve.serve import engines
from sightserve.serve.errors import TargetError

FLAGS_FILE: Final = "model-server.flags"
VARIABLES_FILE: Final = "gateway.env"
_FLAG: Final = re.compile(r"--[a-z_]+(=\S.*)?")
_VARIABLE: Final = re.compile(r"(GATEWAY_[A-Z_]+)=(\S.*)")
_ENGINE: Final = "--engine="


@dataclass(frozen=True, slots=True)
class Tuned:
    """Settings of both servers; empty where nobody has tuned."""

    flags: tuple[str, ...] = ()
    """Of the model server, but for its engine."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Of the gateway."""
    engine: str = engines.AUTO
    """AUTO: nothing is said about it."""


def read(folder: Path | None) -> Tuned:
    """Read both files; no folder, no settings.

    Raises:
        TargetError: they are not there, or a line is none that `tune` writes.
    """
    if folder is None:
        return Tuned()
    flags = _lines(folder / FLAGS_FILE, _FLAG)
    variables = [_VARIABLE.fullmatch(line) for line in _lines(folder / VARIABLES_FILE, _VARIABLE)]
    named = [flag.removeprefix(_ENGINE) for flag in flags if flag.startswith(_ENGINE)]
    return Tuned(
        tuple(flag for flag in flags if not flag.startswith(_ENGINE)),
        {each[1]: each[2] for each in variables if each},
        named[-1] if named else engines.TENSORFLOW,
    )


def engine_of(tuned: Tuned, asked: str) -> str:
    """Which engine runs.

    Raises:
        TargetError: another one was asked for.
    """
    if tuned.engine == engines.AUTO or asked in {engines.AUTO, tuned.engine}:
        return asked if tuned.engine == engines.AUTO else tuned.engine
    raise TargetError(f"--tuned is for the engine {tuned.engine}, not {asked}: leave one out")


def _lines(file: Path, pattern: re.Pattern[str]) -> list[str]:
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError):
        raise TargetError(f"--tuned: {file} cannot be read; `tune` writes it") from None
    found = [line for line in lines if line]
    for line in found:
        if not pattern.fullmatch(line):
            raise TargetError(f"--tuned: {file}: {line!r} is no line that `tune` writes")
    return found
