"""A REST server that answers nonsense: an error of ours every time, never a crash."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from app import errors
from app.model_server.addresses import Address
from app.model_server.base import Input, Servable
from app.model_server.rest_client import RestModelServer

IMAGE = Input("pixels", "string", (), [b'{"b64":"AA=="}'])


@contextmanager
def server_that_answers(status, body):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - http.server's names

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Address("127.0.0.1", server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def call(status, body, ask):
    async def scenario(address):
        client = RestModelServer(address)
        try:
            return await ask(client)
        finally:
            await client.aclose()

    with server_that_answers(status, body) as address:
        return asyncio.run(scenario(address))


def predict(client):
    return client.predict(Servable("m", 1), "top_k_raw", IMAGE, timeout_seconds=5)


def metadata(client):
    return client.metadata(Servable("m"), timeout_seconds=5)


def statuses(client):
    return client.statuses("m", timeout_seconds=5)


@pytest.mark.parametrize("ask", [predict, metadata, statuses], ids=lambda ask: ask.__name__)
@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"null", b"{}", b'{"outputs": [1]}', b'{"outputs": {"a": []}}',
     b'{"model_version_status": [{"version": "x"}]}', b'{"metadata": 1}', b"\xff\xfe",
     b'{"model_version_status": {}, "metadata": {}, "outputs": {"a": [[1], []]}}'],
)  # fmt: skip
def test_nonsense_is_a_model_server_error(ask, body):
    try:
        call(200, body, ask)
    except errors.ModelServerError:
        return
    assert b"model_version_status" in body
    assert ask is statuses  # an empty list of versions is no nonsense


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, errors.RefusedByModelServerError),
        (404, errors.ModelVersionNotFoundError),
        (412, errors.RefusedByModelServerError),
        (429, errors.OverloadedError),
        (500, errors.ModelServerError),
        (503, errors.ModelServerUnavailableError),
        (504, errors.DeadlineExceededError),
        (302, errors.ModelServerError),
    ],
)
@pytest.mark.parametrize("body", [b'{"error": "secret"}', b"secret", b'"secret"'])
def test_each_status_has_its_error(status, expected, body):
    with pytest.raises(expected) as caught:
        call(status, body, predict)
    assert type(caught.value) is expected
    assert "secret" not in caught.value.detail


def test_a_single_output_comes_without_its_name():
    def ask(client):
        return client.predict(Servable("m", 1), "s", IMAGE, outputs=("y",), timeout_seconds=5)

    answer = call(200, b'{"outputs": [[0.5, 0.25]]}', ask)
    np.testing.assert_array_equal(answer.outputs["y"], [[0.5, 0.25]])
    assert answer.version == 1


def test_a_prediction_needs_a_version_number():
    with pytest.raises(errors.ModelServerError, match="version number"):
        call(
            200, b"{}", lambda client: client.predict(Servable("m"), "s", IMAGE, timeout_seconds=5)
        )


def test_rows_are_json():
    encode_row = RestModelServer.encode_row
    assert encode_row(b"\x00\xff") == b'{"b64":"AP8="}'
    assert encode_row(np.array([[1, 2], [3, 4]], np.uint8)) == b"[[1,2],[3,4]]"
