"""A short soak; bench/serving_soak.py does a thousand swaps."""

from __future__ import annotations

import pytest

from tests.support.swaps import soak


@pytest.mark.parametrize("engine", ["tensorflow", "openvino"])
def test_swaps_under_load_fail_no_request_and_keep_no_memory(tmp_path, engine):
    result = soak(tmp_path, swaps=16, clients=2, engine=engine)
    assert result.failures == []
    assert result.answers > 16
    # Loading once takes more than a megabyte: a leak of every version would show.
    assert result.resident_bytes[-1] - result.half_way_bytes < 40 << 20
