"""Images that come from folders: for top-1 in `compare`, for the ranges of int8."""

import numpy as np
import pytest
from PIL import Image

from contract.pixels import ImageSpec
from exporter.errors import UsageError
from exporter.measure.accuracy import top_1
from exporter.proof import calibration

SPEC = ImageSpec(height=4, width=4)
LABELS = ("dark", "bright")


@pytest.fixture
def folder(tmp_path):
    for name, greys in (("bright", (255, 200, 90)), ("dark", (0, 10))):
        (tmp_path / name).mkdir()
        for grey in greys:
            Image.new("RGB", (8, 8), (grey,) * 3).save(tmp_path / name / f"{grey}.png")
    return tmp_path


def brightness(images):
    bright = images.reshape(len(images), -1).mean(axis=1) / 255
    return np.stack([1 - bright, bright], axis=1).astype(np.float32)


def test_top_1_by_the_folders_names(folder):
    assert top_1(brightness, folder, SPEC, LABELS) == pytest.approx(4 / 5)


def test_top_1_by_the_order_of_folders_where_nobody_names_the_classes(folder):
    """bright is folder 0, and the model's class 0 is the dark one."""
    assert top_1(brightness, folder, SPEC, None) == pytest.approx(1 / 5)


def test_folders_that_are_no_classes(folder):
    (folder / "grey").mkdir()
    Image.new("RGB", (8, 8), (128,) * 3).save(folder / "grey" / "128.png")
    with pytest.raises(UsageError, match="the model has no class 'grey'"):
        top_1(brightness, folder, SPEC, LABELS)


def test_no_images_and_no_folder(tmp_path):
    with pytest.raises(UsageError, match="neither class folders with pictures nor"):
        top_1(brightness, tmp_path, SPEC, LABELS)
    with pytest.raises(UsageError, match="there is no such folder"):
        top_1(brightness, tmp_path / "nowhere", SPEC, LABELS)


def test_a_broken_image_is_named(folder):
    (folder / "dark" / "broken.png").write_bytes(b"no image")
    with pytest.raises(UsageError, match=r"dark/broken\.png"):
        top_1(brightness, folder, SPEC, LABELS)


def test_calibration_takes_the_whole_tree(folder):
    files = calibration.find("int8", folder)
    assert {path.parent.name for path in files} == {"bright", "dark"}
    assert calibration.read(files, SPEC).shape == (5, 4, 4, 3)


def test_many_images_are_thinned_out_evenly(folder, monkeypatch):
    monkeypatch.setattr(calibration, "MAX_IMAGES", 2)
    files = calibration.find("int8", None, folder)
    assert [path.parent.name for path in files] == ["bright", "dark"]


def test_int8_without_images_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="--calibration-dir DIR"):
        calibration.find("int8", None)
    with pytest.raises(UsageError, match="no image in it"):
        calibration.find("int8", tmp_path)


def test_images_for_a_kind_that_needs_none_are_a_mistake(folder):
    with pytest.raises(UsageError, match="goes with --tflite int8"):
        calibration.find("float16", folder)
    assert calibration.find(None, None) == []
    assert calibration.read([], SPEC) is None


def test_a_broken_calibration_image_is_named(folder):
    (folder / "broken.png").write_bytes(b"no image")
    files = calibration.find("int8", folder)
    with pytest.raises(UsageError, match=r"broken\.png"):
        calibration.read(files, SPEC)


def test_labels_that_nobody_gave_are_the_folders_in_order(folder):
    assert top_1(brightness, folder, SPEC, ("class_0", "class_1")) == pytest.approx(1 / 5)


def test_a_misspelt_folder_is_no_class_in_order(folder):
    (folder / "dark").rename(folder / "drak")
    with pytest.raises(UsageError, match="the model has no class 'drak'"):
        top_1(brightness, folder, SPEC, LABELS)
