"""The REST face of `FakeModelServer`: status, metadata and columnar predict, over a real socket."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import numpy as np

from tests.support.fake_model_server import FakeModelServer, FakeVersion
from tests.support.garbage_kind import Reply

_PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
    r"(?P<what>/metadata|:predict)?"
)


class _RefusedError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: FakeModelServer

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            reply = self._reply(body, self._answer(body))
        except _RefusedError as refusal:
            reply = Reply(json.dumps({"error": str(refusal)}).encode(), refusal.status)
        self.send_response(reply.status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(reply.body))}
        for name, value in (headers | reply.headers).items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(OSError):  # who is told too much may leave
            self.wfile.write(reply.body)

    def _reply(self, body: bytes, answer: Any) -> Reply:
        garbage = self.fake.garbage
        if garbage is not None and garbage.rest and garbage.question == self._question(body):
            return garbage.rest(answer)
        return Reply(json.dumps(answer).encode())

    def _question(self, body: bytes) -> str:
        if self.path.endswith(":predict"):
            is_card = json.loads(body)["signature_name"] == "model_card"
            return "model_card" if is_card else "predict"
        return "metadata" if self.path.endswith("/metadata") else "status"

    def _answer(self, body: bytes) -> Any:
        match = _PATH.fullmatch(self.path)
        if match is None:
            raise _RefusedError(400, f"Malformed request: {self.path}")
        name = unquote(match["name"])
        if match["what"] is None:
            return self._status(name)
        if traceparent := self.headers.get("traceparent"):
            self.fake.traceparents.append(traceparent)
        number, version = self._find(name, match)
        if match["what"] == "/metadata":
            self.fake._count("metadata")
            return _metadata(name, number)
        return self._predict(name, version, json.loads(body))

    def _status(self, name: str) -> Any:
        versions = self.fake.models.get(name)
        if not versions:
            raise _RefusedError(404, f"Could not find any versions of model {name}")
        ok = {"error_code": "OK", "error_message": ""}
        return {
            "model_version_status": [
                {"version": str(number), "state": version.state, "status": ok}
                for number, version in sorted(versions.items(), reverse=True)
            ]
        }

    def _find(self, name: str, match: re.Match[str]) -> tuple[int, FakeVersion]:
        served = {
            number: version
            for number, version in self.fake.models.get(name, {}).items()
            if version.state == "AVAILABLE"
        }
        if match["label"] is not None:
            number = self.fake.version_labels.get((name, unquote(match["label"])))
            if number is None:
                raise _RefusedError(400, f"Unrecognized servable version label: {match['label']}")
        else:
            number = int(match["version"]) if match["version"] else max(served, default=None)
        if number not in served:
            raise _RefusedError(404, f"Servable not found for request: {name}")
        return number, served[number]

    def _predict(self, name: str, version: FakeVersion, request: Any) -> Any:
        if request["signature_name"] == "model_card":
            return {"outputs": [version.card(name).decode()]}
        rows = [base64.b64decode(row["b64"]) for row in request["inputs"]["pixels"]]
        with self.fake.lock:
            self.fake.batch_sizes.append(len(rows))
        self.fake.pause(version.delay_seconds)
        size = version.side * version.side * 3
        if version.fault is not None or any(len(row) != size for row in rows):
            raise _RefusedError(400, "Input to reshape is a tensor of another size")
        count = len(version.labels)
        best = [int(np.frombuffer(row, np.uint8).mean() * count // 256) for row in rows]
        ranked = [[(first + step) % count for step in range(version.k)] for first in best]
        return {
            "outputs": {
                "probabilities": [[0.5 / 2**step for step in range(version.k)] for _ in rows],
                "class_indices": ranked,
                "labels": [[version.labels[index] for index in row] for row in ranked],
            }
        }


def _metadata(name: str, number: int) -> Any:
    shape = {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
    tensor = {"dtype": "DT_STRING", "tensor_shape": shape, "name": "x:0"}
    signature = {"inputs": {"x": tensor}, "outputs": {}, "method_name": ""}
    signatures = {"top_k_raw": signature, "model_card": signature}
    return {
        "model_spec": {"name": name, "signature_name": "", "version": str(number)},
        "metadata": {"signature_def": {"signature_def": signatures}},
    }


@contextmanager
def rest_face(fake: FakeModelServer) -> Iterator[str]:
    """Serve the fake over REST as well; yields its URL."""
    handler = type("Handler", (_Handler,), {"fake": fake})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
