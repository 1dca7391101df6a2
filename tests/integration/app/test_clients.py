"""Clients as people have them: each sees the answer that was meant for it, never a reset."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.fake_model_server import FakeVersion, running_fake
from tests.support.gateway import running_gateway
from tests.support.processes import free_ports, running, wait_until
from tests.support.raw_http import RawConnection

TOO_LARGE = bytes(40_000_000)
JPEG = {"Content-Type": "image/jpeg"}


@pytest.fixture(scope="module")
def gateway():
    with running_fake(demo={1: FakeVersion()}) as fake, running_gateway(fake.url) as running:
        yield running


def java(photo):
    """What the HttpClient of JDK 17 sends by default."""
    return (
        b"POST /classify HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"Content-Length: %d\r\nHost: 127.0.0.1:8000\r\n"
        b"HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA\r\nUpgrade: h2c\r\n"
        b"User-Agent: Java-http-client/17.0.15\r\nContent-Type: image/jpeg\r\n\r\n"
    ) % len(photo) + photo


def test_java_offers_http_2_and_is_answered(gateway, photo):
    with RawConnection(gateway.url) as client:
        client.send(java(photo) + java(photo))
        for _ in range(2):
            reply = client.reply()
            assert reply.status == 200
            assert json.loads(reply.body)["predictions"][0]["class_index"] == 3


def test_urllib_sends_everything_before_it_reads(gateway):
    for path, body, status in (
        ("/classify", TOO_LARGE, 413),
        ("/nowhere", bytes(5_000_000), 404),
        ("/livez", bytes(5_000_000), 405),
    ):
        request = urllib.request.Request(gateway.url + path, data=body, headers=JPEG)  # noqa: S310
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=30)  # noqa: S310 - ours
        with refused.value as answer:
            assert answer.status == status
            assert json.load(answer)["status"] == status


def test_http_1_0_with_a_body_that_is_not_wanted(gateway):
    head = b"POST /classify HTTP/1.0\r\nContent-Type: text/plain\r\nContent-Length: 5000000\r\n\r\n"
    with RawConnection(gateway.url) as client:
        client.send(head, bytes(5_000_000))
        reply = client.reply()
        assert (reply.status, reply.headers["connection"]) == (415, "close")
        assert client.is_closed()


def test_one_connection_serves_good_and_bad_requests_alike(gateway, photo):
    host = gateway.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=30)
    connection.connect()
    socket = connection.sock
    text = {"Content-Type": "text/plain"}
    for body, headers, status in (
        (photo, JPEG, 200),
        (b"junk", JPEG, 422),
        (b"text" * 10_000, text, 415),
        (photo, JPEG, 200),
    ):
        connection.request("POST", "/classify", body, headers)
        response = connection.getresponse()
        response.read()
        assert response.status == status
        assert connection.sock is socket
    connection.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("options", [["--http2"], ["--http1.0"], ["-H", "Expect:"]])
def test_curl(gateway, photo, tmp_path, options):
    for name, content, status in (("good", photo, "200"), ("large", TOO_LARGE, "413")):
        (tmp_path / name).write_bytes(content)
        command = ["curl", "--silent", "--output", str(tmp_path / "answer"), "--noproxy", "*"]
        command += ["--write-out", "%{http_code}", "--data-binary", f"@{tmp_path / name}"]
        command += ["-H", "Content-Type: image/jpeg", *options, f"{gateway.url}/classify"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (result.returncode, result.stdout) == (0, status)


NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr;
events {{ worker_connections 64; }}
http {{
  access_log off; client_max_body_size 0; client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
  scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass {url}; }}
    location /streamed/ {{ proxy_pass {url}/; proxy_request_buffering off;
      proxy_http_version 1.1; }}
  }}
}}
"""


@pytest.fixture(scope="module")
def nginx(gateway, nginx_program, tmp_path_factory):
    folder = tmp_path_factory.mktemp("nginx")
    (port,) = free_ports(1)
    folder.joinpath("nginx.conf").write_text(
        NGINX.format(folder=folder, port=port, url=gateway.url)
    )
    command = [nginx_program, "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]
    with running(command, folder / "log"):
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(url), "nginx answers", seconds=20)
        yield url


def answers(url):
    try:
        with urllib.request.urlopen(f"{url}/livez", timeout=5) as answer:  # noqa: S310 - ours
            return answer.status == 200
    except OSError:
        return False


@pytest.mark.parametrize("prefix", ["", "/streamed"])
def test_behind_nginx_refusals_are_ours_and_never_its_502(nginx, photo, prefix):
    def ask(number):
        body, status = ((photo, 200), (TOO_LARGE, 413), (bytes(300_000), 415))[number % 3]
        headers = JPEG if status != 415 else {"Content-Type": "text/plain"}
        url = f"{nginx}{prefix}/classify"
        request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310 - ours
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - ours
                return (answer.status, answer.headers["Content-Type"]), (200, "application/json")
        except urllib.error.HTTPError as refused:
            with refused:
                kind = refused.headers["Content-Type"]
                return (refused.status, kind), (status, "application/problem+json")

    with ThreadPoolExecutor(2) as threads:
        for seen, meant in threads.map(ask, range(18)):
            assert seen == meant
