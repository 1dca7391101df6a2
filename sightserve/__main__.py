"""`sightserve`, and `python -m sightserve`."""

from sightserve.cli.app import create_app


def main() -> None:
    """Run the command line."""
    create_app()(prog_name="sightserve")


if __name__ == "__main__":
    main()
