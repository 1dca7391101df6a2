"""The quick reading of a predict body and the exact one never disagree."""

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.core.errors import ServingError
from serving.core.servable import TensorSpec
from serving.rest import documents, predict

DTYPES = [
    *("DT_FLOAT", "DT_DOUBLE", "DT_INT8", "DT_INT32", "DT_INT64", "DT_UINT8", "DT_UINT64"),
    *("DT_STRING", "DT_BOOL", "DT_HALF"),
]

elements = st.one_of(
    st.integers(-300, 300),
    st.sampled_from([2**31, 2**53 + 1, 2**63, 2**64, 10**25, -(2**63) - 1]),
    st.floats(width=32),
    st.sampled_from([True, False, None, "x", "YQ==", {"b64": "YQ=="}, {"b64": 1}, {}]),
)
tensors = st.one_of(
    st.lists(st.integers(0, 255), max_size=3),
    st.lists(st.lists(st.floats(-5, 5, width=16), min_size=2, max_size=2), max_size=3),
    st.recursive(elements, lambda inner: st.lists(inner, max_size=3), max_leaves=8),
)
named = st.dictionaries(st.sampled_from(["x", "y", "z"]), tensors, max_size=3)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "instances": st.lists(named, max_size=3) | tensors,
        "inputs": named | tensors,
        "signature_name": st.sampled_from(["s", "true", 5]),
    },
)


def outcome(read):
    try:
        request = read()
    except ServingError as error:
        return str(error)
    return (
        request.format,
        request.signature_name,
        {
            name: (array.dtype, array.shape, array.tolist())
            for name, array in request.tensors.items()
        },
    )


@settings(max_examples=500, deadline=None)
@given(
    body=bodies,
    dtypes=st.lists(st.sampled_from(DTYPES), min_size=1, max_size=2),
    tail=st.sampled_from(["", " ", "x"]),
)
def test_both_readings_give_the_same_tensors_or_the_same_error(body, dtypes, tail):
    inputs = {
        name: TensorSpec(name, dtype, None) for name, dtype in zip("xy", dtypes, strict=False)
    }
    text = (json.dumps(body) + tail).encode()

    quick = outcome(lambda: predict.parse_predict_request(text, lambda _name: inputs))
    exact = outcome(
        lambda: predict._request(documents.read_exactly(text), lambda _name: inputs, predict._exact)
    )

    # repr: NaN equals NaN, and -0.0 differs from 0.0.
    assert repr(exact) == repr(quick)


def test_decimals_as_programs_print_them_become_the_same_float32():
    values = np.random.default_rng(1).standard_normal(5_000).astype(np.float32)
    body = json.dumps({"instances": [float(value) for value in values]}).encode()
    inputs = {"x": TensorSpec("x", "DT_FLOAT", None)}

    request = predict.parse_predict_request(body, lambda _name: inputs)

    assert np.array_equal(values, request.tensors["x"])
