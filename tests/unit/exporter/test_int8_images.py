"""Which images int8 is calibrated with, and which its answers are held against."""

import pytest

from exporter.errors import UsageError
from exporter.options import ExportOptions
from exporter.proof import calibration


def options(tmp_path, *, images=None, **given):
    if images is not None:
        folder = tmp_path / "images"
        folder.mkdir()
        for index in range(images):
            (folder / f"{index:04}.png").touch()
        given["calibration_dir"] = folder
    return ExportOptions(name="m", base_path=tmp_path, **{"precision": "int8", **given})


def test_other_precisions_need_none(tmp_path):
    wanted = options(tmp_path, precision="float32")
    assert calibration.for_int8(wanted, is_evaluated=False) == ([], [])


def test_without_a_folder_it_says_which_option(tmp_path):
    with pytest.raises(UsageError, match="--calibration-dir DIR"):
        calibration.for_int8(options(tmp_path), is_evaluated=True)


@pytest.mark.parametrize(("images", "is_evaluated", "needed"), [(49, True, 50), (99, False, 100)])
def test_too_few_images_are_refused_with_their_number(tmp_path, images, is_evaluated, needed):
    message = f"{images} images in .*, at least {needed} are needed"
    with pytest.raises(UsageError, match=message):
        calibration.for_int8(options(tmp_path, images=images), is_evaluated=is_evaluated)


def test_what_is_calibrated_with_is_not_what_is_asked(tmp_path):
    chosen, held_out = calibration.for_int8(options(tmp_path, images=100), is_evaluated=False)
    assert (len(chosen), len(held_out)) == (50, 50)
    assert not set(chosen) & set(held_out)


def test_labelled_pictures_leave_all_to_the_calibration(tmp_path):
    chosen, held_out = calibration.for_int8(options(tmp_path, images=50), is_evaluated=True)
    assert (len(chosen), held_out) == (50, [])


def test_many_are_thinned_out(tmp_path):
    chosen, held_out = calibration.for_int8(options(tmp_path, images=1500), is_evaluated=False)
    assert (len(chosen), len(held_out)) == (300, 1000)


def test_the_folder_goes_with_either_int8(tmp_path):
    calibration.require(options(tmp_path, images=100))
    with pytest.raises(UsageError, match="goes with --tflite int8 and --precision int8"):
        calibration.require(options(tmp_path, calibration_dir=tmp_path, precision="float32"))
