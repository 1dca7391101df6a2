"""A new version under load, a killed model server, an orderly stop."""

import itertools
import socket
import threading
import time

import pytest

from tests.docker.load import Load
from tests.docker.stack import ENGLISH, GERMAN, SEVEN, addresses, classify, health
from tests.support.processes import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

DEADLINE_SECONDS = 10.0  # the gateway's default
GRACE_SECONDS = 35.0  # stop_grace_period


def served_version(url):
    answer = classify(url, SEVEN)
    return answer.json()["model"]["version"] if answer.status_code == 200 else None


def test_second_version_and_rollback_under_load_lose_nothing(stack):
    url = stack.url()
    with Load([url], SEVEN, per_second=20) as load:
        stack.compose(
            *("run", "--rm", "exporter", "export", "--keras=/weights/flowers.keras"),
            *("--labels=/weights/labels.txt", "--name=classifier", "--base-path=/models"),
        )
        assert stack.versions() == ["1", "2"]
        wait_until(lambda: served_version(url) == 2, seconds=60, what="version 2")
        # docs/operations.md, "Roll back": the highest version that is left is served again.
        stack.compose(
            *("run", "--rm", "--entrypoint", "rm", "exporter", "-r", "/models/classifier/2")
        )
        wait_until(lambda: served_version(url) == 1, seconds=60, what="version 1")
        time.sleep(2)  # the load goes on: nothing may be left over from the swap
    samples = load.samples
    print(f"{len(samples)} requests across swap and rollback")  # noqa: T201 - for the notes
    assert [each for each in samples if not each.is_ok] == []
    assert {each.version for each in samples} == {1, 2}
    assert {each.label for each in samples if each.version == 1} <= set(ENGLISH)
    assert {each.label for each in samples if each.version == 2} <= set(GERMAN)
    switches = [a.version != b.version for a, b in itertools.pairwise(samples)]
    assert sum(switches) < 20  # around each swap, requests sent together may answer apart


def test_killed_model_server_is_503_with_retry_after_and_comes_back_by_itself(stack):
    server, url = stack.container("tf-serving"), stack.url()
    restarts = server.attrs["RestartCount"]
    with Load([url], SEVEN, per_second=10) as load:
        time.sleep(1)
        # As the server's own user; PID 1 is Docker's init, which then ends too.
        server.exec_run(["bash", "-c", "kill -9 -1"], detach=True)
        killed = time.monotonic()
        wait_until(lambda: load.samples[-1].status == 503, seconds=15, what="503")
        wait_until(lambda: classify(url, SEVEN).status_code == 200, seconds=60, what="200")
        back = time.monotonic()
        time.sleep(1)
    server.reload()
    assert server.attrs["RestartCount"] == restarts + 1
    failed = [each for each in load.samples if not each.is_ok]
    print(  # noqa: T201 - for the notes
        f"{len(failed)} of {len(load.samples)} failed; back after {back - killed:.1f} s;"
        f" slowest refusal {max(each.done - each.sent for each in failed):.2f} s"
    )
    assert {each.status for each in failed} == {503}
    assert all(int(each.retry_after) >= 1 for each in failed)
    assert max(each.done - each.sent for each in failed) < DEADLINE_SECONDS
    assert all(each.is_ok for each in load.samples if each.sent > back)
    wait_until(lambda: health(server) == "healthy", seconds=30, what="health of the server")


def half_sent(address):
    """A connection with most of a request on it, and its end.

    Readers of PNG stop at its end, so more may follow: so much that nobody calls it a slow body.
    """
    boundary = b"digit"
    padded = SEVEN + bytes(60_000)
    body = (
        b"--" + boundary + b'\r\nContent-Disposition: form-data; name="file"; filename="d.png"\r\n'
        b"Content-Type: image/png\r\n\r\n" + padded + b"\r\n--" + boundary + b"--\r\n"
    )
    head = (
        b"POST /classify HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n"
        b"X-Request-Timeout-Ms: 40000\r\n"
        b"Content-Type: multipart/form-data; boundary=" + boundary + b"\r\n"
        b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n"
    )
    connection = socket.create_connection((address, 8000), timeout=30)
    connection.sendall(head + body[:50_000])
    return connection, body[50_000:]


def refuses(address):
    try:
        socket.create_connection((address, 8000), timeout=1).close()
    except OSError:
        return True
    return False


def test_stop_under_load_finishes_what_is_in_flight(stack):
    gateway, server = stack.container("gateway"), stack.container("tf-serving")
    # Its own address: on a published port Docker's proxy accepts connections for a stopped gateway.
    address = min(addresses(gateway))
    connection, rest = half_sent(address)
    with Load([f"http://{address}:8000"], SEVEN, per_second=20) as load, connection:
        time.sleep(1)
        stopping = threading.Thread(target=stack.compose, args=("stop",))
        stopping.start()
        stopped = time.monotonic()
        wait_until(lambda: refuses(address), seconds=30, what="closed door")
        connection.sendall(rest)
        answer = connection.makefile("rb").read()
        stopping.join()
        taken = time.monotonic() - stopped
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert b'"seven"' in answer
    for each in (gateway, server):
        each.reload()
        assert each.attrs["State"]["ExitCode"] == 0, each.logs(tail=20).decode()
    assert taken < GRACE_SECONDS
    before = [each for each in load.samples if each.sent < stopped]
    assert len(before) > 10
    assert [each for each in before if not each.is_ok] == []
    # Afterwards nobody is let in; nobody who was let in is cut off.
    late = [each for each in load.samples if not each.is_ok]
    assert {each.error.partition(":")[0] for each in late} <= {"ConnectError", "ConnectTimeout"}
    print(f"stopped in {taken:.1f} s")  # noqa: T201 - for the notes
    stack.up()
    assert classify(stack.url(), SEVEN).status_code == 200
