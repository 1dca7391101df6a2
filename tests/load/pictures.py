"""Photos as honest clients send them: distinct, 500 x 375, about 51 kB, as ImageNet's are."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image

from tests.support.pictures import photographs, saved

WIDTH, HEIGHT = 500, 375
_BYTES = 51_000


@cache
def photos(count: int = 64) -> list[bytes]:
    """JPEG files of random crops of real photographs; the same for every run."""
    generator = np.random.default_rng(1)
    sources = list(photographs().values())
    return [_photo(sources[number % len(sources)], generator) for number in range(count)]


def _photo(source: np.ndarray, generator: np.random.Generator) -> bytes:
    height, width = source.shape[:2]
    scale = generator.uniform(0.6, 1.0)
    crop_width = int(scale * min(width, height * WIDTH / HEIGHT))
    crop_height = crop_width * HEIGHT // WIDTH
    left = int(generator.integers(0, width - crop_width + 1))
    top = int(generator.integers(0, height - crop_height + 1))
    crop = source[top : top + crop_height, left : left + crop_width]
    image = Image.fromarray(crop).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    # The quality whose file is nearest to the size, so that every photo costs about the same.
    low, high = 50, 98
    while high - low > 1:
        middle = (low + high) // 2
        data = saved(image, "JPEG", quality=middle)
        low, high = (middle, high) if len(data) < _BYTES else (low, middle)
    return data
