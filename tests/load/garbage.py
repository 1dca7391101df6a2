"""Every kind of garbage that a model server may answer: none may be answered with 500.

    python -m tests.load.garbage [--protocol grpc|rest] [--kind WORDS] [--tree TREE]

What is thrown stands in `tests/support/garbage.py`: a photo, /models, /models/demo, /readyz and
/healthz are asked for while the model server answers it, and a photo until the first that is right
afterwards. `/livez` is asked meanwhile: what blocks the event loop shows there.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from tests.load.report import Check, at_most, conclude, exactly, table
from tests.load.running import stop_on_sigterm
from tests.support.garbage import kinds
from tests.support.garbage_stack import GarbageStack, Thrown, garbage_stack
from tests.support.gateway import client_for, memory_megabytes
from tests.support.processes import ROOT

_HEALED_SECONDS = 1.5
"""A second, and the gateway's probe of an address that was out of use."""
_LIVEZ_SECONDS = 0.5
_GROWTH_MB = 200.0
"""Twice the largest answer that is read, with what becomes of it."""


class Pulse:
    """Asks /livez all the time; knows its longest wait."""

    def __init__(self, url: str) -> None:
        self.longest = 0.0
        self._url = url
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def taken(self) -> float:
        """The longest wait since the last time."""
        longest, self.longest = self.longest, 0.0
        return longest

    def _beat(self) -> None:
        with client_for(self._url) as client:
            while not self._stopped.wait(0.02):
                asked_at = time.monotonic()
                client.get("/livez")
                self.longest = max(self.longest, time.monotonic() - asked_at)


def main() -> None:
    """Read the command line, throw, judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--protocol", choices=["grpc", "rest"], help="one of the two, not both")
    parser.add_argument("--kind", default="", help="only kinds whose name contains this")
    parser.add_argument("--tree", type=Path, default=ROOT, help="working tree to run")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    stop_on_sigterm()
    checks, figures = [], {}
    for protocol in [arguments.protocol] if arguments.protocol else ["grpc", "rest"]:
        with _stack(protocol, arguments.tree) as stack:
            before = memory_megabytes(stack.made.process.pid, "VmHWM")
            rows = list(_throw_all(stack, arguments.kind))
            growth = memory_megabytes(stack.made.process.pid, "VmHWM") - before
        checks += judge(protocol, rows, growth)
        figures[protocol] = [_figures(*row) for row in rows]
        titles = ("kind", "answers", "photo s", "healed s", "/livez s", "wrong")
        shown = [_figures(*row) for row in rows]
        print(protocol, table(titles, [list(row.values()) for row in shown]), sep="\n\n")
    conclude(checks, figures, arguments.json)


@contextmanager
def _stack(protocol: str, tree: Path) -> Iterator[GarbageStack]:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "gateway.log"
        with garbage_stack(protocol, log, tree=tree.resolve()) as stack:
            yield stack


def _throw_all(stack: GarbageStack, words: str) -> Iterator[tuple[Thrown, float]]:
    with Pulse(stack.made.url) as pulse:
        for kind in kinds(stack.protocol):
            if words in kind.name:
                thrown = stack.throw(kind)
                if thrown.faults:
                    print(stack.protocol, kind.name, thrown.faults, file=sys.stderr, flush=True)
                yield thrown, pulse.taken()


def _figures(thrown: Thrown, livez: float) -> dict[str, str | float]:
    return {
        "kind": thrown.kind.name,
        "answers": " ".join(str(status) for _, status, _ in thrown.answers),
        "seconds": round(thrown.seconds, 3),
        "healed_seconds": round(thrown.healed_seconds, 3),
        "livez_seconds": round(livez, 3),
        "wrong": "; ".join(each[:60] for each in thrown.faults),
    }


def judge(protocol: str, rows: list[tuple[Thrown, float]], growth_mb: float) -> list[Check]:
    """The bars, from what was thrown with its longest wait for /livez."""
    return [
        exactly(f"{protocol}: kinds with a 500", _count_500(rows), 0),
        exactly(f"{protocol}: kinds with a fault", sum(bool(each.faults) for each, _ in rows), 0),
        at_most(
            f"{protocol}: longest healing",
            max(each.healed_seconds for each, _ in rows),
            _HEALED_SECONDS,
            "s",
        ),
        at_most(
            f"{protocol}: longest /livez", max(livez for _, livez in rows), _LIVEZ_SECONDS, "s"
        ),
        at_most(f"{protocol}: growth of the memory's peak", growth_mb, _GROWTH_MB, "MB"),
    ]


def _count_500(rows: list[tuple[Thrown, float]]) -> int:
    return sum(any(status == 500 for _, status, _ in each.answers) for each, _ in rows)


if __name__ == "__main__":
    main()
