"""Each preset of --pixels against the functions that it stands for, on real photographs."""

from io import BytesIO

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from skimage import data
from sklearn.datasets import load_sample_images

from contract.pixels import ImageSpec, decode
from exporter.pixel_presets import PRESETS

SIZES = [(96, 128), (224, 224)]
PHOTOGRAPHS = [data.chelsea(), data.coffee(), *load_sample_images().images]


def png(photograph):
    buffer = BytesIO()
    Image.fromarray(photograph).save(buffer, "PNG")
    return buffer.getvalue()


def decoded(preset, file, size):
    spec = ImageSpec(height=size[0], width=size[1], **PRESETS[preset])
    return decode(file, spec).astype(np.float64)


def largest_and_mean(one, other):
    difference = np.abs(one - other)
    return difference.max(), difference.mean()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The photographs as PNG files of one class."""
    root = tmp_path_factory.mktemp("photographs")
    (root / "one").mkdir()
    for index, photograph in enumerate(PHOTOGRAPHS):
        (root / "one" / f"{index}.png").write_bytes(png(photograph))
    return root


@pytest.mark.parametrize("size", SIZES)
def test_keras_is_image_dataset_from_directory_but_for_fractions(folder, size):
    dataset = keras.utils.image_dataset_from_directory(
        folder, label_mode=None, image_size=size, shuffle=False, batch_size=None, verbose=False
    )
    for file, expected in zip(sorted((folder / "one").iterdir()), dataset, strict=True):
        ours = decoded("keras", file.read_bytes(), size)
        largest, mean = largest_and_mean(ours, expected.numpy())
        assert largest < 1.01  # Pillow cuts fractions off
        assert mean < 0.5


@pytest.mark.parametrize("size", SIZES)
def test_tf_dataset_is_tf_image_resize_but_for_fractions(size):
    for photograph in PHOTOGRAPHS:
        expected = tf.image.resize(photograph, size, method="bilinear").numpy()
        largest, mean = largest_and_mean(decoded("tf-dataset", png(photograph), size), expected)
        assert largest < 1.01
        assert mean < 0.5


def test_a_jpeg_decodes_a_little_otherwise_than_in_keras(tmp_path):
    """Keras' JPEG decoder takes the fast transform, ours the accurate one."""
    Image.fromarray(PHOTOGRAPHS[2]).save(tmp_path / "0.jpg", quality=92)
    dataset = keras.utils.image_dataset_from_directory(
        tmp_path, labels=None, image_size=(224, 224), shuffle=False, batch_size=None, verbose=False
    )
    ours = decoded("keras", (tmp_path / "0.jpg").read_bytes(), (224, 224))
    assert largest_and_mean(ours, next(iter(dataset)).numpy())[1] < 1.0


@pytest.mark.parametrize("size", SIZES)
def test_keras_load_img_is_the_same_pixels(folder, size):
    for file in (folder / "one").iterdir():
        expected = np.asarray(keras.utils.load_img(file, target_size=size))
        np.testing.assert_array_equal(decoded("keras-load-img", file.read_bytes(), size), expected)


def resized_and_cropped(photograph, side=224, short=256):
    """torchvision's Resize and CenterCrop, which work in whole pixels."""
    image = Image.fromarray(photograph)
    size = [int(short * length / min(image.size)) for length in image.size]
    whole = image.resize(size, Image.Resampling.BILINEAR)
    left, top = (round((length - side) / 2) for length in size)
    return np.asarray(whole.crop((left, top, left + side, top + side)))


@pytest.mark.parametrize("photograph", PHOTOGRAPHS[1:])
def test_torchvision_is_resize_and_center_crop_where_they_come_out_even(photograph):
    trimmed = photograph[:400, :600]  # to 384x256 without a rest
    ours = decoded("torchvision", png(trimmed), (224, 224))
    np.testing.assert_array_equal(ours, resized_and_cropped(trimmed))


@pytest.mark.parametrize("photograph", PHOTOGRAPHS)
def test_torchvision_is_less_than_a_pixel_off_where_they_do_not(photograph):
    """640x427 becomes 383x256 there, cut at 79.5: all of it is half a pixel further right."""
    ours = decoded("torchvision", png(photograph), (224, 224))
    shifted = np.roll(ours, 1, axis=1)
    expected = resized_and_cropped(photograph)
    mean = largest_and_mean(ours, expected)[1]
    assert mean < 5.5
    assert mean < largest_and_mean(shifted, expected)[1]


def test_the_presets_differ_from_each_other():
    """Or the tests above would hold for any of them."""
    file, size = png(PHOTOGRAPHS[1]), (224, 224)
    kinds = [decoded(preset, file, size) for preset in ("keras", "keras-load-img", "torchvision")]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert largest_and_mean(kinds[one], kinds[other])[1] > 2.5
