"""What the words after `serve` stand for."""

import json

import pytest

from sightserve.serve.errors import TargetError
from sightserve.serve.flow import _chosen
from sightserve.serve.publishing import SOURCE_FILE, Choices, _digest, _recorded
from sightserve.serve.stack import different, models_config
from sightserve.serve.targets import Target, all_published, find, name_of


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models"
    for name in ("digits", "Flowers2", "empty"):
        (folder / name).mkdir(parents=True)
    for name in ("digits/1", "Flowers2/3", "Flowers2/12"):
        (folder / name).mkdir()
    return folder


def found(text, models):
    return [(target.kind, target.name, target.source) for target in find(text, models)]


def test_a_published_name_wins_and_keeps_its_capitals(models):
    assert found("Flowers2", models) == [("published", "Flowers2", "")]
    assert found("digits", models) == [("published", "digits", "")]


def test_digits_and_applications_are_known_without_a_folder(tmp_path):
    assert found("Digits", tmp_path) == [("digits", "digits", "digits")]
    assert found("mobilenetv2", tmp_path) == [("application", "mobilenetv2", "MobileNetV2")]
    assert found("EfficientNetV2B0", tmp_path)[0][2] == "EfficientNetV2B0"


def test_files_are_told_by_their_suffix(tmp_path):
    for name, kind in (
        ("My Flowers.keras", "keras"),
        ("old.H5", "keras"),
        ("net.onnx", "onnx"),
        ("net.pt2", "torch"),
    ):
        path = tmp_path / name
        path.touch()
        (target,) = find(str(path), tmp_path / "models")
        assert (target.kind, target.source) == (kind, str(path))
    assert name_of(tmp_path / "My Flowers.keras") == "My-Flowers"


def test_folders_are_saved_models_published_models_or_several(models, tmp_path):
    saved = tmp_path / "their.model"
    saved.mkdir()
    (saved / "saved_model.pb").touch()
    assert found(str(saved), models) == [("saved-model", "their.model", str(saved))]
    (one,) = find(str(models / "Flowers2"), tmp_path)
    assert (one.kind, one.name, one.base_path) == ("published", "Flowers2", models)
    assert [each.name for each in find(str(models), tmp_path)] == ["Flowers2", "digits"]
    assert [each.name for each in all_published(models)] == ["Flowers2", "digits"]
    assert all_published(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("flowers.keras", "flowers.keras: there is no such file or folder"),
        ("some/folder", "there is no such file or folder"),
        ("MobileNet2", "did you mean: MobileNetV2"),
        ("Flowers", "published in"),
        ("models/empty", "no model in this folder"),
        ("notes.txt", "files end in .keras"),
    ],
)
def test_what_stands_for_no_model_is_said_so(models, tmp_path, monkeypatch, text, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(TargetError, match=said):
        find(text, models)


def test_one_name_stands_for_one_model(tmp_path):
    one = Target("published", "a", tmp_path)
    assert different([one, one]) == [one]
    with pytest.raises(TargetError, match="two models are called a"):
        different([one, Target("published", "a", tmp_path / "other")])


def test_options_of_one_file_are_for_one_file(tmp_path):
    file = Target("keras", "flowers", tmp_path, "flowers.keras")
    choices = Choices(name="Flowers2", labels="labels.txt")
    assert _chosen(file, choices, [file]).name == "Flowers2"
    for target, others in (
        (file, [file, file]),
        (Target("published", "a", tmp_path), [None]),
        (Target("digits", "digits", tmp_path, "digits"), [None]),
    ):
        with pytest.raises(TargetError):
            _chosen(target, choices, others)


def test_a_config_takes_any_name(tmp_path):
    text = models_config(
        [Target("published", "it's", tmp_path), Target("published", "B", tmp_path)]
    )
    assert "name: 'it\\'s'" in text
    assert text.count("config {") == 2


def test_a_file_that_changed_is_another_source(tmp_path):
    file, labels = tmp_path / "a.keras", tmp_path / "labels.txt"
    file.write_bytes(b"1")
    labels.write_text("x\n")
    digests = [_digest(file, "")]
    digests.append(_digest(file, str(labels)))
    labels.write_text("y\n")
    digests.append(_digest(file, str(labels)))
    file.write_bytes(b"2")
    digests.append(_digest(file, str(labels)))
    assert len(set(digests)) == 4
    assert _recorded(tmp_path) is None
    (tmp_path / SOURCE_FILE).write_text("{")
    assert _recorded(tmp_path) is None
    (tmp_path / SOURCE_FILE).write_text(json.dumps({"version": 1}))
    assert _recorded(tmp_path) == {"version": 1}
