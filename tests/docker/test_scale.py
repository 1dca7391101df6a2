"""Two model servers behind two gateways: traffic reaches both, and one may fall."""

import time

import pytest

from tests.docker import metric_names
from tests.docker.load import Load
from tests.docker.stack import ENGLISH, GERMAN, SEVEN, url_of
from tests.support.processes import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

OVERRIDE = ("tests/docker/scale.yml",)
EJECTIONS = "gateway_model_server_ejections_total"
CALLS = ":tensorflow:serving:request_latency_count"
BOUND_SECONDS = 5.0


@pytest.fixture(scope="module")
def pair(stack):
    """The stack with two of each; one of each afterwards."""
    stack.up(files=OVERRIDE)
    for each in stack.containers("tf-serving"):
        stack.wait_healthy(each)
    yield stack
    stack.up("--scale", "tf-serving=1", "--scale", "gateway=1")


def total(url, metric, **wanted):
    return sum(
        value
        for name, labels, value in metric_names.scrape(url)
        if name == metric and wanted.items() <= labels.items()
    )


def calls(server):
    """How many gRPC requests, the gateways' that is, a model server has answered."""
    url = f"{url_of(server, 8501)}/monitoring/prometheus/metrics"
    return total(url, CALLS, entrypoint="GRPC")


def gateway_urls(pair):
    return [url_of(each, 8000) for each in pair.containers("gateway")]


def ejections(urls):
    return [total(f"{url}/metrics", EJECTIONS) for url in urls]


def is_used(server, since):
    return calls(server) > since + 10  # more than health checks make in so short a time


def wait_until_both_are_used(servers):
    before = [calls(each) for each in servers]
    for server, count in zip(servers, before, strict=True):
        wait_until(lambda s=server, c=count: is_used(s, c), seconds=30, what="use of both")


def failures(samples, since, until=float("inf")):
    return [each for each in samples if not each.is_ok and since <= each.sent < until]


def test_traffic_reaches_both_model_servers_through_both_gateways(pair):
    servers, urls = pair.containers("tf-serving"), gateway_urls(pair)
    assert (len(servers), len(urls)) == (2, 2)
    images = "gateway_images_total"
    before = [calls(each) for each in servers]
    images_before = [total(f"{url}/metrics", images) for url in urls]
    with Load(urls, SEVEN, per_second=40) as load:
        time.sleep(5)
    shares = [calls(each) - count for each, count in zip(servers, before, strict=True)]
    answered = [
        total(f"{url}/metrics", images) - count
        for url, count in zip(urls, images_before, strict=True)
    ]
    print(f"calls per model server {shares}, images per gateway {answered}")  # noqa: T201 - notes
    assert [each for each in load.samples if not each.is_ok] == []
    assert min(answered) >= 0.4 * sum(answered)
    assert sum(shares) >= 100
    assert min(shares) >= 0.2 * sum(shares)


def test_a_publish_and_a_rollback_lose_nothing_though_the_servers_swap_apart(pair):
    """Both read one volume at times of their own: for seconds they serve different versions."""
    urls = gateway_urls(pair)
    with Load(urls, SEVEN, per_second=40) as load:
        time.sleep(2)
        pair.compose(
            *("run", "--rm", "exporter", "export", "--keras=/weights/flowers.keras"),
            *("--labels=/weights/labels.txt", "--name=classifier", "--base-path=/models"),
        )
        wait_until(lambda: recent_versions(load) == {2}, seconds=90, what="version 2 alone")
        pair.compose(*("run", "--rm", "exporter", "quarantine", "classifier", "2"))
        wait_until(lambda: recent_versions(load) == {1}, seconds=90, what="version 1 alone")
        time.sleep(2)
    pair.compose(
        *("run", "--rm", "--entrypoint", "rm", "exporter"),
        *("-r", "/models/classifier/.quarantined-2"),
    )
    print(f"{len(load.samples)} requests across publish and rollback")  # noqa: T201 - for the notes
    assert [each for each in load.samples if not each.is_ok] == []
    labels = {1: set(ENGLISH), 2: set(GERMAN)}
    mixed = [each for each in load.samples if each.label not in labels[each.version]]
    assert mixed == []


def recent_versions(load):
    """Of the last two seconds."""
    return {each.version for each in load.samples[-80:]}


def test_a_killed_model_server_is_ejected_and_used_again_after_its_return(pair):
    victim, other = pair.containers("tf-serving")
    urls = gateway_urls(pair)
    with Load(urls, SEVEN, per_second=40) as load:
        wait_until_both_are_used([victim, other])
        before, killed = ejections(urls), time.monotonic()
        victim.kill()
        wait_until(
            lambda: all(a > b for a, b in zip(ejections(urls), before, strict=True)),
            seconds=15,
            what="ejection by both gateways",
        )
        ejected = time.monotonic()
        time.sleep(3)
        victim.start()
        pair.wait_healthy(victim)
        returned, count = time.monotonic(), calls(victim)
        wait_until(lambda: is_used(victim, count), seconds=15, what="use of the restarted server")
        used = time.monotonic()
    lost = failures(load.samples, killed, ejected)
    print(  # noqa: T201 - for the notes
        f"{len(lost)} of {len(load.samples)} requests lost before the ejection,"
        f" {ejected - killed:.2f} s after the kill;"
        f" used again {used - returned:.2f} s after healthy"
    )
    assert failures(load.samples, ejected) == []
    assert failures(load.samples, 0, killed) == []
    assert used - returned < BOUND_SECONDS


def test_a_model_server_cut_off_from_the_network_is_left_and_used_again_within_five_seconds(pair):
    victim, other = pair.containers("tf-serving")
    network = pair.client.networks.get(f"{pair.project}_model-server")
    urls = gateway_urls(pair)
    with Load(urls, SEVEN, per_second=40) as load:
        wait_until_both_are_used([victim, other])
        cut = time.monotonic()
        network.disconnect(victim)
        time.sleep(BOUND_SECONDS)
        steady = time.monotonic()
        time.sleep(8)
        connected = time.monotonic()
        network.connect(victim, aliases=["tf-serving"])
        count = calls(victim)
        wait_until(lambda: is_used(victim, count), seconds=15, what="use of the server again")
        used = time.monotonic()
    lost = failures(load.samples, cut)
    last = max((each.sent - cut for each in lost), default=0.0)
    print(  # noqa: T201 - for the notes
        f"{len(lost)} of {len(load.samples)} requests lost, the last sent {last:.2f} s after the"
        f" cut; used again {used - connected:.2f} s after reconnecting"
    )
    assert failures(load.samples, steady) == []
    assert used - connected < BOUND_SECONDS
