"""Whom a target means, before anybody is asked."""

import pytest

from exporter.errors import FailedError, UsageError
from exporter.options import SourceChoices
from exporter.progress import SilentReporter
from exporter.settings import Settings
from exporter.targets import Target, connected


def connect(text, base_path, **more):
    target = Target(text=str(text), base_path=base_path, **more)
    with connected(target, Settings(), SilentReporter()):
        pass


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("digits", "no version of 'digits' below"),
        ("digits:new", r"neither a model below .* \(NAME or NAME:VERSION\)"),
        ("grpc://localhost:8500", "say which model with --model"),
        ("ftp://localhost", "write http://host:8000, http://host:8501 or grpc://host:8500"),
    ],
)
def test_what_is_not_there_or_not_clear(tmp_path, text, complaint):
    with pytest.raises(UsageError, match=complaint):
        connect(text, tmp_path)


def test_a_url_of_another_protocol(tmp_path):
    with pytest.raises(UsageError, match="or grpc://host:8500"):
        connect("ftp://localhost", tmp_path, model_name="m")


def test_two_versions_contradict_each_other(tmp_path):
    for version in ("2", "3"):
        (tmp_path / "digits" / version).mkdir(parents=True)
    with pytest.raises(UsageError, match="contradict"):
        connect("digits:3", tmp_path, version=2)
    with pytest.raises(FailedError, match="digits/2: no model card in it"):
        connect("digits", tmp_path, version=2)


def test_a_file_that_is_no_model(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"nor a \.keras or \.h5 file, nor a SavedModel"):
        connect(tmp_path / "model.onnx", tmp_path)


def test_options_of_a_source_do_not_go_with_what_is_published(tmp_path):
    with pytest.raises(UsageError, match="digits knows its labels and pixels itself"):
        connect("digits", tmp_path, choices=SourceChoices(labels="labels.txt"))


def test_a_version_that_is_not_ours_has_no_card(tmp_path):
    (tmp_path / "theirs" / "1").mkdir(parents=True)
    with pytest.raises(FailedError, match="no model card in it"):
        connect("theirs", tmp_path)
