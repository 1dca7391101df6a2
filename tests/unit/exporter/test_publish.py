"""One rename from staged to visible, whatever else runs, fails or dies."""

import fcntl
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from exporter.errors import FailedError, UsageError
from exporter.store import publish, version_numbers


def stage(staged, content="graph"):
    (staged.version_path / "assets.extra").mkdir(parents=True)
    (staged.version_path / "saved_model.pb").write_text(content)


def publish_one(model_path, version=None):
    with publish.staging(model_path) as staged:
        stage(staged)
        return staged.publish(version)


def names(model_path):
    return sorted(path.name for path in model_path.iterdir())


def test_the_next_integer_is_taken(tmp_path):
    assert publish_one(tmp_path / "m").name == "1"
    assert publish_one(tmp_path / "m").name == "2"
    assert publish_one(tmp_path / "m", 20260101).name == "20260101"
    assert publish_one(tmp_path / "m").name == "20260102"
    assert names(tmp_path / "m") == ["1", "2", "20260101", "20260102"]


def test_versions_are_read_as_tensorflow_serving_reads_them(tmp_path):
    for name in ("1", "002", "-4", "20260101", "abc", "v3", "1.5", ".hidden", "٣"):
        (tmp_path / name).mkdir()
    (tmp_path / "7").write_text("a file")
    assert version_numbers.versions(tmp_path) == [-4, 1, 2, 20260101]
    assert version_numbers.version_path(tmp_path, 2) == tmp_path / "002"
    assert version_numbers.version_path(tmp_path, 3) is None


def test_an_existing_version_is_refused_and_kept(tmp_path):
    first = publish_one(tmp_path / "m")
    with pytest.raises(UsageError, match=r"version 1 of m exists \(there are 1\)"):
        publish_one(tmp_path / "m", 1)
    assert (first / "saved_model.pb").read_text() == "graph"
    assert names(tmp_path / "m") == ["1"]


def test_a_version_spelled_otherwise_exists_too(tmp_path):
    (tmp_path / "m" / "007").mkdir(parents=True)
    with pytest.raises(UsageError, match="version 7"):
        publish_one(tmp_path / "m", 7)


def test_nothing_is_visible_before_publishing(tmp_path):
    with publish.staging(tmp_path / "m") as staged:
        stage(staged)
        assert version_numbers.versions(tmp_path / "m") == []
        assert staged.version_path.parent.name.startswith(".staging-")
        assert version_numbers.versions(staged.base_path) == [
            1
        ]  # a model server can serve it from here


def fail(model_path):
    with publish.staging(model_path) as staged:
        stage(staged)
        raise ZeroDivisionError


def test_a_failed_first_export_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError):
        fail(tmp_path / "models" / "m")
    assert not (tmp_path / "models" / "m").exists()


def test_a_failed_later_export_leaves_only_the_earlier_ones(tmp_path):
    publish_one(tmp_path / "m")
    with pytest.raises(ZeroDivisionError):
        fail(tmp_path / "m")
    assert names(tmp_path / "m") == ["1"]


def test_the_staging_folder_of_a_living_process_is_left_alone(tmp_path):
    with publish.staging(tmp_path / "m") as living:
        stage(living)
        assert publish_one(tmp_path / "m").name == "1"
        assert (living.version_path / "saved_model.pb").exists()
        assert living.publish().name == "2"


def test_many_at_once_get_different_versions(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        published = list(pool.map(lambda _: publish_one(tmp_path / "m").name, range(24)))
    assert sorted(map(int, published)) == list(range(1, 25))
    assert version_numbers.versions(tmp_path / "m") == list(range(1, 25))


def test_a_failing_exporter_does_not_take_the_folder_from_a_waiting_one(tmp_path):
    def fail_or_publish(number):
        if number % 2:
            with pytest.raises(ZeroDivisionError):
                fail(tmp_path / "m")
            return None
        return publish_one(tmp_path / f"{'m' if number % 4 else 'n'}").name

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fail_or_publish, range(40)))
    assert version_numbers.versions(tmp_path / "m") == list(range(1, 11))


def test_everything_is_flushed_before_the_rename(tmp_path, monkeypatch):
    flushed, original = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (flushed.append(os.fstat(fd).st_ino), original(fd)))
    with publish.staging(tmp_path / "m") as staged:
        stage(staged)
        inodes = {
            path.stat().st_ino for path in [staged.version_path, *staged.version_path.rglob("*")]
        }
        staged.publish()
    assert inodes <= set(flushed[:-1])
    assert flushed[-1] == (tmp_path / "m").stat().st_ino


def test_an_unwritable_base_path_is_one_clear_failure(tmp_path):
    (tmp_path / "models").write_text("a file where the folder should be")
    with pytest.raises(FailedError, match="cannot write to"):
        publish_one(tmp_path / "models" / "m")


def test_the_locks_are_released(tmp_path):
    publish_one(tmp_path / "m")
    descriptor = os.open(tmp_path / "m", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(descriptor)
