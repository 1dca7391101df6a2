"""The shipped gateway in a container with its memory limit, attacked with every bomb.

The promise: what uploads and decoding may hold fits the container, so the kernel never has to
choose whom to kill.
"""

import asyncio
import json
import secrets
import time

import pytest
import uvloop

from tests.deploy.project import compose_services
from tests.docker.stack import health, url_of
from tests.load.beside import Beside
from tests.load.bombs import CPU_BOMBS, batches, corpus, pair
from tests.load.client import Client, image_request
from tests.load.report import MEGABYTE
from tests.support.bombs import BOMBS, BY_NAME
from tests.support.processes import ROOT, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]

PHOTOS_PER_SECOND = 5
BOMBS_AT_ONCE = 2
GRACE_SECONDS = 35  # stop_grace_period
PATIENCE = 3.0  # times a bomb's own seconds: this test runs on the same processors
SHIPPED = ("read_only", "cap_drop", "security_opt", "mem_limit", "pids_limit")
PEAK_FILES = (  # cgroup v2, v1
    "/sys/fs/cgroup/memory.peak",
    "/sys/fs/cgroup/memory/memory.max_usage_in_bytes",
)
KILL_FILES = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")


@pytest.fixture
def network(engine):
    made = engine.networks.create(f"sightserve-test-{secrets.token_hex(4)}")
    yield made.name
    made.remove()


@pytest.fixture
def gateway(engine, gateway_image, network):
    """With what compose gives it, in front of the fake model server in a second container."""
    fake = engine.containers.run(
        gateway_image,
        ["-m", "tests.load.fake", "0.0.0.0", "8500"],
        entrypoint="python",
        user="0",
        volumes={str(ROOT / "tests"): {"bind": "/opt/sightserve/tests", "mode": "ro"}},
        network=network,
        hostname="tf-serving",
        name=f"{network}-fake",
        detach=True,
    )
    shipped = compose_services()["gateway"]
    running = engine.containers.run(
        gateway_image,
        detach=True,
        network=network,
        ports={"8000/tcp": ("127.0.0.1", 0)},
        tmpfs={"/tmp": ""},  # noqa: S108 - the container's own
        environment={
            "GATEWAY_MODEL_SERVER_URL": f"grpc://{network}-fake:8500",
            "GATEWAY_MODEL_NAME": "fake",
        },
        **{name: shipped[name] for name in SHIPPED},
    )
    try:
        wait_until(lambda: health(running) == "healthy", "the gateway is healthy", seconds=60)
        yield running
    finally:
        for each in (running, fake):
            each.remove(force=True)


def test_every_bomb_leaves_the_container_alive_and_good_requests_answered(gateway):
    limit = gateway.attrs["HostConfig"]["Memory"]
    assert limit == 1 << 30
    exploded, beside = uvloop.run(attack(url_of(gateway, 8000)))
    gateway.reload()
    state = gateway.attrs["State"]
    assert (state["Status"], state["OOMKilled"]) == ("running", False), beside.figures
    peak = int(said(gateway, PEAK_FILES))
    print(json.dumps(beside.figures), f"peak {peak / MEGABYTE:.0f} MB")  # noqa: T201
    assert "oom_kill 0" in said(gateway, KILL_FILES)
    assert peak < limit
    assert [each for each in exploded if not each.is_right] == []
    assert [each for each in exploded if not each.is_in_time] == []
    assert beside.share_answered >= 0.99, beside.figures
    assert {each.status for each in beside.readyz} == {200}


def test_a_container_stops_in_time_while_an_image_is_computed(gateway):
    async def stop():
        attacker = Client(url_of(gateway, 8000))
        posts = [
            asyncio.create_task(attacker.ask(image_request(BY_NAME[name].make())))
            for name in CPU_BOMBS
        ]
        await asyncio.sleep(1.5)  # they are being decoded
        await asyncio.to_thread(gateway.stop, timeout=GRACE_SECONDS)
        return await asyncio.gather(*posts)

    started = time.monotonic()
    uvloop.run(stop())
    assert time.monotonic() - started < GRACE_SECONDS
    gateway.reload()
    state = gateway.attrs["State"]
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False)  # 137: killed after the grace


async def attack(url):
    async with Beside(url, rate=PHOTOS_PER_SECOND) as beside:
        exploded = await corpus(url, BOMBS, BOMBS_AT_ONCE, PATIENCE)
        exploded += await pair(url, PATIENCE)
        exploded += await batches(url)
    return exploded, beside


def said(container, paths):
    """What the first of these files says, seen from inside."""
    script = " || ".join(f"cat {path} 2>/dev/null" for path in paths)
    code, output = container.exec_run(["sh", "-c", script])
    assert code == 0, output
    return output.decode()
