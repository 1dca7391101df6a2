"""`sightserve`, and `python -m sightserve`."""

from __future__ import annotations

import sys

from sightserve.cli import programs


def main() -> None:
    """Run the command line."""
    try:
        if programs.run(sys.argv):
            return
        from sightserve.cli.app import create_app  # noqa: PLC0415 - not for other programs

        create_app()(prog_name="sightserve")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".", 1)[0] in programs.OURS:
            raise
        from sightserve.cli.app import needs_more  # noqa: PLC0415

        print(needs_more(error.name), file=sys.stderr)  # noqa: T201 - the one line the user needs
        sys.exit(2)


if __name__ == "__main__":
    main()
