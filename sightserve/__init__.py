"""Sightserve for those who call it: the client, and the command `sightserve`.

`Client`, `AsyncClient`, their results and their errors are found here too; they are imported only
when they are asked for, so that `sightserve --help` does not wait for an HTTP library.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sightserve.client import *  # noqa: F403 - the same names, for type checkers


def __getattr__(name: str) -> Any:
    """The client's public names, all of which are classes."""
    if name[:1].isupper():
        from sightserve.client import exported  # noqa: PLC0415 - see above

        if name in exported:
            return exported[name]
    raise AttributeError(f"module 'sightserve' has no attribute {name!r}")
