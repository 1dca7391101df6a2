"""Any JSON value: it becomes its numbers, or the first thing that is wrong is named."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.core.errors import ServingError
from serving.rest.elements import ElementError, batch, tensor


def mistakes(value, shape, level=0):
    """Element by element, depth first: what is wrong with a uint8 tensor, in the order of it."""
    if isinstance(value, list):
        if level == len(shape):
            yield "unexpected level"
        elif len(value) != shape[level]:
            yield f"unexpected size: {len(value)} at level: {level}"
        else:
            for item in value:
                yield from mistakes(item, shape, level + 1)
    elif level != len(shape):
        yield f"JSON Value: {json.dumps(value)} found at incorrect level: {level + 1} "
    elif type(value) is not int or not 0 <= value <= 255:
        yield f"JSON Value: {json.dumps(value)} Type"


def announced(value):
    return [len(value), *(announced(value[0]) if value else [])] if isinstance(value, list) else []


leaves = st.integers(0, 3) | st.sampled_from([256, -1, True, None, "x"])
ragged = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3), max_leaves=12)
regular = st.lists(
    st.lists(st.lists(leaves, min_size=2, max_size=2), min_size=2, max_size=2), max_size=3
)


@settings(max_examples=200)
@given(value=ragged | regular)
def test_a_value_becomes_its_numbers_or_the_first_thing_that_is_wrong(value):
    mistake = next(mistakes(value, announced(value)), None)
    if mistake is None:
        expected = np.array(value, np.uint8)
        array = tensor("x", value, "DT_UINT8")
        assert (expected.shape, expected.tolist()) == (array.shape, array.tolist())
        return
    with pytest.raises(ServingError) as caught:
        tensor("x", value, "DT_UINT8")
    assert mistake in caught.value.message


def first_unlike(values):
    """The index of the first value that is no tensor or has not the first one's shape, or None."""
    for index, value in enumerate(values):
        try:
            shape = tensor("x", value, "DT_UINT8").shape
        except ServingError:
            return index
        if list(shape) != announced(values[0]):
            return index
    return None


@settings(max_examples=100)
@given(values=st.lists(ragged, min_size=1, max_size=4))
def test_a_batch_is_its_values_or_the_first_of_them_that_is_wrong(values):
    unlike = first_unlike(values)
    if unlike is None:
        singles = [tensor("x", value, "DT_UINT8") for value in values]
        assert np.array_equal(np.stack(singles), batch("x", values, "DT_UINT8"))
        return
    with pytest.raises(ElementError) as caught:
        batch("x", values, "DT_UINT8")
    assert unlike == caught.value.index
