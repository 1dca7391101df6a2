"""Preprocessing as a value: the grammar of --preprocess, and its canonical form."""

import pytest

from exporter.errors import UsageError
from exporter.preprocessing import CAFFE, NAMED, NONE, RESCALE, TF, TORCH, Preprocess, parse


def test_names_are_known_and_given_back():
    assert {name: str(parse(name)) for name in NAMED} == {name: name for name in NAMED}


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("mean=127,scale=128", Preprocess((127, 127, 127), (128, 128, 128))),
        ("scale = 2 , mean = 1", Preprocess((1, 1, 1), (2, 2, 2))),
        ("order=bgr", Preprocess(order="bgr")),
        (
            "mean=123.68/116.779/103.939,scale=58.4/57.1/57.4",
            Preprocess((123.68, 116.779, 103.939), (58.4, 57.1, 57.4)),
        ),
        ("mean=-1e2", Preprocess(mean=(-100, -100, -100))),
    ],
)
def test_figures_are_read(text, mode):
    assert parse(text) == mode


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("scale=128,mean=127.0", "mean=127,scale=128"),
        ("mean=127.5,scale=127.5/127.5/127.5", "tf"),
        ("scale=255", "rescale"),
        ("order=bgr,mean=103.939/116.779/123.68", "caffe"),
        ("mean=0", "none"),
        ("scale=58.4/57.1/57.4,order=bgr", "scale=58.4/57.1/57.4,order=bgr"),
    ],
)
def test_the_same_is_always_written_the_same_way(text, canonical):
    assert str(parse(text)) == canonical
    assert parse(canonical) == parse(text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("imagenet", "write none, tf, torch, caffe, rescale, or settings such as mean="),
        ("", "write none"),
        ("mean", "write none"),
        ("mean=1,", "write none"),
        ("mean=1,mean=2", "mean is given twice"),
        ("mean=1/2", "neither a number nor three"),
        ("mean=x", "'x' is neither a number"),
        ("scale=nan", "neither a number"),
        ("scale=1/0/1", "scale divides, so it must not be 0"),
        ("order=gbr", "order is rgb or bgr"),
    ],
)
def test_anything_else_is_a_usage_error(text, complaint):
    with pytest.raises(UsageError, match=complaint):
        parse(text)


def test_figures_per_channel_are_known_as_such():
    assert [mode.is_per_channel for mode in (NONE, TF, RESCALE)] == [False] * 3
    assert [mode.is_per_channel for mode in (TORCH, CAFFE, Preprocess(order="bgr"))] == [True] * 3
