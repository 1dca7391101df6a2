"""Model servers on different versions behind one gateway: none lost, none answered by a mixture."""

import pytest

from tests.load import replicas
from tests.load.replicas import How
from tests.support import colour_versions

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# Over both gateways. python -m tests.load.replicas has more scenes, at 40, of minutes each.
REQUESTS_PER_SECOND = 16


@pytest.fixture(scope="session")
def variants(tmp_path_factory, worker_id):
    base = tmp_path_factory.getbasetemp()
    return colour_versions.build((base if worker_id == "master" else base.parent) / "colours")


@pytest.mark.parametrize(
    ("scene", "how", "versions"),
    [
        ("staggered", {"changes": 8, "pause_seconds": 0.5}, 2),
        ("restarted", {"changes": 1}, 1),
    ],
)
def test_whatever_the_replicas_do_every_request_is_answered_by_one_version(
    tmp_path, variants, scene, how, versions
):
    results = replicas.run(scene, tmp_path, variants, How(rate=REQUESTS_PER_SECOND, **how))
    assert [each.protocol for each in results] == ["grpc", "http"]
    for each in results:
        assert each.troubles == []
        assert each.outcomes == {"200": each.requests}
        assert each.versions >= versions
        assert each.probes > 10
