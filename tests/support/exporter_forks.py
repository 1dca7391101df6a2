"""Exports in forked children, to be killed: TensorFlow is imported once, not once per kill.

    python -m tests.support.exporter_forks FILE.keras BASE_PATH

Each line on standard input forks a child that exports FILE.keras as the next version of `m`; its
process id is printed at once and its wait status when it has ended. The gate does not start a model
server here (it writes nothing below the base path), so that a run takes about a second.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

from exporter.export import export
from exporter.options import ExportOptions
from exporter.progress import SilentReporter
from exporter.proof import gate
from exporter.settings import Settings
from exporter.sources.keras_file import load_keras


def main() -> None:
    file, base_path = Path(sys.argv[1]), Path(sys.argv[2])
    gate.prove = lambda *_, **__: []
    for _ in sys.stdin:
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of fork in threads
        child = os.fork()
        if child == 0:
            _export(file, base_path)
        print(child, flush=True)  # noqa: T201 - the protocol
        print(os.waitpid(child, 0)[1], flush=True)  # noqa: T201 - the protocol


def _export(file: Path, base_path: Path) -> None:
    """Never returns."""
    status = 1
    try:
        options = ExportOptions(name="m", base_path=base_path, parity_bound=1e-4)
        export(lambda _: load_keras(file), options, Settings(), SilentReporter())
        status = 0
    finally:
        os._exit(status)


if __name__ == "__main__":
    main()
