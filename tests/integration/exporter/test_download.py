"""Downloads give up in time and say how far they are."""

import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from exporter.settings import Settings
from exporter.sources import download

BODY = bytes(1_000_000)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path != "/weights.h5":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_):
        pass


@pytest.fixture
def url():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setattr(urllib.request, "getproxies", dict)


def fetch(url, path, reports=None, **settings):
    collected = [] if reports is None else reports
    with download.bounded_downloads(
        Settings(**settings), lambda name, percent: collected.append((name, percent))
    ):
        urllib.request.urlretrieve(url, path)  # noqa: S310 - as Keras does


def test_a_download_arrives_and_reports_its_progress(url, tmp_path):
    reports = []
    fetch(f"{url}/weights.h5", tmp_path / "w", reports)
    assert (tmp_path / "w").read_bytes() == BODY
    assert reports[-1] == ("weights.h5", 100)
    percents = [percent for _, percent in reports]
    assert percents == sorted(set(percents))


def test_a_host_that_never_accepts_is_given_up_in_time(tmp_path, monkeypatch):
    released = threading.Event()

    def hang(*_, **__):
        released.wait(30)
        raise OSError

    monkeypatch.setattr(download.socket, "create_connection", hang)
    begun = time.monotonic()
    with pytest.raises(urllib.error.URLError, match=r"does not answer within 0\.2 s") as caught:
        fetch("https://weights.example/w.h5", tmp_path / "w", connect_timeout_seconds=0.2)
    assert time.monotonic() - begun < 20
    released.set()
    assert download.failure_reason(caught.value) == "weights.example does not answer within 0.2 s"


def test_a_host_that_refuses_is_named(tmp_path):
    with pytest.raises(urllib.error.URLError, match=r"127\.0\.0\.1: Connection refused"):
        fetch("http://127.0.0.1:1/w.h5", tmp_path / "w")


def test_an_http_error_names_the_address_and_the_status(url, tmp_path):
    with pytest.raises(urllib.error.HTTPError) as caught:
        fetch(f"{url}/gone.h5", tmp_path / "w")
    with caught.value:
        assert download.failure_reason(caught.value) == f"{url}/gone.h5 answers 404"


def test_the_reason_is_found_below_other_errors():
    error = RuntimeError("URL fetch failure on https://x")
    error.__context__ = urllib.error.URLError("no route")
    assert download.failure_reason(error) == "no route"
    assert download.failure_reason(ValueError("first\nsecond")) == "first"


def test_a_proxy_is_left_to_connect_by_itself(monkeypatch, url):
    monkeypatch.setattr(urllib.request, "getproxies", lambda: {"http": url})
    monkeypatch.setattr(download.socket, "create_connection", None)  # our probe would fail
    handler = download._BoundedHandler(1.0, lambda *_: None)
    request = urllib.request.Request(f"{url}/weights.h5")  # noqa: S310 - our own server
    assert handler.http_request(request) is request
