"""The gateway stays small, whatever it has answered."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest

from tests.support import stack
from tests.support.pictures import encoded, photographs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MEGABYTE = 1_000_000


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_resident_memory_stays_under_120_megabytes(protocol, digits_server, tmp_path):
    photos = [encoded(pixels) for pixels in photographs().values()]
    log = tmp_path / "gateway.log"
    with stack.gateway(digits_server.url(protocol), "digits", log) as gateway:
        with httpx.Client(base_url=gateway.url, timeout=60) as client:

            def post(number):
                return client.post(
                    "/classify",
                    content=photos[number % len(photos)],
                    headers={"Content-Type": "image/jpeg"},
                ).status_code

            with ThreadPoolExecutor(16) as pool:
                assert set(pool.map(post, range(1000))) == {200}
        assert psutil.Process(gateway.process.pid).memory_info().rss < 120 * MEGABYTE
