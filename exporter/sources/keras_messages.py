"""The line that helps, out of the pages that Keras writes around it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from exporter.errors import first_line
from exporter.sources import custom_objects

# What Keras says of a class or function that a file names and nobody has registered.
_UNKNOWN: Final = re.compile(r"(?:Could not locate|Unknown) ([a-z ]+?):? '([^']+)'")
_IN_BOLD: Final = re.compile(r"\x1b\[1m(.+?)\x1b\[0m", re.DOTALL)
_INNERMOST: Final = "Exception encountered: "
_CHARACTERS: Final = 300


def useful_line(error: BaseException) -> str:
    """What went wrong, without where in Keras: the innermost of the errors that it nests."""
    text = str(error).rpartition(_INNERMOST)[2]
    bold = _IN_BOLD.search(text)
    return first_line(ValueError(bold[1] if bold else text))[:_CHARACTERS]


def why_not_loaded(error: Exception, custom_file: Path | None) -> str:
    """Why a file cannot be loaded, and what to do about it where the user can.

    Args:
        error: what Keras raised.
        custom_file: what --custom-objects says.
    """
    unknown = _UNKNOWN.search(str(error))
    if unknown:
        kind, name = unknown.groups()
        if custom_file:
            return f"it is made of the {kind} {name}, which neither Keras nor {custom_file} has"
        return (
            f"it is made of the {kind} {name}, which Keras does not know; "
            "--custom-objects FILE.py names the Python file that defines it"
        )
    own = custom_objects.failure(custom_file, error) if custom_file else None
    if own:
        return f"the code of --custom-objects fails: {own}"
    return f"Keras cannot load it: {useful_line(error)}"
