"""The embedded server with an engine that knows no model format: y = 2x.

Usage: python -m tests.support.doubling_server GRPC_PORT REST_PORT MODEL_DIRECTORY
"""

from __future__ import annotations

import signal
import sys

from protocol.models import SignatureSpec, TensorSpec
from serving.config_files import server_config
from serving.options import Options
from serving.server import Server

SIGNATURE = SignatureSpec(
    method_name="tensorflow/serving/predict",
    inputs={"x": TensorSpec("x:0", "DT_FLOAT", (-1,))},
    outputs={"y": TensorSpec("y:0", "DT_FLOAT", (-1,))},
    defaults={},
    definition=b"",
)


class Doubling:
    """A servable and the engine that loads it."""

    signatures = {"serving_default": SIGNATURE}  # noqa: RUF012 - never changed

    def load(self, _path, _options):
        return self

    def run(self, feeds, fetches, *, timeout_seconds=None):  # noqa: ARG002 - the seam's
        return [feeds["x:0"] * 2 for _ in fetches]

    def close(self):
        pass


def main():
    grpc_port, rest_port, directory = sys.argv[1:]
    options = Options(port=int(grpc_port), rest_api_port=int(rest_port), model_base_path=directory)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    server = Server(options, server_config(options), engine=Doubling)
    server.start()
    signal.sigwait({signal.SIGTERM})
    server.stop()


if __name__ == "__main__":
    main()
