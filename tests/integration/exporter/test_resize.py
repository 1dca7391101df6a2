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
def test_png_files_come_out_as_pillows_within_three_levels(fit, name):
    spec = ImageSpec(height=48, width=40, fit=fit, filter=name, background=(10, 200, 30))
    ours, pillows = both(encoded(photographs()["coffee"], "PNG"), spec)
    difference = np.abs(ours - pillows)
    assert difference.max() <= 3  # lanczos; 1 with the others
    assert difference.mean() < 0.3


@pytest.mark.parametrize("name", ["nearest", "bilinear", "bicubic"])
def test_without_antialias_single_points_are_sampled(name):
    spec = ImageSpec(height=50, width=50, filter=name, antialias=False)
    ours, pillows = both(encoded(photographs()["cat"], "PNG"), spec)
    assert np.abs(ours - pillows).mean() < 1.5  # Pillow's bicubic has another coefficient here


def test_small_images_are_enlarged_alike():
    small = np.ascontiguousarray(photographs()["rocket"][:20, :30])
    ours, pillows = both(encoded(small, "PNG"), ImageSpec(height=64, width=64))
    assert np.abs(ours - pillows).max() <= 2


def test_jpeg_files_decode_with_the_accurate_transform():
    photo = photographs()["flower"]
    spec = ImageSpec(height=photo.shape[0], width=photo.shape[1])
    ours, pillows = both(encoded(photo, "JPEG"), spec)
    assert np.abs(ours - pillows).max() <= 1  # measured 0; with the fast transform 7
