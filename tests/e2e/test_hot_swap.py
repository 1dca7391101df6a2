"""A new version under load: no request fails, no answer mixes two versions."""

import asyncio
import math
import time
from collections import Counter

import httpx
import pytest

from tests.support import stack
from tests.support.keras_models import save_tiny_classifier
from tests.support.pictures import encoded, photographs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

REQUESTS_PER_SECOND = 25  # through each of two gateways: 50 in all
SECONDS = 30
SWAPPED = 25  # answers of the new version through each gateway, before the load may end
# An export takes a processor for itself: photos wait for it, which is no request lost to a swap.
PATIENT = {"GATEWAY_TARGET_QUEUE_SECONDS": "5"}
GIVEN_UP = 120  # seconds after the version is out, by which it must have answered


@pytest.fixture
def publish(tmp_path):
    """Publish version `number` of "swapped", whose labels carry the number."""
    save_tiny_classifier(tmp_path / "tiny.keras")
    arguments = ["export", "--keras", str(tmp_path / "tiny.keras"), "--name", "swapped"]

    def run(number):
        labels = tmp_path / f"labels-{number}.txt"
        labels.write_text("".join(f"v{number} class {i}\n" for i in range(4)))
        return stack.export(
            *arguments, "--labels", str(labels), "--base-path", str(tmp_path / "models")
        )

    return run


async def steady_load(url, data, enough):
    """Post at a fixed rate, whatever the answers take (open loop); all responses in order.

    `enough` is asked with the responses so far before each request.
    """
    responses = []
    async with httpx.AsyncClient(
        base_url=url, timeout=30, limits=httpx.Limits(max_connections=200)
    ) as client:

        async def post():
            response = await client.post(
                "/classify", content=data, headers={"Content-Type": "image/png"}
            )
            responses.append((response.status_code, response.json()))

        async with asyncio.TaskGroup() as group:
            start, sent = time.monotonic(), 0
            while not enough(responses):
                group.create_task(post())
                sent += 1
                await asyncio.sleep(max(0, start + sent / REQUESTS_PER_SECOND - time.monotonic()))
    return responses


async def load_while(publish, urls):
    """Steady load on each URL until the new version answers there; the responses by URL.

    How long an export takes depends on the machine, and the server sees the version at its next
    poll: the load ends by what was answered, so that the swap is always inside it.
    """
    data = encoded(photographs()["cat"][:64, :64], "PNG")
    publishing = asyncio.create_task(asyncio.to_thread(publish, 2))
    start, out = time.monotonic(), math.inf

    def enough(responses):
        nonlocal out
        if not publishing.done():
            return False
        out = min(out, time.monotonic())
        newest = [body for status, body in responses[-SWAPPED:] if status == 200]
        swapped = len(newest) == SWAPPED and all(b["model"]["version"] == 2 for b in newest)
        now = time.monotonic()
        return (swapped and now > start + SECONDS) or now > out + GIVEN_UP

    responses = await asyncio.gather(*(steady_load(url, data, enough) for url in urls))
    await publishing
    return responses


@pytest.mark.anyio
async def test_a_version_published_under_load_loses_no_request(publish, tmp_path):
    await asyncio.to_thread(publish, 1)
    with (
        stack.model_server(tmp_path / "models", "--file_system_poll_wait_seconds=1") as server,
        stack.gateway(server.url("grpc"), "swapped", tmp_path / "grpc.log", **PATIENT) as over_grpc,
        stack.gateway(server.url("http"), "swapped", tmp_path / "rest.log", **PATIENT) as over_rest,
    ):
        both = await load_while(publish, [over_grpc.url, over_rest.url])
    for responses in both:
        assert Counter(status for status, _ in responses) == {200: len(responses)}
        assert len(responses) >= REQUESTS_PER_SECOND * SECONDS * 0.9
        assert {body["model"]["version"] for _, body in responses} == {1, 2}
        for _, body in responses:
            prefix = f"v{body['model']['version']} "
            assert all(each["label"].startswith(prefix) for each in body["predictions"]), body
