"""The behaviour checks against answers that are computed here: each fault meets its step."""

import numpy as np
import pytest

from exporter.errors import RefusedError
from exporter.proof.behaviour import extremes, require_healthy

BOUND = 1e-4
PIXELS = np.random.default_rng(3).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)


def healthy(images):
    scores = images.mean(axis=(1, 2)) / 64
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)


def refused(answer, step, word, **options):
    with pytest.raises(RefusedError, match=word) as caught:
        require_healthy(answer, PIXELS, bound=BOUND, **options)
    assert caught.value.step == step


def test_a_healthy_model_passes_and_says_what_was_found():
    lines = require_healthy(healthy, PIXELS, bound=BOUND)
    assert [line.step for line in lines] == ["behaviour", "repeat", "company"]
    assert lines[2].bound == "0.0001"


def test_it_costs_some_fifty_answers_however_many_goldens_there_are():
    asked = []

    def counting(images):
        asked.append(len(images))
        return healthy(images)

    require_healthy(counting, np.repeat(PIXELS, 4, axis=0), bound=BOUND)
    assert 30 <= sum(asked) <= 60
    assert {1, 2, 3, 8} < set(asked)


@pytest.mark.parametrize(("side", "largest"), [(240, 14), (300, 7), (600, 3), (1024, 3)])
def test_large_images_come_in_smaller_batches_and_never_without_company(side, largest):
    asked = []

    def counting(images):
        asked.append(len(images))
        return healthy(images)

    pixels = np.random.default_rng(3).integers(0, 256, (8, side, side, 3), dtype=np.uint8)
    require_healthy(counting, pixels, bound=BOUND)
    assert max(asked) == largest


def test_company_is_noticed_among_large_images():
    def averaging(images):
        return healthy(images) + np.float32(1e-3) * images.mean().astype(np.float32) / 255

    large = np.repeat(np.repeat(PIXELS, 64, axis=1), 64, axis=2)
    with pytest.raises(RefusedError, match="answered otherwise") as caught:
        require_healthy(averaging, large, bound=BOUND)
    assert caught.value.step == "company"


def test_a_constant_model_is_refused_unless_it_may_be():
    def constant(images):
        return np.full((len(images), 3), 1 / 3, np.float32)

    refused(constant, "behaviour", "same answer to all 8 golden images")
    require_healthy(constant, PIXELS, bound=BOUND, may_be_constant=True)


def test_rounding_does_not_make_a_constant_model_a_varied_one():
    def nearly(images):
        rows = np.full((len(images), 3), 1 / 3, np.float32)
        rows[::2] = np.nextafter(rows[::2], np.float32(1))
        return rows

    refused(nearly, "behaviour", "same answer to all")


def test_a_small_difference_is_no_constant_model():
    def timid(images):
        return np.float32(0.5) + (healthy(images) - np.float32(0.5)) * np.float32(1e-4)

    require_healthy(timid, PIXELS, bound=BOUND)


@pytest.mark.parametrize(("name", "image"), extremes(16, 16).items())
@pytest.mark.parametrize("bad", [np.nan, np.inf, 2.0])
def test_anything_wrong_on_a_single_extreme_image_is_named(name, image, bad):
    def wrong(images):
        answers = healthy(images)
        answers[(images == image).all(axis=(1, 2, 3)), 0] = bad
        return answers

    refused(wrong, "behaviour", f"answer to a {name} image")


def test_nan_on_a_golden_image_is_named():
    def wrong(images):
        answers = healthy(images)
        answers[(images == PIXELS[5]).all(axis=(1, 2, 3))] = np.nan
        return answers

    refused(wrong, "behaviour", "golden image 5")


@pytest.mark.parametrize(
    ("accepted", "failing"), [({8}, "1, 2, 3"), ({1}, "2, 3, 8"), ({2, 8}, "1, 3")]
)
def test_sizes_that_fail_are_listed(accepted, failing):
    def picky(images):
        if len(images) not in accepted:
            raise ValueError("Input to reshape is a tensor\nand much more")
        return healthy(images)

    refused(picky, "behaviour", rf"it fails with {failing} \(Input to reshape is a tensor\)")


def test_another_number_of_rows_is_a_failure_of_that_size():
    refused(lambda images: healthy(images)[:2], "behaviour", "it fails with 3, 8;")


def test_a_large_batch_that_fails_is_refused_without_a_traceback():
    def small_only(images):
        if len(images) > 8:
            raise ValueError("too many")
        return healthy(images)

    refused(small_only, "behaviour", "fails with a batch of 14 images: too many")


def test_a_model_that_answers_nothing_says_why():
    def broken(_):
        raise ValueError("no kernel")

    refused(broken, "behaviour", r"answers no image \(no kernel\)")


def test_answers_that_change_from_time_to_time():
    noise = np.random.default_rng(1)

    def dropping(images):
        return healthy(images) + noise.normal(0, 1e-3, (len(images), 1)).astype(np.float32)

    refused(dropping, "repeat", "asked twice")


def influenced(weight):
    return lambda images: np.clip(healthy(images) + np.float32(weight(images)), 0, 1)


@pytest.mark.parametrize(
    "weight",
    [
        lambda images: images.mean() / 1e4,
        lambda images: len(images) / 1e3,
        lambda images: (len(images) == 2) / 1e3,
        lambda images: np.arange(len(images))[:, np.newaxis] / 1e3,
        lambda images: float((images == 255).all(axis=(1, 2, 3)).any()) / 1e3,
    ],
    ids=["mean", "size", "two", "place", "a white neighbour"],
)
def test_neighbours_that_change_an_answer(weight):
    refused(influenced(weight), "company", "one image of a batch changes another's")


def test_rounding_by_the_batch_size_is_allowed():
    require_healthy(influenced(lambda images: len(images) * 1e-6), PIXELS, bound=BOUND)
