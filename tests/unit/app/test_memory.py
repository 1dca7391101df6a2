"""The promise about memory: it fits the shipped container, and is held against any other."""

from __future__ import annotations

import re

import pytest
import yaml

from app.container import memory_limit_bytes, usable_cpus
from app.memory import promised_bytes, shortage
from app.settings.gateway import Settings
from tests.support.processes import ROOT

GIBIBYTE = 1 << 30


def settings(**changes):
    return Settings(model_name="m", **changes)


@pytest.mark.parametrize("workers", [1, 2, 4, 8])
def test_the_defaults_fit_the_shipped_container(workers):
    assert shortage(settings(decode_workers=workers), GIBIBYTE) is None


def test_the_shipped_containers_have_that_limit():
    deployment = yaml.safe_load((ROOT / "k8s/base/gateway/deployment.yaml").read_text())
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["memory"] == "1Gi"
    assert "mem_limit: ${GATEWAY_MEMORY:-1g}" in (ROOT / "docker-compose.yml").read_text()


def test_the_default_never_starts_more_workers_than_the_promise_counts():
    assert 1 <= settings().decode_workers <= 8


def test_every_setting_of_the_formula_counts():
    base = promised_bytes(settings(decode_workers=1))
    assert promised_bytes(settings(decode_workers=2)) - base == 16_000_000
    for name in ("max_buffered_bytes", "decode_memory_bytes"):
        value = getattr(settings(), name) + 5
        assert promised_bytes(settings(decode_workers=1, **{name: value})) - base == 5


def test_further_workers_count_with_all_that_they_have_by_default():
    one, two, three = (promised_bytes(settings(workers=n, decode_workers=4)) for n in (1, 2, 3))
    each = 160_000_000 + 512_000_000 + 230_000_000 + 1024 * 40_000
    assert (two - one, three - two) == (each + 60_000_000, each)
    set_for_all = {"decode_memory_bytes": 10**9, "max_buffered_bytes": 10**9, "max_connections": 9}
    one, two = (
        promised_bytes(settings(workers=n, decode_workers=4, **set_for_all)) for n in (1, 2)
    )
    assert two - one == 220_000_000


def test_a_lower_limit_is_said_with_both_figures():
    message = shortage(settings(decode_workers=2), 512_000_000)
    assert re.search(r"limit of 512 MB is below the 974 MB", message)
    assert shortage(settings(), None) is None


@pytest.mark.parametrize(
    ("files", "cpus", "memory"),
    [
        ({}, None, None),
        ({"cpu.max": "max 100000", "memory.max": "max"}, None, None),
        ({"cpu.max": "50000 100000", "memory.max": "1073741824"}, 1, 1073741824),
        ({"cpu.max": "nonsense", "memory.max": "nonsense"}, None, None),
        ({"memory/memory.limit_in_bytes": "512"}, None, 512),
        ({"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 1, None),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None, None),
        ({"cpu/cpu.cfs_quota_us": "50000"}, None, None),
        ({"memory/memory.limit_in_bytes": "9223372036854771712"}, None, None),
    ],
)
def test_limits_of_the_container(tmp_path, files, cpus, memory):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert usable_cpus(tmp_path) == (cpus or usable_cpus())
    assert memory_limit_bytes(tmp_path) == memory
