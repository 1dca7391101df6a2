"""The scripts' attacks in short, against a real gateway process: what they claim holds here too."""

import os
import sys
from pathlib import Path

import pytest
import uvloop

from tests.load import bombs, http, soak
from tests.load.beside import Beside
from tests.load.process_tree import PeakMemory
from tests.load.report import MEGABYTE
from tests.load.running import target
from tests.support.bombs import BY_NAME
from tests.support.processes import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

# Another working tree: whether these tests fail on the code of yesterday.
TREE = Path(os.environ.get("LOAD_TREE", ROOT))
PATIENCE = 4.0  # times a bomb's own seconds: other tests run on the same processors
BOMBS = (
    "webp-38-bytes", "png-rgba-64mp", "jpeg-progressive-20mb-of-scans",
    "jpeg-progressive-319kb-of-scans", "jpeg-20mb-of-padding", "bmp-rle-ones",
)  # fmt: skip
ATTACKS = {
    "header_lines": 0.2, "one_header": 0.3, "trailers": 0.05, "announced_lengths": 0.3,
    "slow_bodies": 1.0, "pipeline": 0.1, "never_reading": 0.1,
}  # fmt: skip


@pytest.fixture
def gateway():
    with target(model="fake", tree=TREE) as running:
        yield running


def test_bombs_are_refused_beside_honest_clients_and_sigterm_ends_one(gateway):
    async def attack():
        async with Beside(gateway.url, rate=5) as beside:
            exploded = await bombs.corpus(
                gateway.url, [BY_NAME[name] for name in BOMBS], at_once=2, patience=PATIENCE
            )
            exploded += await bombs.batches(gateway.url)
        return exploded, beside

    with PeakMemory(gateway.pid) as peak:
        exploded, beside = uvloop.run(attack())
    assert [each for each in exploded if not (each.is_right and each.is_in_time)] == []
    assert beside.share_answered >= 0.99, beside.figures
    assert {each.status for each in beside.livez + beside.readyz} == {200}
    assert peak.bytes < 1074 * MEGABYTE
    assert [each for each in uvloop.run(bombs.stop(gateway)) if not each.is_met] == []


@pytest.mark.parametrize("name", ATTACKS)
def test_abuse_of_http_costs_little_and_nobody_else_notices(gateway, name):
    result = http.attack(gateway, name, scale=ATTACKS[name], rate=5)
    assert result.growth_mb < 60, result
    assert result.kept_mb < 30, result
    assert result.kept_descriptors < 20, result
    assert result.share_answered >= 0.95, result
    assert result.livez_max_seconds < 5, result
    assert result.recovery_seconds < 5, result


def test_good_and_bad_clients_together_leave_nothing_behind(gateway):
    checks, figures = soak.soak(gateway, minutes=0.2, rate=5, bad_rate=5)
    assert [each for each in checks if not each.is_met] == [], figures
