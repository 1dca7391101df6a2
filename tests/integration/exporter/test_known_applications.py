"""The applications of Keras and what each does to pixels, found by looking."""

import pytest

from exporter.errors import UsageError
from exporter.sources.evaluated_as import evaluated_as
from exporter.sources.known_applications import application_names, find_application


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("MobileNetV2", "tf"),
        ("ResNet50", "caffe"),
        ("DenseNet121", "torch"),
        ("EfficientNetB0", "none"),
        ("MobileNetV3Small", "none"),
        ("InceptionV3", "tf"),
        ("ConvNeXtTiny", "none"),
    ],
)
def test_an_applications_mode_is_found_in_its_module(name, mode):
    assert str(find_application(name).preprocess) == mode


def test_every_application_of_keras_is_found():
    names = application_names()
    assert len(names) >= 38
    for name in names:
        application = find_application(name)
        assert application.preprocess is not None
        assert evaluated_as(application.family, 224)["fit"] == "center_crop"


def test_applications_are_found_whatever_their_capitals():
    assert find_application("mobilenetv2").name == "MobileNetV2"


def test_a_misspelled_application_gets_suggestions():
    with pytest.raises(UsageError, match="did you mean: ResNet50"):
        find_application("ResNet5O")
