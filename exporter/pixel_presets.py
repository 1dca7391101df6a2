"""How well-known training inputs make an image small, as fields of ImageSpec.

`tests/integration/exporter/test_pixel_presets.py` holds each against the functions it stands for.
None of those functions turns an image upright by its EXIF orientation or puts a background behind
transparent pixels; ours do, and images without either come out the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_POINT_SAMPLED: Final = {"fit": "stretch", "filter": "bilinear", "antialias": False}

PRESETS: Final[Mapping[str, Mapping[str, Any]]] = {
    # keras.utils.image_dataset_from_directory: its defaults end in tf.image.resize's.
    "keras": _POINT_SAMPLED,
    # keras.utils.load_img(target_size=...) and ImageDataGenerator: Pillow's nearest pixel.
    "keras-load-img": {"fit": "stretch", "filter": "nearest", "antialias": True},
    # Resize(256), CenterCrop(224), and every other pair of that ratio.
    "torchvision": {
        "fit": "center_crop",
        "crop_fraction": 0.875,
        "filter": "bilinear",
        "antialias": True,
    },
    # tf.image.resize(image, size): bilinear, four neighbours of a point however much it shrinks.
    "tf-dataset": _POINT_SAMPLED,
}
