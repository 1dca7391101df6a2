"""How each Keras application's published ImageNet accuracy was measured: fit, crop and filter.

An application answers worse when its images are cut otherwise: with real weights on 8 photographs
`stretch` had 6 right, the crop below 8. The figures are those of the code that trained each family,
as Keras took the weights over from there:

    convnext           github.com/facebookresearch/ConvNeXt, datasets.py: 224 of 256, bicubic;
                       384 and more: the whole image, stretched
    densenet           github.com/liuzhuang13/DenseNet: 224 of 256
    efficientnet       github.com/tensorflow/tpu, models/official/efficientnet/preprocessing.py:
                       side / (side + 32), bicubic
    efficientnet_v2    github.com/google/automl, efficientnetv2/preprocessing.py: side / (side + 32)
                       below 320, else the whole image, stretched; bilinear
    inception_v3, inception_resnet_v2, mobilenet, mobilenet_v2, mobilenet_v3, nasnet, resnet_v2,
    xception           github.com/tensorflow/models, research/slim/preprocessing/
                       inception_preprocessing.py: the middle 0.875, bilinear (it also stretches
                       that middle to a square; we keep its proportions)
    resnet, vgg16, vgg19
                       github.com/KaimingHe/deep-residual-networks and the VGG paper
                       (arXiv 1409.1556): 224 of 256, bilinear

Antialiasing stays on, although their TensorFlow code had none: it lets the gateway decode a JPEG at
a smaller scale.
"""

from __future__ import annotations

from typing import Any, Final

from contract.image_spec import Filter

_CROP_FRACTION: Final = 0.875
_BILINEAR_CROP_FAMILIES: Final = frozenset(
    {
        *("densenet", "inception_resnet_v2", "inception_v3", "mobilenet", "mobilenet_v2"),
        *("mobilenet_v3", "nasnet", "resnet", "resnet_v2", "vgg16", "vgg19", "xception"),
    }
)
_EFFICIENTNET_PADDING_PIXELS: Final = 32
_CONVNEXT_WHOLE_FROM_PIXELS: Final = 384
_EFFICIENTNET_V2_WHOLE_FROM_PIXELS: Final = 320


def evaluated_as(family: str, side_pixels: int) -> dict[str, Any]:
    """Fields of ImageSpec for an application; none for a family that Keras has got since.

    Args:
        family: its module in keras.applications, such as `efficientnet_v2`.
        side_pixels: of its input; the smaller one.
    """
    padded = side_pixels / (side_pixels + _EFFICIENTNET_PADDING_PIXELS)
    if family == "convnext":
        is_whole = side_pixels >= _CONVNEXT_WHOLE_FROM_PIXELS
        return _whole("bicubic") if is_whole else _crop(_CROP_FRACTION, "bicubic")
    if family == "efficientnet":
        return _crop(padded, "bicubic")
    if family == "efficientnet_v2":
        is_whole = side_pixels >= _EFFICIENTNET_V2_WHOLE_FROM_PIXELS
        return _whole("bilinear") if is_whole else _crop(padded, "bilinear")
    return _crop(_CROP_FRACTION, "bilinear") if family in _BILINEAR_CROP_FAMILIES else {}


def _crop(fraction: float, resample: Filter) -> dict[str, Any]:
    return {"fit": "center_crop", "crop_fraction": round(fraction, 4), "filter": resample}


def _whole(resample: Filter) -> dict[str, Any]:
    return {"fit": "stretch", "filter": resample}
