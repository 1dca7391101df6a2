"""A version comes and goes back under load, by label and by publishing again: no request fails."""

from collections import Counter

import pytest

from tests.load import release
from tests.support import fixture_models

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

REQUESTS_PER_SECOND = 20  # python -m tests.load.release shows it at 50


@pytest.mark.parametrize(("scene", "versions"), [("one move", {1, 2}), ("republications", {2, 3})])
def test_no_request_fails_while_versions_come_and_go(
    tmp_path, tmp_path_factory, worker_id, scene, versions
):
    built = fixture_models.shared(tmp_path_factory, worker_id)
    answers = release.scene(scene, REQUESTS_PER_SECOND, tmp_path, built)
    assert Counter(answer.outcome for answer in answers) == {"200": len(answers)}
    assert len(answers) > 100
    assert set(release.versions_of(answers)) == versions
