"""One rename from staged to visible, whatever else runs, fails or dies."""

import fcntl
import os
import threading
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
    (tmp_path / "9223372036854775808").mkdir()  # one more than an int64 holds
    (tmp_path / ("9" * 5000)[:200]).mkdir()
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


def obstruct(path, kind):
    if kind == "file":
        path.write_text("stray")
    elif kind == "dangling link":
        path.symlink_to(path.parent / "nowhere")
    else:
        os.mkfifo(path)


OBSTACLES = ("file", "dangling link", "pipe")


@pytest.mark.parametrize("kind", OBSTACLES)
def test_the_next_number_passes_over_what_is_no_version(tmp_path, kind):
    publish_one(tmp_path / "m")
    obstruct(tmp_path / "m" / "2", kind)
    assert publish_one(tmp_path / "m").name == "3"
    assert publish_one(tmp_path / "m").name == "4"
    assert os.path.lexists(tmp_path / "m" / "2")


@pytest.mark.parametrize("kind", OBSTACLES)
def test_a_wanted_number_that_something_else_has_is_refused(tmp_path, kind):
    publish_one(tmp_path / "m")
    obstruct(tmp_path / "m" / "2", kind)
    with pytest.raises(UsageError, match="/m/2 is in the way and no version"):
        version_numbers.require_free(tmp_path / "m", 2)


@pytest.mark.parametrize("kind", OBSTACLES)
def test_a_number_that_is_taken_in_the_last_moment_costs_nothing(tmp_path, monkeypatch, kind):
    asked = []

    def obstructed_next(model_path):
        number = version_numbers.next_version(model_path)
        if not asked:
            obstruct(model_path / str(number), kind)  # after we looked, before the rename
        asked.append(number)
        return number

    monkeypatch.setattr(publish, "next_version", obstructed_next)
    monkeypatch.setattr(publish, "require_free", lambda *_: None)
    assert publish_one(tmp_path / "m").name == "2"
    assert asked == [1, 2]


def test_there_is_no_number_after_the_last(tmp_path):
    publish_one(tmp_path / "m", 2**63 - 1)
    with pytest.raises(UsageError, match="9223372036854775807, the last one"):
        publish_one(tmp_path / "m")


def test_what_is_named_as_a_staging_folder_and_is_none_is_passed_over(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "elsewhere").mkdir()
    os.mkfifo(tmp_path / "m" / ".staging-pipe")  # opening it would wait for a writer
    (tmp_path / "m" / ".staging-link").symlink_to(tmp_path / "elsewhere")
    assert publish_one(tmp_path / "m").name == "1"
    assert (tmp_path / "elsewhere").exists()


def test_exports_and_their_numbers_at_once_with_strangers(tmp_path):
    def litter():
        for number in range(1, 30, 3):
            (tmp_path / "m" / str(number)).touch()

    (tmp_path / "m").mkdir()
    stranger = threading.Thread(target=litter)
    with ThreadPoolExecutor(4) as pool:
        stranger.start()
        published = list(pool.map(lambda _: publish_one(tmp_path / "m").name, range(24)))
    stranger.join()
    assert len(set(published)) == 24
    assert version_numbers.versions(tmp_path / "m") == sorted(map(int, published))


def test_a_version_in_quarantine_is_seen_by_nobody_and_its_number_is_not_used_again(tmp_path):
    model = tmp_path / "m"
    for _ in range(2):
        publish_one(model)
    hidden = publish.quarantine(model, 2)
    assert (hidden / "saved_model.pb").read_text() == "graph"
    assert (version_numbers.versions(model), version_numbers.quarantined(model)) == ([1], [2])
    with pytest.raises(UsageError, match="version 2 of m is in quarantine"):
        publish_one(model, 2)
    assert publish_one(model).name == "3"
    assert publish.release(model, 2) == model / "2"
    assert (version_numbers.versions(model), version_numbers.quarantined(model)) == ([1, 2, 3], [])


def test_a_version_that_is_restored_beside_the_one_in_quarantine_keeps_both(tmp_path):
    model = tmp_path / "m"
    publish_one(model)
    publish.quarantine(model, 1)
    (model / "1").mkdir()  # as a backup that is played back would
    with pytest.raises(UsageError, match="another version 1 is in quarantine"):
        publish.quarantine(model, 1)
    with pytest.raises(UsageError, match="there is another version 1 of m"):
        publish.release(model, 1)
    assert names(model) == [".quarantined-1", "1"]


@pytest.mark.parametrize("move", [publish.quarantine, publish.release])
def test_what_is_not_there_cannot_be_moved(tmp_path, move):
    publish_one(tmp_path / "m")
    with pytest.raises(UsageError):
        move(tmp_path / "m", 7)
    assert names(tmp_path / "m") == ["1"]
