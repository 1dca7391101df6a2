"""Memory is refused with figures before the kernel kills without words."""

import pytest

from exporter.errors import FailedError
from exporter.memory import memory_limit_bytes, require_memory
from tests.support.variants import Notes


def said(weight_bytes, limit):
    notes = Notes()
    require_memory(weight_bytes, notes, limit)
    return notes.notes


def test_what_cannot_fit_is_refused_with_the_figures():
    with pytest.raises(FailedError, match=r"^528 MB .* between 2\.5 and 5\.2 GB .* 2\.0"):
        said(528_000_000, 2_000_000_000)


def test_what_may_not_fit_is_said():
    (text,) = said(102_000_000, 2_000_000_000)
    assert text == "102 MB of weights may need up to 2.6 GB, and there are 2.0 GB"


@pytest.mark.parametrize("limit", [None, 8_000_000_000])
def test_enough_memory_is_no_words(limit):
    assert said(102_000_000, limit) == []


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"meminfo": "MemTotal:  2000 kB\nMemFree: 1 kB\n"}, 2_048_000),
        ({"meminfo": "MemTotal:  2000 kB\n", "memory.max": "1000000\n"}, 1_000_000),
        ({"meminfo": "MemTotal:  2000 kB\n", "memory.max": "max\n"}, 2_048_000),
        ({"memory/memory.limit_in_bytes": "9223372036854771712\n"}, None),
        ({"memory/memory.limit_in_bytes": "3000000\n"}, 3_000_000),
    ],
)
def test_the_limit_is_the_containers_or_the_machines(tmp_path, files, expected):
    (tmp_path / "memory").mkdir()
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert memory_limit_bytes(tmp_path, tmp_path / "meminfo") == expected
