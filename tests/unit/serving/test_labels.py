from __future__ import annotations

import pytest

from protocol.codes import Code
from serving.core.errors import ServingError
from serving.core.labels import LabelMap, check_labels


def available(model_name):
    return {"m": frozenset({1, 2})}.get(model_name, frozenset())


@pytest.mark.parametrize(
    ("current", "wanted", "allow_unavailable", "refused"),
    [
        ({}, {"m": {"stable": 1}}, False, None),
        ({}, {"m": {"stable": 3}}, False, (3, "m")),
        ({}, {"m": {"stable": 3}}, True, None),
        ({"m": {"stable": 1}}, {"m": {"stable": 2}}, True, None),
        ({"m": {"stable": 1}}, {"m": {"stable": 3}}, True, (3, "m")),
        ({"m": {"stable": 3}}, {"m": {"stable": 3}}, True, None),
        ({}, {"other": {"a": 1}}, False, (1, "other")),
    ],
)
def test_labels_point_at_available_versions(current, wanted, allow_unavailable, refused):
    if refused is None:
        check_labels(current, wanted, available, allow_unavailable=allow_unavailable)
        return
    with pytest.raises(ServingError) as caught:
        check_labels(current, wanted, available, allow_unavailable=allow_unavailable)
    version, model_name = refused
    assert caught.value.code is Code.FAILED_PRECONDITION
    assert caught.value.message == (
        f"Request to assign label to version {version} of model {model_name}, "
        "which is not currently available for inference"
    )


def test_an_unknown_label_is_named():
    labels = LabelMap()
    labels.replace({"m": {"stable": 1}})
    assert labels.version_of("m", "stable") == 1
    for model_name, label in (("m", "nope"), ("nope", "stable")):
        with pytest.raises(ServingError, match=f"Unrecognized servable version label: {label}"):
            labels.version_of(model_name, label)
