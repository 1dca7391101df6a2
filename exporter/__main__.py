"""`python -m exporter`."""

from exporter import interruption

if __name__ == "__main__":
    with interruption.told():  # before the half second of imports, in which a Ctrl-C may come, too
        from exporter.cli.app import main

        main()
