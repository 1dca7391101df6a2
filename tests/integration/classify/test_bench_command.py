"""`sightserve bench` as a process, against services that answer, refuse, fail or are not there."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.processes import ROOT, free_ports, wait_until

SHORT = ("--seconds", "0.3", "--clients", "1,4", "--loads", "50", "--timeout", "5")


def run(*arguments, code):
    done = subprocess.run(
        [sys.executable, "-m", "sightserve", "bench", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done


@contextmanager
def service(statuses, *, is_chunked=False):
    """A server that gives these answers in turn, the last for ever; yields URL and requests."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, dict(self.headers), body))
            status = statuses[min(len(seen), len(statuses)) - 1]
            text = json.dumps({"title": "what happened"}).encode()
            self.send_response(status)
            if is_chunked:
                self.send_header("Transfer-Encoding", "chunked")
                text = b"%x\r\n%s\r\n0\r\n\r\n" % (len(text), text)
            else:
                self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\xff\xd8 as good as any")
    return path


def test_the_figures_of_a_gateway_as_json(gateway, folder):
    found = json.loads(run(gateway.url, "--image", folder, *SHORT, "--json", code=0).stdout)
    assert found["images"] == 2
    assert [each["clients"] for each in found["closed_loop"]] == [1, 4]
    assert found["open_loop"][0]["load_percent"] == 50
    assert found["capacity_requests_per_second"] == max(
        each["requests_per_second"] for each in found["closed_loop"]
    )
    for each in (*found["closed_loop"], *found["open_loop"]):
        assert each["n"] > 0
        assert each["failures"] == {}
        assert each["latency_ms"]["p50"] <= each["latency_ms"]["p99"] <= each["latency_ms"]["max"]


def test_the_tables_of_a_gateway_asked_with_forms(gateway, folder):
    done = run(gateway.url, "--image", folder, "--body", "multipart", *SHORT, code=0)
    assert "closed loop" in done.stdout
    assert "50 %" in done.stdout


@pytest.mark.parametrize("is_chunked", [False, True])
def test_what_is_sent(picture, is_chunked):
    with service([200], is_chunked=is_chunked) as (url, seen):
        run(f"{url}/other?top_k=1", "--image", picture, "--api-key", "k", *SHORT, code=0)
    path, headers, body = seen[-1]
    assert path == "/other?top_k=1"
    assert headers["Authorization"] == "Bearer k"
    assert body == picture.read_bytes()


def test_nothing_listens(picture):
    (port,) = free_ports(1)
    done = run(f"http://127.0.0.1:{port}", "--image", picture, *SHORT, code=3)
    assert done.stderr == (
        f"sightserve bench: nothing listens on 127.0.0.1:{port}: start the service first\n"
    )


def test_a_service_that_fails_at_once_is_not_loaded(picture):
    with service([500]) as (url, seen):
        done = run(url, "--image", picture, *SHORT, code=3)
    assert done.stderr.endswith(f"a.jpg: {url}/classify answered 500: what happened\n")
    assert len(seen) == 1


def test_what_is_no_image_is_named(gateway, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    done = run(gateway.url, "--image", path, *SHORT, code=3)
    assert f"{path}: {gateway.url}/classify answered 4" in done.stderr
    assert done.stderr.count("\n") == 1


def test_failures_under_load_are_counted_by_kind(picture):
    with service([200, 200, 429, 200, 500, 200]) as (url, _):
        done = run(url, "--image", picture, *SHORT, "--json", code=1)
    found = json.loads(done.stdout)["closed_loop"][0]
    assert found["failures"] == {"HTTP 429": 1, "HTTP 500": 1}
    assert found["requests"] >= found["n"] + 2


def test_no_right_answer_under_load(picture):
    with service([200, 503]) as (url, _):
        done = run(url, "--image", picture, *SHORT, code=3)
    assert "no right answer under load: HTTP 503" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ftp://x", "--image", "{picture}"), "ftp://x: write http://HOST:PORT"),
        (("http://x", "--image", "{folder}"), "no image in this folder"),
        (("http://x", "--image", "{folder}/none.jpg"), "No such file"),
        (("http://x", "--image", "{picture}", "--clients", "0"), "--clients 0: write numbers"),
        (("http://x", "--image", "{picture}", "--clients", "1,x"), "--clients 1,x: write numbers"),
        (("http://x", "--image", "{picture}", "--loads", "999"), "--loads 999: write numbers"),
    ],
)
def test_a_wrong_command_line(picture, tmp_path, arguments, said):
    empty = tmp_path / "empty"
    empty.mkdir()
    done = run(*(each.format(picture=picture, folder=empty) for each in arguments), code=2)
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_answers_is_no_http(picture):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer():
            connection, _ = listening.accept()
            connection.recv(100)
            connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")
            connection.recv(100_000)
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        done = run(url, "--image", picture, *SHORT, code=3)
        thread.join()
    assert "the answer is not HTTP/1.1" in done.stderr


def test_ctrl_c_ends_it(picture):
    with service([200]) as (url, seen):
        command = [sys.executable, "-m", "sightserve", "bench", url, "--image", str(picture)]
        child = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        try:
            wait_until(lambda: len(seen) > 10, "it asks")
            child.send_signal(signal.SIGINT)
            _, errors = child.communicate(timeout=30)
        finally:
            child.kill()
            child.wait()
    assert (child.returncode, errors) == (130, "interrupted\n")
