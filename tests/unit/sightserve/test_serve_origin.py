"""A file is published once: what is remembered of it, and what makes it another."""

import pytest

from sightserve.serve.origin import SOURCE_FILE, Origin, record, recorded


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "flowers.keras"
    path.write_bytes(b"weights")
    return path


def is_known(tmp_path, origin, version=1):
    return origin.is_that_of(version, recorded(tmp_path))


def test_the_same_file_is_known_also_without_what_was_said_of_it(tmp_path, source):
    labels = tmp_path / "labels.txt"
    labels.write_text("rose\ntulip\n")
    record(tmp_path, 1, Origin.of(source, labels=str(labels), preprocess="tf"))
    assert [each.name for each in tmp_path.glob(f"{SOURCE_FILE}*")] == [SOURCE_FILE]
    assert is_known(tmp_path, Origin.of(source))
    assert is_known(tmp_path, Origin.of(source, labels="", preprocess="tf"))
    assert is_known(tmp_path, Origin.of(source.rename(tmp_path / "b.keras")))


def test_what_changed_is_another_source(tmp_path, source):
    labels = tmp_path / "labels.txt"
    labels.write_text("rose\ntulip\n")
    record(tmp_path, 1, Origin.of(source, labels=str(labels)))
    assert not is_known(tmp_path, Origin.of(source, labels=str(labels)), version=2)
    assert not is_known(tmp_path, Origin.of(source, preprocess="tf"))
    assert not is_known(tmp_path, Origin.of(source, labels="rose,tulip"))
    labels.write_text("tulip\nrose\n")
    assert not is_known(tmp_path, Origin.of(source, labels=str(labels)))
    source.write_bytes(b"others")
    assert not is_known(tmp_path, Origin.of(source))


def test_a_saved_model_is_all_its_files(tmp_path):
    folder = tmp_path / "saved"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    record(tmp_path, 1, Origin.of(folder))
    assert is_known(tmp_path, Origin.of(folder))
    (folder / "variables" / "variables.index").write_bytes(b"w")
    assert not is_known(tmp_path, Origin.of(folder))


def test_a_list_of_labels_may_be_longer_than_any_path(source):
    labels = ",".join(f"class {number}" for number in range(1000))
    assert Origin.of(source, labels=labels).options == {"labels": labels}


@pytest.mark.parametrize("text", [None, "{", "[]", '{"version": 1, "sha256": "0", "options": []}'])
def test_what_cannot_be_read_is_not_known(tmp_path, source, text):
    if text is not None:
        (tmp_path / SOURCE_FILE).write_text(text)
    assert not is_known(tmp_path, Origin.of(source))
