"""Whatever a model server answers: a problem with its name, never the gateway's own failure.

The kinds stand in `tests/support/garbage.py`. One gateway process answers for all of a protocol, so
what one kind leaves behind, a slot that is not given back, shows at the next.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.broken_front import Break
from tests.support.garbage import kinds
from tests.support.garbage_stack import PAGES, garbage_stack
from tests.support.processes import wait_until

GRPC, REST = kinds("grpc"), kinds("rest")
NAMED = {502, 503, 504}


def stack_over(protocol, tmp_path_factory, **options):
    log = tmp_path_factory.mktemp("garbage") / "gateway.log"
    return garbage_stack(protocol, log, **options)


@pytest.fixture(scope="module")
def over_grpc(tmp_path_factory):
    with stack_over("grpc", tmp_path_factory) as stack:
        yield stack


@pytest.fixture(scope="module")
def over_rest(tmp_path_factory):
    with stack_over("rest", tmp_path_factory) as stack:
        yield stack


def faults(stack, kind):
    """Of all pages, where they do not have to wait for a silent server until their deadlines."""
    is_silent = kind.grpc_break is not None or kind.rest_break is not None
    return stack.throw(kind, pages=["/healthz"] if is_silent else PAGES).faults


def test_there_are_many_kinds():
    assert len(GRPC) >= 96
    assert len(REST) >= 96


@pytest.mark.parametrize("kind", GRPC, ids=lambda kind: kind.name)
def test_garbage_over_grpc_is_never_500_and_leaves_nothing_behind(over_grpc, kind):
    assert faults(over_grpc, kind) == []


@pytest.mark.parametrize("kind", REST, ids=lambda kind: kind.name)
def test_garbage_over_rest_is_never_500_and_leaves_nothing_behind(over_rest, kind):
    assert faults(over_rest, kind) == []


def test_connections_that_drip_for_ever_keep_no_slots(over_rest):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"
    over_rest.front.break_with(Break(reply=answer, end="drip"))
    with ThreadPoolExecutor() as clients:
        asked = [clients.submit(over_rest.classify) for _ in range(8)]
    # 429: a call is known to take its whole deadline by then.
    assert {each.result().status_code for each in asked} <= {429, *NAMED}
    over_rest.front.break_with(None, ends=False)  # they drip on, those that come are good
    wait_until(lambda: over_rest.classify().status_code == 200, "a free slot", seconds=20)


@pytest.mark.parametrize("end", ["close", "reset", "hang", "drip"])
@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_a_good_address_beside_a_broken_one_answers_for_both(protocol, end, tmp_path_factory):
    with stack_over(protocol, tmp_path_factory, is_pair=True) as stack:
        stack.front.break_with(Break(reply=b"HTTP/1.1 200 OK", end=end))
        statuses = [stack.classify().status_code for _ in range(20)]
        assert set(statuses) <= {200, *NAMED}
        # Silence takes some deadlines to be believed; then nobody is sent there any more.
        assert statuses[-10:] == [200] * 10
        assert "never retrieved" not in stack.made.process.output
