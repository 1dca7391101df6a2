from __future__ import annotations

import pytest

from serving.core.model_config import ModelConfig
from serving.core.source import FileSystemSource, versions_on_disk


@pytest.mark.parametrize(
    ("name", "version"), [("1", 1), ("002", 2), ("20260101", 20260101), ("-4", -4)]
)
def test_integer_directories_are_versions(tmp_path, name, version):
    (tmp_path / name).mkdir()
    assert versions_on_disk(str(tmp_path)) == {version: str(tmp_path / name)}


@pytest.mark.parametrize(
    "name", ["abc", "v3", "1.5", ".hidden", "1 ", "٣", "1e3", "99999999999999999999", "-", "+1"]
)
def test_other_names_are_not(tmp_path, name):
    (tmp_path / name).mkdir()
    assert versions_on_disk(str(tmp_path)) == {}


def test_files_are_no_versions(tmp_path):
    (tmp_path / "7").write_text("")
    assert versions_on_disk(str(tmp_path)) == {}


@pytest.fixture
def aspired():
    return {}


@pytest.fixture
def source(aspired):
    return FileSystemSource(aspired.__setitem__, poll_wait_seconds=0)


def model(tmp_path, name="m"):
    return ModelConfig(name, str(tmp_path / name))


def test_a_poll_follows_the_disk(tmp_path, source, aspired):
    (tmp_path / "m" / "1").mkdir(parents=True)
    source.update([model(tmp_path)])
    assert aspired == {"m": {1: str(tmp_path / "m" / "1")}}
    (tmp_path / "m" / "2").mkdir()
    source.poll()
    assert set(aspired["m"]) == {2}
    (tmp_path / "m" / "2").rmdir()
    source.poll()
    assert set(aspired["m"]) == {1}
    (tmp_path / "m" / "1").rmdir()
    source.poll()
    assert aspired == {"m": {}}


def test_a_base_path_that_is_away_changes_nothing(tmp_path, source, aspired):
    (tmp_path / "m" / "1").mkdir(parents=True)
    source.update([model(tmp_path)])
    (tmp_path / "m").rename(tmp_path / "elsewhere")
    source.poll()
    assert set(aspired["m"]) == {1}


def test_dropped_models_are_no_longer_aspired(tmp_path, source, aspired):
    for name in ("m", "n"):
        (tmp_path / name / "1").mkdir(parents=True)
    source.update([model(tmp_path), model(tmp_path, "n")])
    source.update([model(tmp_path, "n")])
    assert aspired["m"] == {}
    assert set(aspired["n"]) == {1}
