"""The useful line of Keras' errors, which often comes last, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from exporter.errors import ExporterError, FailedError, RefusedError, first_line
from exporter.sources import custom_objects
from exporter.sources.memory_limit import is_out_of_memory

_MAX_LENGTH: Final = 300
_ELSEWHERE: Final = (
    "or export it where it was made, with model.export(DIR), and use --saved-model DIR"
)

_LAMBDA: Final = re.compile(r"deserializ\w+ of a `?Lambda`?|Python lambda")
_UNKNOWN: Final = re.compile(
    r"(?:Could not locate|Unknown) (?P<what>[a-z _]+?):? '(?P<name>[^']+)'", re.IGNORECASE
)
_MISFIT: Final = re.compile(
    r"for object <(?P<layer>\S+ name=[^,>]+).*?variable\.shape=(?P<wanted>\([^)]*\)).*?"
    r"value\.shape=(?P<found>\([^)]*\))",
    re.DOTALL,
)
_NO_ARCHIVE: Final = re.compile(r"accessible `\.keras` zip file|file signature not found")
_IN_BOLD: Final = re.compile(r"\x1b\[1m(.+?)\x1b\[0m", re.DOTALL)
_CAUSE: Final = re.compile(r"Exception encountered: (?P<reason>.+)")


def loading_error(where: str, error: Exception, custom_file: Path | None = None) -> ExporterError:
    """What to tell about a file that Keras does not load.

    Args:
        where: the option and its file.
        error: Keras'.
        custom_file: what --custom-objects says.

    Returns:
        RefusedError: it wanted more memory than it may have.
        FailedError: anything else.
    """
    if is_out_of_memory(error):
        return RefusedError(
            f"{where}: loading it takes far more memory than its weights explain; look at the "
            "sizes of its layers",
            step="source",
        )
    return FailedError(f"{where}: {_explain(error, custom_file)}")


def _explain(error: Exception, custom_file: Path | None) -> str:  # noqa: PLR0911 - a case each
    text = "\n".join(_texts(error))
    if _LAMBDA.search(text):
        return (
            "a Lambda layer in it is Python code, which is never run from a file; write it as a "
            f"layer class and bring that with --custom-objects FILE.py, {_ELSEWHERE}"
        )
    if found := _UNKNOWN.search(text):
        if custom_file:
            kind, name = found["what"].strip(), found["name"]
            return f"its {kind} {name} is neither Keras' own nor in {custom_file}"
        return (
            f"its {found['what'].strip()} {found['name']} is not Keras' own; bring it with "
            f"--custom-objects FILE.py, {_ELSEWHERE}"
        )
    if found := _MISFIT.search(text):
        return (
            f"the weights of <{found['layer']}> are {found['found']}, its model wants "
            f"{found['wanted']}; save the whole model again"
        )
    if _NO_ARCHIVE.search(text):
        return "it is damaged, or no Keras file at all"
    if custom_file and (own := custom_objects.failure(custom_file, error)):
        return f"the code of --custom-objects fails: {own}"
    return f"Keras cannot load it: {useful_line(error)}"


def useful_line(error: BaseException) -> str:
    """What went wrong, without where in Keras: the innermost of the errors that it nests."""
    text = str(error)
    causes = _CAUSE.findall("\n".join(_texts(error)))
    bold = _IN_BOLD.search(text)
    innermost = bold[1] if bold else causes[-1] if causes else text
    return first_line(ValueError(innermost))[:_MAX_LENGTH]


def _texts(error: BaseException) -> Iterator[str]:
    cause: BaseException | None = error
    while cause is not None:
        yield str(cause)
        cause = cause.__cause__ or cause.__context__
