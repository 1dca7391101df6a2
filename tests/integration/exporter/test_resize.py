"""Decoding and resizing in the graph, next to Pillow's."""

import numpy as np
import pytest
import tensorflow as tf

from contract.pixels import ImageSpec, decode
from exporter.graph.resize import decode_and_fit
from tests.support.pictures import encoded, photographs


def both(data, spec):
    ours = decode_and_fit(tf.constant(data), spec).numpy()
    return ours.astype(int), decode(data, spec).astype(int)


@pytest.mark.parametrize("fit", ["stretch", "center_crop", "pad"])
@pytest.mark.parametrize("name", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
def test_files_come_out_as_pillows_to_the_bit(fit, name, file_format):
    spec = ImageSpec(height=48, width=40, fit=fit, filter=name, background=(10, 200, 30))
    tall = np.ascontiguousarray(photographs()["coffee"][:, :80])
    for photo in (photographs()["cat"], tall):  # a tall one is resized the other way round
        ours, pillows = both(encoded(photo, file_format), spec)
        assert np.array_equal(ours, pillows)


@pytest.mark.parametrize("size", [(1500, 1100), (700, 900), (95, 400), (90, 70), (7, 5)])
def test_a_jpeg_is_decoded_at_the_scale_that_pillow_is_told(size):
    """Fine stripes, which the scaled transform renders otherwise than a resize would."""
    y, x = np.mgrid[0 : size[0], 0 : size[1]]
    stripes = np.stack([np.sin(x * 2.1), np.sin(y * 1.7), np.sin(x * y * 0.1)], axis=-1)
    data = encoded(((stripes + 1) * 127.5).astype(np.uint8), "JPEG")
    for fit in ("stretch", "center_crop", "pad"):
        ours, pillows = both(data, ImageSpec(height=32, width=32, fit=fit))
        assert np.array_equal(ours, pillows)


@pytest.mark.parametrize("name", ["nearest", "bilinear", "bicubic"])
def test_without_antialias_single_points_are_sampled(name):
    for side in (50, 600):  # smaller and larger than the photograph
        spec = ImageSpec(height=side, width=side, filter=name, antialias=False)
        ours, pillows = both(encoded(photographs()["cat"], "PNG"), spec)
        difference = np.abs(ours - pillows)
        assert difference.max() <= (0 if name == "nearest" else 1)
        assert difference.mean() < 0.02


def test_small_images_are_enlarged_alike():
    small = np.ascontiguousarray(photographs()["rocket"][:20, :30])
    ours, pillows = both(encoded(small, "PNG"), ImageSpec(height=64, width=64))
    assert np.array_equal(ours, pillows)


def test_jpeg_files_decode_with_the_accurate_transform():
    photo = photographs()["flower"]
    spec = ImageSpec(height=photo.shape[0], width=photo.shape[1])
    ours, pillows = both(encoded(photo, "JPEG"), spec)
    assert np.abs(ours - pillows).max() <= 1  # measured 0; with the fast transform 7
