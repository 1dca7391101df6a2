"""What a word on the command line means; no TensorFlow is needed to tell."""

import pytest

from exporter.errors import FailedError, UsageError
from exporter.measure.targets import find_target
from exporter.store.inventory import CARD_FILE
from exporter.store.version_numbers import split_version


@pytest.fixture
def models(tmp_path):
    for version in ("1", "2"):
        folder = tmp_path / "models" / "digits" / version
        folder.mkdir(parents=True)
        (folder / "saved_model.pb").write_bytes(b"x" * 10)
    return tmp_path / "models"


def test_a_name_is_the_highest_version(models):
    found = find_target("digits", models)
    assert (found.kind, found.path, found.size_bytes) == ("published", models / "digits" / "2", 10)


def test_a_version_behind_a_colon(models):
    assert find_target("digits:1", models).path == models / "digits" / "1"


def test_a_version_that_is_not_there(models):
    with pytest.raises(UsageError, match="digits has no version 7; there are: 1, 2"):
        find_target("digits:7", models)


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.hdf5"])
def test_a_keras_file(models, tmp_path, name):
    (tmp_path / name).write_bytes(b"123")
    found = find_target(str(tmp_path / name), models)
    assert (found.kind, found.size_bytes) == ("keras", 3)


def test_a_keras_file_that_is_not_there(models):
    with pytest.raises(UsageError, match="there is no such file"):
        find_target("nowhere.keras", models)


def test_a_saved_model_folder_with_its_whole_size(models):
    folder = models / "digits" / "1"
    (folder / "variables").mkdir()
    (folder / "variables" / "data").write_bytes(b"12345")
    found = find_target(str(folder), models)
    assert (found.kind, found.size_bytes) == ("saved_model", 15)


def test_the_folder_of_a_version_of_ours_is_that_version(models):
    folder = models / "digits" / "1"
    (folder / CARD_FILE).parent.mkdir()
    (folder / CARD_FILE).write_text("{}")
    found = find_target(str(folder), models.parent)
    assert (found.kind, found.published.model_name, found.published.version) == (
        "published", "digits", 1,
    )  # fmt: skip
    with pytest.raises(FailedError, match="named by its number"):
        find_target(str(folder.rename(models / "digits" / "first")), models.parent)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("digits:3", ("digits", 3)),
        ("digits", ("digits", None)),
        ("digits:canary", ("digits:canary", None)),
        ("digits:-3", ("digits:-3", None)),
        ("digits:", ("digits:", None)),
        ("digits:" + "9" * 5000, ("digits:" + "9" * 5000, None)),
    ],
)
def test_a_name_and_a_number(text, expected):
    assert split_version(text) == expected


def test_a_folder_that_holds_no_model(models):
    with pytest.raises(UsageError, match=r"no saved_model\.pb"):
        find_target(str(models), models)


def test_a_published_name_wins_over_an_application(models):
    assert find_target("ResNet50", models).kind == "application"
    (models / "ResNet50" / "3").mkdir(parents=True)
    assert find_target("ResNet50", models).kind == "published"


@pytest.mark.parametrize("text", ["", "no such thing", "digits:", "../models/digits:1", "a:b"])
def test_nothing_that_we_know(models, text):
    with pytest.raises(UsageError, match=r"is neither|no saved_model\.pb"):
        find_target(text, models)
