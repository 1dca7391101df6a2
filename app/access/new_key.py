"""`python -m app.access.new_key NAME`: make an API key, and the line that lets it in."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from app.access.keys import KeysError, new_key

_HELP = """
Make an API key for a client of the gateway.

The key goes to standard error: give it to the client, it is shown this once. The line with its
hash goes to standard output: append it to the file that GATEWAY_API_KEYS_FILE names. A running
gateway reads that file again within seconds.

Example: python -m app.access.new_key mobile-app >> keys.txt
"""
_USAGE_ERROR = 2


def main(name: Annotated[str, typer.Argument(help="Who will use it; stands in the log.")]) -> None:
    """Print both."""
    try:
        made = new_key(name)
    except KeysError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the one line the user needs
        raise typer.Exit(_USAGE_ERROR) from None
    print(f"key: {made.key}", file=sys.stderr, flush=True)  # noqa: T201 - what was asked for
    print(made.line)  # noqa: T201 - as above


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command(help=_HELP)(main)
    app(prog_name="python -m app.access.new_key")
