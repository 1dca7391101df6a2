"""The model server goes away and comes back; the gateway says so and recovers by itself."""

import signal
import threading
import time

import httpx
import pytest

from tests.support import stack
from tests.support.processes import answers, free_ports, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_down_at_start_killed_and_restarted(protocol, digits, tmp_path):
    grpc_port, rest_port = free_ports(2)
    png, _ = digits.held_out[0]
    port = grpc_port if protocol == "grpc" else rest_port
    address = f"{protocol}://127.0.0.1:{port}"
    log = tmp_path / "gateway.log"
    with stack.gateway(address, "digits", log, is_awaited=False) as gateway:

        def classify(timeout_ms=3000):
            start = time.monotonic()
            response = httpx.post(
                f"{gateway.url}/classify",
                files={"file": ("digit.png", png)},
                headers={"X-Request-Timeout-Ms": str(timeout_ms)},
                timeout=30,
                trust_env=False,
                verify=False,  # noqa: S501 - plain HTTP; reading authorities takes 50 ms
            )
            return response, time.monotonic() - start

        def assert_is_an_outage():
            response, seconds = classify()
            assert response.status_code == 503, response.text
            assert response.headers["content-type"] == "application/problem+json"
            assert int(response.headers["retry-after"]) >= 1
            assert seconds < 8  # the deadline is 3; a hung request would take the default of 10
            assert answers(f"{gateway.url}/livez")
            # what it said a second ago, it may say again
            wait_until(lambda: answers(f"{gateway.url}/readyz", 503), seconds=10, what="a 503")

        assert_is_an_outage()
        for _ in range(2):  # the first start, and the restart after the kill
            with stack.model_server(digits.models, ports=(grpc_port, rest_port)) as server:
                wait_until(lambda: answers(f"{gateway.url}/readyz"), seconds=30, what="recovery")
                response, _ = classify(10_000)
                assert response.status_code == 200, response.text
                assert kill_mid_request(server, classify) <= {200, 503}
            assert_is_an_outage()


def kill_mid_request(server, classify):
    """Keep requests flowing while the server is killed; the statuses that were seen after it."""
    killed, before, after = threading.Event(), [], []

    def flow():
        while not killed.is_set():
            before.append(classify()[0].status_code)
        after.extend(classify()[0].status_code for _ in range(5))

    threads = [threading.Thread(target=flow) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(before) > 8, what="requests under way when the kill comes")
    server.process.send(signal.SIGKILL)
    killed.set()
    for thread in threads:
        thread.join()
    assert len(after) == 20
    return set(after)
