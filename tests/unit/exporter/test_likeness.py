"""What a lighter variant may differ by."""

import numpy as np
import pytest

from exporter.errors import RefusedError
from exporter.proof.likeness import BOUNDS, compare, require_alike

SURE = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1]], np.float32)


def test_the_same_answers_are_alike():
    line = require_alike("tflite none", SURE, SURE)
    assert line.step == "tflite parity"
    assert "off by 0.0e+00 at most" in line.found
    assert "100% of 2 images" in line.found


def test_the_largest_difference_of_any_probability_counts():
    off = SURE + np.array([[0, 0.01, 0], [0, 0, -0.03]], np.float32)
    assert compare(off, SURE, 0.1).max_abs_difference == pytest.approx(0.03)


def test_two_near_equal_classes_may_change_places():
    close = np.array([[0.50, 0.48, 0.02]], np.float32)
    swapped = np.array([[0.48, 0.50, 0.02]], np.float32)
    assert compare(swapped, close, 0.1).agreement == 1
    assert compare(swapped, close, 0.01).agreement == 0


def test_another_first_class_is_a_disagreement():
    assert compare(SURE[:, ::-1], SURE, 0.1).agreement == 0.5


@pytest.mark.parametrize("kind", BOUNDS)
def test_just_outside_of_the_bound_is_refused(kind):
    inside = SURE + np.float32(0.99 * BOUNDS[kind].difference)
    outside = SURE + np.float32(1.01 * BOUNDS[kind].difference)
    require_alike(kind, inside, SURE)
    with pytest.raises(RefusedError, match="allowed: ") as refused:
        require_alike(kind, outside, SURE)
    assert refused.value.step == f"{kind.partition(' ')[0]} parity"


@pytest.mark.parametrize("share", [0.0, 0.7])
def test_too_little_agreement_is_refused_within_the_difference(share):
    """Ten images whose first two classes lie just more apart than a tie."""
    images = 10
    expected = np.tile(np.array([[0.63, 0.37]], np.float32), (images, 1))
    got = expected.copy()
    got[int(share * images) :] = [0.49, 0.51]  # off by 0.14; apart by 0.26, which is no tie
    with pytest.raises(RefusedError, match=f"{share:.0%} of 10 images"):
        require_alike("tflite int8", got, expected)


@pytest.mark.parametrize("broken", [np.nan * SURE, SURE[:, :2], SURE[:1], np.zeros((2, 3))])
def test_nan_other_shapes_and_zeros_are_refused(broken):
    with pytest.raises(RefusedError):
        require_alike("tflite int8", broken.astype(np.float32), SURE)
