"""The digits: real, drawn once and for all, split the same way every time."""

from collections import Counter
from io import BytesIO

import numpy as np
from PIL import Image

from exporter import digits


def test_a_fifth_of_each_digit_is_held_out_and_never_trained_on():
    data = digits.load()
    assert (len(data.training), len(data.held_out)) == (1437, 360)
    held = Counter(digit.class_index for digit in data.held_out)
    assert set(held) == set(range(10))
    assert max(held.values()) - min(held.values()) <= 2
    assert digits.held_out() == data.held_out


def test_each_is_a_png_of_the_models_own_size():
    few = digits.held_out()[:5]
    images = [Image.open(BytesIO(digit.png)) for digit in few]
    assert {(image.format, image.mode, image.size) for image in images} == {
        ("PNG", "RGB", (32, 32))
    }
    pixels, classes = digits.to_arrays(few)
    assert pixels.shape == (5, 32, 32, 3)
    assert pixels.max() > 200
    np.testing.assert_array_equal(pixels[0], np.asarray(images[0]))
    assert classes.tolist() == [digit.class_index for digit in few]


def test_files_are_written_with_their_labels(tmp_path):
    few = digits.held_out()[:3]
    digits.write_files(few, tmp_path / "held-out")
    lines = (tmp_path / "held-out" / "labels.txt").read_text().splitlines()
    assert lines == [f"{i:04}.png {digits.LABELS[d.class_index]}" for i, d in enumerate(few)]
    assert (tmp_path / "held-out" / "0002.png").read_bytes() == few[2].png
