"""Batches of large images hold fewer."""

import numpy as np
import pytest

from exporter.batches import ask_in_batches, images_at_once


@pytest.mark.parametrize(
    ("most", "height", "width", "expected"),
    [
        (32, 224, 224, 32),
        (32, 240, 240, 32),
        (32, 256, 256, 26),
        (32, 1, 1, 32),
        (32, 300, 300, 16),
        (32, 600, 600, 2),
        (32, 240, 480, 11),
        (8, 4096, 4096, 1),
    ],
)
def test_so_many_at_once(most, height, width, expected):
    assert images_at_once(most, height, width) == expected


def test_rows_come_in_order_and_none_is_lost():
    images = np.arange(7, dtype=np.float32).reshape(7, 1, 1, 1)
    sizes = []

    def answer(batch):
        sizes.append(len(batch))
        return batch[:, 0, 0, :]

    assert ask_in_batches(answer, images, 3)[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert sizes == [3, 3, 1]
