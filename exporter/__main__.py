"""`python -m exporter`."""

from exporter import interruption
from protocol import installation

if __name__ == "__main__":
    # Before the half second of imports, in which a Ctrl-C may come, too.
    with interruption.told(), installation.complete("exporter"):
        from exporter.cli.app import main

        main()
