"""Swaps versions under load: no request may fail, and memory must level off.

    python bench/serving_soak.py --swaps 1000

Each swap publishes the next version of the small fixture model, has the server look at its disk
(by reloading its config) and waits until the version answers, while clients send Predict all the
time. Prints the resident memory every fifty swaps, and how that at the end compares with that
half-way.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.swaps import soak

_MEGABYTE = 1 << 20


def main() -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--swaps", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--engine", choices=["tensorflow", "openvino"], default="tensorflow")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        result = soak(
            Path(directory),
            arguments.swaps,
            arguments.clients,
            engine=arguments.engine,
            report=_report,
        )
    print(f"{result.answers} answers, {len(result.failures)} failures {result.failures[:3]}")
    half, end = result.half_way_bytes, result.resident_bytes[-1]
    print(f"resident half-way {half / _MEGABYTE:.0f} MB, at the end {end / _MEGABYTE:.0f} MB")
    print(f"growth in the second half {100 * (end / half - 1):+.1f} %    (wanted: within 5 %)")
    sys.exit(bool(result.failures) or abs(end / half - 1) > 0.05)


def _report(swaps: int, resident_bytes: int, answers: int) -> None:
    if swaps % 50 == 0:
        print(f"{swaps} swaps, {resident_bytes / _MEGABYTE:.0f} MB, {answers} answers")


if __name__ == "__main__":
    main()
