"""The fake model server as a process of its own: it computes nothing and starts in a second.

Usage: python -m tests.load.fake HOST PORT [SECONDS_PER_IMAGE]
"""

from __future__ import annotations

import signal
import sys

from tests.support.fake_model_server import FakeModelServer, FakeVersion


def main() -> None:
    """Serve version 1 of a model named fake until SIGTERM."""
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    item_seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 0.0
    fake = FakeModelServer()
    fake.models["fake"] = {1: FakeVersion(side=32, item_seconds=item_seconds)}
    fake.start(host=sys.argv[1], port=int(sys.argv[2]))
    signal.sigwait(signals)
    fake.stop()


if __name__ == "__main__":
    main()
