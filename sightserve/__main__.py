"""`sightserve`, and `python -m sightserve`."""

from __future__ import annotations

import sys

from protocol import installation


def main() -> None:
    """Run the command line."""
    with installation.complete("all"):
        from sightserve.cli import programs  # noqa: PLC0415 - what it needs may be missing

        if not programs.run(sys.argv):
            from sightserve.cli.app import create_app  # noqa: PLC0415 - not for other programs

            create_app()(prog_name="sightserve")


if __name__ == "__main__":
    main()
