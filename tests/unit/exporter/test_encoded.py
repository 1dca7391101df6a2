"""Which files the graph must decode as pixels.decode does, and how close the answers must be."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from exporter.errors import RefusedError
from exporter.proof.encoded import decoded_alike, require_parity
from exporter.proof.goldens import draw

EXPECTED = np.array([[0.6, 0.3, 0.1], [0.41, 0.40, 0.19]], dtype=np.float32)
BOUND = 0.02


def file(mode="RGB", file_format="PNG", **options):
    buffer = BytesIO()
    Image.new(mode, (4, 4)).save(buffer, file_format, **options)
    return buffer.getvalue()


def test_the_drawn_goldens_are_all_compared():
    assert decoded_alike([each.data for each in draw()]).all()


def test_what_tensorflow_cannot_know_is_left_out():
    turned = Image.Exif()
    turned[0x0112] = 6
    upright = Image.Exif()
    upright[0x0112] = 1
    files = {
        file(): True,
        file("L"): True,
        file(file_format="JPEG", exif=upright): True,
        file(file_format="JPEG", exif=turned): False,
        file("RGBA"): False,
        file("P"): False,
        file("I;16"): False,
        file("CMYK", "JPEG"): False,
        file(transparency=(0, 0, 0)): False,
    }
    assert decoded_alike(list(files)).tolist() == list(files.values())


def test_answers_within_the_bound_pass():
    require_parity(EXPECTED + np.float32(0.019), EXPECTED, BOUND)


@pytest.mark.parametrize("wrong", [0.03, np.nan])
def test_a_probability_further_off_is_refused(wrong):
    with pytest.raises(RefusedError, match=r"allowed: 0\.02") as caught:
        require_parity(EXPECTED + np.float32(wrong), EXPECTED, BOUND)
    assert caught.value.step == "encoded parity"


def test_near_equal_classes_may_change_places():
    require_parity(
        EXPECTED[:, [0, 1, 2]] + np.array([[0, 0, 0], [-0.01, 0.01, 0]]), EXPECTED, BOUND
    )


def test_another_first_class_is_refused_although_each_probability_is_close():
    expected = np.array([[0.53, 0.47]], dtype=np.float32)
    encoded = np.array([[0.495, 0.505]], dtype=np.float32)
    with pytest.raises(RefusedError, match="another first class for 1 of 1 golden images"):
        require_parity(encoded, expected, 0.05)
