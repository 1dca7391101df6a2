"""Many images: lazily, in order, within bounds."""

import threading
from itertools import count, islice

import pytest

from sightserve.client.errors import UnusableImageError
from sightserve.client.many import AHEAD, in_threads


def test_an_endless_input_is_read_no_further_than_needed():
    read = []

    def images():
        for number in count():
            read.append(number)
            yield number

    items = in_threads(lambda image: image, images(), 3, "input")
    assert [item.result for item in islice(items, 50)] == list(range(50))
    items.close()
    assert len(read) <= 50 + (AHEAD + 1) * 3


@pytest.mark.parametrize("order", ["input", "completed"])
def test_a_slow_one_holds_up_only_those_that_must_come_after_it(order):
    others, release = threading.Semaphore(0), threading.Event()

    def classify(image):
        if image == 0:
            assert release.wait(60)
        else:
            others.release()
        return image

    items = in_threads(classify, range(6), 2, order)
    if order == "completed":
        assert [next(items).result for _ in range(5)] == [1, 2, 3, 4, 5]
        release.set()
        assert [item.result for item in items] == [0]
        return
    threading.Thread(target=lambda: [others.acquire() for _ in range(5)] and release.set()).start()
    assert [item.result for item in items] == [0, 1, 2, 3, 4, 5]


def test_never_more_are_in_progress_than_allowed():
    lock, present, most = threading.Lock(), 0, 0

    def classify(image):
        nonlocal present, most
        with lock:
            present += 1
            most = max(most, present)
        with lock:
            present -= 1
        return image

    assert len(list(in_threads(classify, range(200), 4, "completed"))) == 200
    assert most <= 4


def test_a_bad_image_is_an_item_and_the_rest_goes_on():
    def classify(image):
        if image == 1:
            raise UnusableImageError("no")
        return image

    items = list(in_threads(classify, range(3), 2, "input"))
    assert [item.result for item in items] == [0, None, 2]
    with pytest.raises(UnusableImageError):
        items[1].unwrap()
    assert items[2].unwrap() == 2


def test_a_mistake_of_the_caller_is_raised():
    def classify(_image):
        raise TypeError("unexpected keyword")

    with pytest.raises(TypeError, match="unexpected keyword"):
        list(in_threads(classify, range(3), 2, "input"))


def test_an_input_that_fails_ends_it():
    def images():
        yield 1
        raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError, match="disk"):
        list(in_threads(lambda image: image, images(), 2, "input"))


@pytest.mark.parametrize("arguments", [(0, "input"), (1, "sorted")])
def test_wrong_arguments_are_refused_at_once(arguments):
    with pytest.raises(ValueError, match=r"concurrency|order"):
        in_threads(lambda image: image, [], *arguments)
