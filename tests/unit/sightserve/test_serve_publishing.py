"""Which of the exporter's commands run when nothing was named."""

import pytest

from sightserve.serve.errors import ServeError, TargetError
from sightserve.serve.publishing import Publisher


class Exporter(Publisher):
    """Notes the models that would be published; each ends with the exit code it is told."""

    def __init__(self, **codes):
        super().__init__(lambda _: None)
        self._codes = codes
        self.asked = []

    def _exporter(self, *arguments):
        self.asked.append(arguments[2])
        return self._codes[arguments[2]]


def test_the_default_is_published_in_one_go(tmp_path):
    exporter = Exporter(MobileNetV2=0)
    assert exporter.publish_default(tmp_path, "").name == "mobilenetv2"
    assert exporter.asked == ["MobileNetV2"]


def test_without_its_weights_the_digits_come_in_its_place(tmp_path):
    exporter = Exporter(MobileNetV2=3, digits=0)
    assert exporter.publish_default(tmp_path, "").name == "digits"
    assert exporter.asked == ["MobileNetV2", "digits"]


@pytest.mark.parametrize(
    ("code", "weights", "error"), [(4, "", ServeError), (2, "", TargetError), (3, "F", ServeError)]
)
def test_every_other_failure_is_one_error_and_no_second_try(tmp_path, code, weights, error):
    exporter = Exporter(MobileNetV2=code)
    with pytest.raises(error, match="MobileNetV2 could not be published"):
        exporter.publish_default(tmp_path, weights)
    assert exporter.asked == ["MobileNetV2"]
