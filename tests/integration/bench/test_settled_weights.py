"""Weights that keep the activations at size."""

import keras
import numpy as np

from bench.settled_weights import golden_pixels, settle


def test_the_statistics_become_those_of_the_images():
    model = keras.Sequential(
        [
            keras.Input((16, 24, 3)),
            keras.layers.Conv2D(4, 3),
            keras.layers.BatchNormalization(center=False, scale=False, epsilon=1e-9),
            keras.layers.Dropout(0.9),
        ]
    )
    images = golden_pixels(model).astype(np.float32)
    assert images.shape == (8, 16, 24, 3)
    settle(model, images)
    answers = model.predict(images, verbose=0)
    np.testing.assert_allclose(answers.mean((0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(answers.std((0, 1, 2)), 1, atol=1e-3)


def test_where_any_size_will_do_the_images_are_imagenets():
    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.GlobalAveragePooling2D()])
    assert golden_pixels(model).shape == (8, 224, 224, 3)
