"""JSON as TensorFlow Serving writes it."""

import math

import numpy as np
import pytest

from serving.rest.text import float_texts, pretty


def test_floats_are_written_with_six_digits_or_as_many_as_they_need():
    single = [0.1, 1 / 3, 16777216, 1.0, 100000, 1e7, -0.0, 1e-10, math.nan, math.inf, -math.inf]
    texts = float_texts(np.array(single, np.float32))

    assert texts == [
        "0.1", "0.333333343", "16777216.0", "1.0", "100000.0", "1e+07", "-0.0", "1e-10",
        "NaN", "Infinity", "-Infinity",
    ]  # fmt: skip
    double = float_texts(np.array([0.1, 1 / 3, 123456789.123456789, 1e21]))
    assert double == ["0.1", "0.33333333333333331", "123456789.12345679", "1e+21"]


def test_every_float_reads_back_as_itself():
    bits = np.random.default_rng(1).integers(0, 2**32, 20_000, dtype=np.uint32)
    values = bits.view(np.float32)
    values = values[np.isfinite(values)]

    back = np.array([float(text) for text in float_texts(values)], np.float32)

    assert np.array_equal(values, back)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": 1, "b": [1, "x"]}, '{\n    "a": 1,\n    "b": [1, "x"]\n}'),
        ([{"a": {}}, []], '[{\n        "a": {}\n    }, []]'),
        ([1.0, 1e21, 1e20, 0.001, 0.0], "[1.0, 1e21, 100000000000000000000.0, 0.001, 0.0]"),
        (1.5e-7, "1.5e-7"),
        (0.30000000000000004, "0.30000000000000007"),
        (2.0**64, "18446744073709553000.0"),
        (-(2.0**70), "-1.1805916207174114e21"),
        (1.0000000000000001e-45, "1.0000000000000002e-45"),
        (-64953.7464, "-64953.7464"),
        (1.7548715433165102e172, "1.7548715433165102e172"),
        (5e-324, "0.0"),
        (-2e-308, "-0.0"),
        (0.000001, "0.000001"),
        (123456.75, "123456.75"),
        ({"a": [1, math.nan, 2]}, '{\n    "a": [1, '),
        ('\x01é"\udcff', '"\\u0001é\\"\udcff"'),
        ({"a": "x" * 300, "b": 1}, '{\n    "a": "' + "x" * 300 + '"'),
        ([1] * 300, "[1" + ", 1" * 85),
    ],
)  # fmt: skip
def test_a_value_is_quoted_as_rapidjson_prints_it(value, text):
    assert text == pretty(value)


def test_quoting_a_deep_value_needs_no_deep_stack():
    value = []
    for _ in range(100_000):
        value = [value]

    assert pretty(value) == "[" * 257


def test_a_quoted_double_reads_back_as_itself():
    bits = np.random.default_rng(1).integers(0, 2**63, 5_000, dtype=np.uint64)
    values = bits.view(np.float64)
    normal = values[np.isfinite(values) & (values > np.finfo(np.float64).smallest_normal)]

    assert normal.tolist() == [float(pretty(value)) for value in normal.tolist()]
