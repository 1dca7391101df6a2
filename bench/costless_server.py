"""A model server that computes nothing, for benches of what stands before it.

    python -m bench.costless_server SIDE ITEM_MILLISECONDS SOCKET

It takes images of SIDE x SIDE pixels, one at a time for so many milliseconds of sleep, over gRPC (a
TCP port, and the UNIX socket) and REST. Prints the two URLs of the ports, one a line.
"""

from __future__ import annotations

import signal
import sys

from tests.support.fake_model_server import FakeModelServer, FakeVersion
from tests.support.fake_rest import rest_face

MODEL = "demo"
"""The name of the model it has."""


def main() -> None:
    """Serve until SIGTERM."""
    side, milliseconds, socket = sys.argv[1:]
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    labels = [f"label-{index}" for index in range(1000)]
    version = FakeVersion(labels, int(side), k=5, item_seconds=float(milliseconds) / 1000)
    fake = FakeModelServer()
    fake.models[MODEL] = {1: version}
    fake.socket_path = socket
    fake.start()
    with rest_face(fake) as rest:
        print(fake.url, rest, sep="\n", flush=True)
        signal.sigwait({signal.SIGTERM})
    fake.stop()


if __name__ == "__main__":
    main()
