"""The race's load generator as a process: it looks into answers, and its own CPU is told."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from bench.race.client import Order, measured
from bench.race.measure import void


@pytest.fixture
def url():
    """Answers everything with class 7."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            text = json.dumps({"predictions": [{"class_index": 7, "probability": 1.0}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/classify"
    server.shutdown()
    server.server_close()
    thread.join()


def order(url, tmp_path, right, **changes):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"picture")
    values = {"url": url, "body": "raw", "files": [str(path)], "right": [right]}
    return Order(**{**values, "mode": "closed", "amount": 2, "seconds": 0.3, **changes})


@pytest.mark.parametrize("changes", [{}, {"mode": "open", "amount": 50.0}])
def test_right_answers_are_counted(url, tmp_path, changes):
    seen = measured(order(url, tmp_path, [3, 7], **changes))
    assert seen["n"] > 0
    assert seen["client_cpu_seconds"] > 0
    assert void(seen) == ""


def test_wrong_answers_void_what_was_measured(url, tmp_path):
    seen = measured(order(url, tmp_path, [3]))
    assert seen["n"] == 0
    assert seen["failures"] == {"wrong answer": seen["requests"]}
    assert void(seen) == f"{seen['requests']} wrong answer"


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet50"])
def test_the_baselines_preprocess_as_keras_does(monkeypatch, name):
    import keras  # noqa: PLC0415 - seconds, and for this test alone

    from bench.race.baselines.preprocessing import preprocess  # noqa: PLC0415

    monkeypatch.setenv("RACE_PREPROCESSING", name)
    pixels = np.random.default_rng(1).integers(0, 256, (5, 4, 3), np.uint8)
    expected = getattr(keras.applications, name).preprocess_input(pixels.astype(np.float32))
    np.testing.assert_allclose(preprocess(pixels), expected, atol=1e-5)
