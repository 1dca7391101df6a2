"""Which of several signatures, inputs and outputs is meant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from exporter.errors import UsageError


@dataclass(frozen=True, slots=True)
class TensorNames:
    """Which signature, input and output to use; None: the obvious one."""

    signature: str | None = None
    input: str | None = None
    output: str | None = None


def choose(
    what: str, wanted: str | None, available: Iterable[str], preferred: str | None = None
) -> str:
    """Take the one that was named, else the preferred one, else the only one.

    Args:
        what: signature, input or output, as the option is called.
        wanted: what the option says.
        available: the names that there are.
        preferred: taken where there are several.

    Raises:
        UsageError: there is none of that name, or several and none was named.
    """
    names = sorted(available)
    if wanted is not None:
        if wanted not in names:
            raise UsageError(f"--{what} {wanted}: there are only: {', '.join(names) or 'none'}")
        return wanted
    if preferred in names and preferred is not None:
        return preferred
    if len(names) == 1:
        return names[0]
    raise UsageError(
        f"which {what} classifies images? say --{what} with one of: {', '.join(names) or 'none'}"
    )
