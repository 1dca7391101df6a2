"""The manifest finds every kind of bad copy."""

import hashlib
import json

import pytest

from exporter.errors import FailedError
from exporter.store import manifest


@pytest.fixture
def version(tmp_path):
    (tmp_path / "variables").mkdir()
    (tmp_path / "saved_model.pb").write_bytes(b"graph")
    (tmp_path / "variables" / "variables.index").write_bytes(b"index")
    manifest.write(tmp_path)
    return tmp_path


def test_it_lists_every_file_with_digest_and_size(version):
    assert manifest.read(version) == {
        "saved_model.pb": {"sha256": hashlib.sha256(b"graph").hexdigest(), "bytes": 5},
        "variables/variables.index": {"sha256": hashlib.sha256(b"index").hexdigest(), "bytes": 5},
    }
    assert json.loads((version / "MANIFEST.json").read_text())["schema_version"] == 1


def test_a_true_copy_has_no_differences(version):
    assert manifest.differences(version) == []


def test_changed_missing_and_added_files_are_named(version):
    (version / "saved_model.pb").write_bytes(b"graqh")
    (version / "variables" / "variables.index").unlink()
    (version / "notes.txt").write_text("hello")
    assert manifest.differences(version) == [
        "missing: variables/variables.index",
        "added: notes.txt",
        "changed: saved_model.pb",
    ]


@pytest.mark.parametrize("content", [None, "not json", "{}"])
def test_a_version_without_a_readable_manifest_is_said_to_have_none(tmp_path, content):
    if content is not None:
        (tmp_path / "MANIFEST.json").write_text(content)
    with pytest.raises(FailedError, match=r"no readable MANIFEST\.json"):
        manifest.read(tmp_path)
