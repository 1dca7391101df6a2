"""What the words after `serve` stand for."""

import pytest
from google.protobuf import text_format

from protocol.messages import config_pb2
from sightserve.serve.errors import TargetError
from sightserve.serve.flow import _chosen
from sightserve.serve.publishing import Choices
from sightserve.serve.stack import different, models_config
from sightserve.serve.targets import Target, all_published, find, name_of


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models"
    for name in ("digits", "Flowers2", "empty"):
        (folder / name).mkdir(parents=True)
    for name in ("digits/1", "Flowers2/3", "Flowers2/12"):
        (folder / name).mkdir()
        (folder / name / "saved_model.pb").touch()
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


def test_a_folder_of_photos_hides_no_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("digits/zero", "ResNet50/1"):
        (tmp_path / name).mkdir(parents=True)
    assert found("digits", tmp_path / "models") == [("digits", "digits", "digits")]
    assert found("ResNet50", tmp_path / "models")[0][0] == "application"


def test_folders_with_numbers_for_names_are_no_versions_without_a_model(models, tmp_path):
    photos = tmp_path / "photos"
    for label in ("0", "1"):
        (photos / label).mkdir(parents=True)
        (photos / label / "a.png").touch()
    with pytest.raises(TargetError, match=r"photos/1: no saved_model\.pb .* sightserve train"):
        find(str(photos), models)
    (models / "Flowers2" / "13").mkdir()
    assert [each.name for each in all_published(models)] == ["digits"]
    with pytest.raises(TargetError, match=r"Flowers2/13: no saved_model\.pb"):
        find("Flowers2", models)


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
    read = text_format.Parse(text, config_pb2.ModelServerConfig()).model_config_list.config
    assert [each.name for each in read] == ["it's", "B"]
    assert read[1].base_path == str(tmp_path / "B")
