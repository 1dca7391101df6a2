"""A model server that is down, dies, hangs, refuses or is too slow; and too much work."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from app.model_server import replica
from tests.support.fake_model_server import FakeModelServer, FakeVersion, running_fake
from tests.support.gateway import client_for, running_gateway, wait_until
from tests.support.raw_http import RawConnection

SOON_SECONDS = 20
"""What takes a second or two; half a minute and more would be a wait for some timeout."""


def problem(response):
    assert response.headers["Content-Type"] == "application/problem+json"
    return response.status_code, response.json()["type"].rsplit("/", 1)[-1]


def is_ready(gateway):
    return gateway.client.get("/readyz").status_code == 200


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_without_a_model_server_the_gateway_runs_and_says_so(scheme, photo):
    with running_gateway(f"{scheme}://127.0.0.1:{closed_port()}") as gateway:
        assert gateway.client.get("/livez").status_code == 200
        for response in (
            gateway.client.get("/readyz"),
            gateway.classify(photo),
            gateway.client.get("/models/demo"),
        ):
            assert response.status_code == 503
            assert int(response.headers["Retry-After"]) >= 1
        started_at = time.monotonic()
        assert problem(gateway.classify(photo)) == (503, "model-server-unavailable")
        assert time.monotonic() - started_at < 10


def test_a_model_server_that_starts_later_is_found(photo):
    fake = FakeModelServer()
    fake.models["demo"] = {1: FakeVersion()}
    port = closed_port()
    with running_gateway(f"grpc://127.0.0.1:{port}") as gateway:
        assert gateway.classify(photo).status_code == 503
        fake.start(port=port)
        try:
            wait_until(lambda: is_ready(gateway), "ready", seconds=SOON_SECONDS)
            assert gateway.classify(photo).status_code == 200
        finally:
            fake.stop()


def test_killed_mid_request_is_503_and_ready_again_after_the_restart(fake, gateway, photo):
    gateway.classify(photo)
    fake.models["demo"][1].delay_seconds = 60.0
    with ThreadPoolExecutor(1) as thread:
        pending = thread.submit(gateway.classify, photo)
        wait_until(lambda: len(fake.batch_sizes) == 2, "the call arrives")
        fake.stop()
        response = pending.result()
    assert problem(response) == (503, "model-server-unavailable")
    assert response.headers["Retry-After"] == "1"
    wait_until(lambda: not is_ready(gateway), "not ready", seconds=SOON_SECONDS)
    fake.models["demo"][1].delay_seconds = 0.0
    fake.start(port=fake.port)
    wait_until(lambda: is_ready(gateway), "ready again", seconds=SOON_SECONDS)
    assert gateway.classify(photo).status_code == 200


def test_a_lost_address_costs_no_request_while_another_answers(photo):
    with (
        running_fake(demo={1: FakeVersion()}) as first,
        running_fake(demo={1: FakeVersion()}) as second,
        running_gateway(f"{first.url},{second.url}") as gateway,
    ):
        for _ in range(4):
            assert gateway.classify(photo).status_code == 200
        first.stop()
        for _ in range(10):
            assert gateway.classify(photo).status_code == 200
        metrics = gateway.client.get("/metrics").text
        assert "gateway_model_server_ejections_total 1.0" in metrics
        answered = len(first.batch_sizes)
        first.start(port=first.port)
        second.models["demo"][1].delay_seconds = 0.2  # now the idle one is less loaded

        def first_is_back():
            with ThreadPoolExecutor(4) as threads:
                list(threads.map(lambda _: gateway.classify(photo), range(4)))
            return len(first.batch_sizes) > answered

        wait_until(first_is_back, "the address is used again", seconds=SOON_SECONDS)


@pytest.mark.parametrize(
    ("code", "expected", "calls"),
    [
        (grpc.StatusCode.INTERNAL, (502, "model-server-error"), 1),
        (grpc.StatusCode.UNKNOWN, (502, "model-server-error"), 1),
        (grpc.StatusCode.INVALID_ARGUMENT, (502, "refused-by-model-server"), 2),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, (429, "overloaded"), 1),
        (grpc.StatusCode.UNAVAILABLE, (503, "model-server-unavailable"), 2),
        (grpc.StatusCode.DEADLINE_EXCEEDED, (504, "deadline-exceeded"), 1),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_each_failure_has_its_problem_and_only_two_are_retried(
    fake, gateway, photo, code, expected, calls
):
    fake.models["demo"][1].fault = (code, "/models/secret.pb line 3")
    response = gateway.classify(photo)
    assert problem(response) == expected
    assert ("Retry-After" in response.headers) == (expected[0] in {429, 503})
    assert "secret" not in response.text
    assert fake.calls["predict"] == calls


def test_a_refusal_by_a_version_that_is_gone_by_then_loses_nothing(fake, gateway, photo):
    version = fake.models["demo"][1]
    faults = iter([(grpc.StatusCode.INVALID_ARGUMENT, "another size")])
    fake.before_predict = lambda: setattr(version, "fault", next(faults, None))
    assert gateway.classify(photo).status_code == 200
    assert fake.calls["predict"] == 2


def test_refused_files_of_a_batch_are_counted_as_refused_requests_are(fake, gateway, photo):
    fake.models["demo"][1].fault = (grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
    answer = gateway.client.post("/classify/batch", files=[("files", photo)] * 3)
    assert {item["problem"]["status"] for item in answer.json()["results"]} == {429}
    assert gateway.classify(photo).status_code == 429
    assert (
        'gateway_refusals_total{reason="model_server"} 4.0' in gateway.client.get("/metrics").text
    )


def test_retries_have_a_budget(fake, gateway, photo):
    gateway.classify(photo)
    fake.models["demo"][1].fault = (grpc.StatusCode.UNAVAILABLE, "full")
    before = fake.calls["predict"]
    for _ in range(300):
        gateway.classify(photo)
    retries = fake.calls["predict"] - before - 300
    assert 128 <= retries <= (128 + 0.2 * 300) / 0.8


def test_an_answer_that_is_no_number_is_a_bad_gateway(fake, gateway, photo):
    fake.models["demo"][1].probability = float("nan")
    assert problem(gateway.classify(photo)) == (502, "model-server-error")


def test_a_slow_model_is_504_at_the_deadline(fake, gateway, photo):
    assert gateway.classify(photo).status_code == 200
    fake.models["demo"][1].delay_seconds = 60.0
    started_at = time.monotonic()
    response = gateway.client.post(
        "/classify", files={"file": photo}, headers={"X-Request-Timeout-Ms": "1500"}
    )
    assert problem(response) == (504, "deadline-exceeded")
    # The system tells when a request arrived to a tick of its own clock (10 ms at most). Above: the
    # default deadline.
    assert 1.49 <= time.monotonic() - started_at < 10


def test_a_model_server_that_hangs_is_refused_at_once_until_it_has_healed(fake, photo, monkeypatch):
    monkeypatch.setattr(replica, "_SILENT_SECONDS", 0.0)  # its statuses go on
    with running_gateway(fake.url) as gateway:
        assert gateway.classify(photo).status_code == 200

        def ask():
            headers = {"X-Request-Timeout-Ms": "1200"}
            return gateway.client.post("/classify", files={"file": photo}, headers=headers)

        with fake.held():
            assert [problem(ask()) for _ in range(3)] == [(504, "deadline-exceeded")] * 3
            wait_until(lambda: ask().status_code == 503, "it is suspected")
            refused = [ask() for _ in range(4)]  # a trial may be among them
        refused = [each for each in refused if each.status_code == 503]
        assert len(refused) >= 3
        assert {each.headers["Retry-After"] for each in refused} == {"1"}
        wait_until(lambda: ask().status_code == 200, "it is used again", seconds=SOON_SECONDS)


def test_a_wait_beyond_the_deadline_is_refused_at_once(fake, photo):
    version = fake.models["demo"][1]
    with (
        running_gateway(fake.url, max_batch_size=1, max_in_flight_batches=1) as gateway,
        ThreadPoolExecutor(8) as threads,
    ):

        def ask(timeout_ms):
            headers = {"X-Request-Timeout-Ms": str(timeout_ms)}
            return gateway.client.post("/classify", files={"file": photo}, headers=headers)

        version.delay_seconds = 3.0  # from now on it is known for that
        assert gateway.classify(photo).status_code == 200
        version.delay_seconds = 0.0
        with fake.held():
            patient = [threads.submit(ask, 30_000) for _ in range(2)]
            wait_until(lambda: gateway.services.admission.images == 2, "one runs, one waits")
            answers = list(threads.map(ask, [3000] * 6))  # the wait is as long, and then its own
        assert [future.result().status_code for future in patient] == [200, 200]
        for answer in answers:
            assert problem(answer) == (429, "overloaded")
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.elapsed.total_seconds() < 2  # well before the deadline


def test_more_images_than_the_queue_holds_are_refused(fake, photo):
    with (
        running_gateway(fake.url, max_queue=2) as gateway,
        ThreadPoolExecutor(6) as threads,
    ):
        with fake.held():
            futures = [threads.submit(gateway.classify, photo) for _ in range(6)]
            wait_until(lambda: sum(future.done() for future in futures) == 4, "four are refused")
        statuses = sorted(future.result().status_code for future in futures)
        assert statuses == [200, 200, 429, 429, 429, 429]


def test_a_batch_takes_the_places_there_are_and_its_images_one_after_another(fake, photo):
    with running_gateway(fake.url, max_queue=1) as gateway:
        files = [("files", (f"{number}.png", photo)) for number in range(3)]
        answer = gateway.client.post("/classify/batch", files=files)
        assert answer.status_code == 200
        results = answer.json()["results"]
        assert [each["file"] for each in results] == ["0.png", "1.png", "2.png"]
        assert all(each["predictions"] for each in results)
        assert fake.batch_sizes == [1, 1, 1]


def test_an_overload_is_no_outage(fake, photo):
    """The model takes 0.3 s for an image, one batch after another: a batch of 32 took 10 s."""
    fake.models["demo"][1].item_seconds = 0.3
    with (
        running_gateway(fake.url) as gateway,
        client_for(gateway.url) as prober,
        ThreadPoolExecutor(40) as threads,
    ):
        gateway.classify(photo)
        end = time.monotonic() + 5

        def ask(_):
            # a client each: httpx closes what was idle for 5 s under other threads' hands
            with client_for(gateway.url) as client:
                while time.monotonic() < end:
                    client.post("/classify", files={"file": photo})

        flood = threads.map(ask, range(40))
        probes = []
        while time.monotonic() < end:
            probes.append(prober.get("/readyz").status_code)
            time.sleep(0.2)
        list(flood)
    assert set(probes) == {200}
    assert max(fake.batch_sizes) < 8


def test_uploads_beyond_the_memory_for_them_are_refused(fake):
    with running_gateway(
        fake.url,
        max_body_bytes=2_000_000,
        max_batch_body_bytes=2_000_000,
        max_buffered_bytes=3_000_000,
    ) as gateway:
        host, port = gateway.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(
                b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
                b"Content-Length: 1900001\r\n\r\n" + bytes(1_900_000)
            )
            wait_until(lambda: gateway.services.buffers.bytes == 1_900_000, "it is held")
            headers = {"Content-Type": "image/jpeg"}
            refused = gateway.client.post("/classify", content=bytes(1_500_000), headers=headers)
            assert problem(refused) == (429, "overloaded")
        wait_until(lambda: gateway.services.buffers.bytes == 0, "it is given back")
        line = 'gateway_refusals_total{reason="uploads"} 1.0'
        wait_until(
            lambda: line in gateway.services.metrics.exposition().decode(), "it is counted"
        )  # which is after the answer has left


def test_a_body_that_stalls_is_ended_at_the_deadline(gateway):
    host, port = gateway.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(
            b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
            b"X-Request-Timeout-Ms: 100\r\nContent-Length: 1000\r\n\r\nabc"
        )
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"did not arrive within the deadline" in answer


def test_a_client_that_leaves_frees_its_place(fake, photo):
    lines = [b"POST /classify HTTP/1.1", b"Host: x", b"Content-Type: image/jpeg"]
    lines += [b"X-Request-Timeout-Ms: 60000", b"Content-Length: %d" % len(photo), b"", photo]
    with running_gateway(fake.url) as gateway, fake.held():
        with RawConnection(gateway.url) as impatient:
            impatient.send(b"\r\n".join(lines))
            wait_until(lambda: fake.calls.get("predict"), "the model is asked")
            assert gateway.services.admission.images == 1
        wait_until(
            lambda: gateway.services.admission.images == 0, "it is free", seconds=SOON_SECONDS
        )
        assert 'status="499"' in gateway.client.get("/metrics").text


def test_a_model_that_is_loading_is_503_not_404(fake, gateway, photo):
    fake.models["demo"] = {1: FakeVersion(state="LOADING")}
    response = gateway.classify(photo)
    assert problem(response) == (503, "model-not-ready")
    assert response.headers["Retry-After"] == "1"
    fake.models["demo"][1].state = "AVAILABLE"
    assert gateway.classify(photo).status_code == 200
