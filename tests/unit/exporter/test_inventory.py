"""What is on disk, ours or not."""

import pytest

from exporter.errors import UsageError
from exporter.store import inventory


@pytest.fixture
def models(tmp_path):
    for name in ("m/1", "m/10", "m/2", "m/.staging-1/1", "n/7", "empty", "notes"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "m" / "10" / "saved_model.pb").write_bytes(b"12345")
    return tmp_path


def test_models_come_by_name_and_versions_highest_first(models):
    found = [(each.model_name, each.version) for each in inventory.scan(models)]
    assert found == [("m", 10), ("m", 2), ("m", 1), ("n", 7)]


def test_the_highest_version_is_found_by_default(models):
    found = inventory.find(models, "m")
    assert (found.version, found.size_bytes, found.card) == (10, 5, None)


def test_what_is_not_there_is_said_with_what_is(models):
    with pytest.raises(UsageError, match="m has no version 3; there are: 1, 2, 10"):
        inventory.find(models, "m", 3)
    with pytest.raises(UsageError, match="there is no version of 'empty' below"):
        inventory.find(models, "empty")


def test_a_damaged_card_is_no_card(models):
    (models / "n" / "7" / "assets.extra").mkdir()
    (models / "n" / "7" / inventory.CARD_FILE).write_text('{"model_name": 3}')
    assert inventory.find(models, "n").card is None


def test_a_base_path_that_does_not_exist_is_empty(tmp_path):
    assert list(inventory.scan(tmp_path / "nowhere")) == []
