"""Settings: from the environment, within bounds, and documented."""

from pathlib import Path

import pytest

from exporter.errors import UsageError
from exporter.settings import Settings, load_settings

PAGE = Path(__file__).resolve().parents[3] / "docs" / "exporter.md"


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("EXPORTER_MAX_BATCH_SIZE", "8")
    assert load_settings().max_batch_size == 8


def test_a_value_out_of_bounds_is_named_with_its_variable(monkeypatch):
    monkeypatch.setenv("EXPORTER_MAX_BATCH_SIZE", "0")
    with pytest.raises(UsageError, match="EXPORTER_MAX_BATCH_SIZE: Input should be greater"):
        load_settings()


@pytest.mark.parametrize(("name", "field"), Settings.model_fields.items())
def test_each_is_described_and_documented_with_its_default(name, field):
    assert field.description
    default = f"`{field.default}`" if field.default not in {"", None} else "(empty)"
    assert f"| `EXPORTER_{name.upper()}` | {default} |" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("bound", ["0", "inf", "nan", "-1"])
def test_a_parity_bound_that_bounds_nothing_is_refused(monkeypatch, bound):
    monkeypatch.setenv("EXPORTER_PARITY_BOUND", bound)
    with pytest.raises(UsageError, match="EXPORTER_PARITY_BOUND: Input should be"):
        load_settings()


def test_the_largest_source_is_given_in_gigabytes(monkeypatch):
    monkeypatch.setenv("EXPORTER_MAX_SOURCE_GB", "0.5")
    assert load_settings().max_source_bytes == 500_000_000
    monkeypatch.setenv("EXPORTER_MAX_SOURCE_GB", "inf")
    with pytest.raises(UsageError, match="EXPORTER_MAX_SOURCE_GB"):
        load_settings()
