"""Fit, crop and filter of the applications, family by family."""

import pytest

from exporter.sources.evaluated_as import evaluated_as


@pytest.mark.parametrize(
    ("family", "side", "fit", "fraction", "resample"),
    [
        ("mobilenet_v2", 224, "center_crop", 0.875, "bilinear"),
        ("nasnet", 331, "center_crop", 0.875, "bilinear"),
        ("efficientnet", 224, "center_crop", 0.875, "bicubic"),
        ("efficientnet", 600, "center_crop", 0.9494, "bicubic"),
        ("efficientnet_v2", 300, "center_crop", 0.9036, "bilinear"),
        ("efficientnet_v2", 384, "stretch", None, "bilinear"),
        ("convnext", 224, "center_crop", 0.875, "bicubic"),
        ("convnext", 384, "stretch", None, "bicubic"),
    ],
)
def test_each_family_has_its_own(family, side, fit, fraction, resample):
    fields = evaluated_as(family, side)
    assert (fields["fit"], fields.get("crop_fraction"), fields["filter"]) == (
        fit,
        fraction,
        resample,
    )


def test_of_a_family_that_is_new_nothing_is_assumed():
    assert evaluated_as("convnext_v3", 224) == {}
