"""JSON as RapidJSON reads and writes it."""

import math

import numpy as np
import pytest

from serving.core.errors import Code, ServingError
from serving.rest import base64text, documents, jsontext, rapidjson
from serving.rest.numbers import float_texts, parse_float, parse_number


def parse_error(text):
    with pytest.raises(ServingError) as caught:
        rapidjson.loads(text)
    assert Code.INVALID_ARGUMENT is caught.value.code
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "The document is empty"),
        (b" \n", "The document is empty. at offset: 2"),
        (b"\x00", "The document is empty. at offset: 0"),
        (b"\xef\xbb\xbf", "The document is empty. at offset: 3"),
        (b"// comment", "Invalid value. at offset: 0"),
        (b"nul", "Invalid value. at offset: 3"),
        (b"{1: 2}", "Missing a name for object member. at offset: 1"),
        (b'{"a" 1}', "Missing a colon after a name of object member. at offset: 5"),
        (b'{"a": 1 "b"}', "Missing a comma or '}' after an object member. at offset: 8"),
        (b'{"a": 1]', "Missing a comma or '}' after an object member. at offset: 7"),
        (b'{"a":}', "Invalid value. at offset: 5"),
        (b"[1,]", "Invalid value. at offset: 3"),
        (b"[1}", "Missing a comma or ']' after an array element. at offset: 2"),
        (b"[" * 100_000, "Invalid value. at offset: 100000"),
        (b'["a', "Missing a closing quotation mark in string. at offset: 3"),
        (b'["\n"]', "Invalid escape character in string. at offset: 2"),
        (b'["\\q"]', "Invalid escape character in string. at offset: 2"),
        (b'["\\u12x4"]', "Incorrect hex digit after \\u escape in string. at offset: 2"),
        (b'["\\ud800"]', "The surrogate pair in string is invalid. at offset: 2"),
        (b'["\\ud800\\u0041"]', "The surrogate pair in string is invalid. at offset: 2"),
        (b"[-]", "Invalid value. at offset: 2"),
        (b"[-x]", "Invalid value. at offset: 2"),
        (b"[Nan]", "Invalid value. at offset: 3"),
        (b"[Infinite]", "Invalid value. at offset: 8"),
        (b"[1.]", "Miss fraction part in number. at offset: 3"),
        (b"[1.e5]", "Miss fraction part in number. at offset: 3"),
        (b"[1e]", "Miss exponent in number. at offset: 3"),
        (b"[1e+]", "Miss exponent in number. at offset: 4"),
        (b"[-1e309]", "Number too big to be stored in double. at offset: 1"),
        (b"[" + b"1" * 310 + b"]", "Number too big to be stored in double. at offset: 1"),
        (b"[01]", "Missing a comma or ']' after an array element. at offset: 2"),
    ],
)
def test_a_broken_text_is_refused_with_its_reason_and_byte_offset(text, message):
    assert f"JSON Parse error: {message}" == parse_error(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'\xef\xbb\xbf {"a": [1, 2.5, "x"]} trailing', {"a": [1, 2.5, "x"]}),
        (b"[true, false, null]", [True, False, None]),
        (b'{"a": {}, "b": [], "c": [[], {}]}', {"a": {}, "b": [], "c": [[], {}]}),
        (b'["\\u00e9\\n\\/\\ud83d\\ude00"]', ["é\n/😀"]),
        (b'["\xff"]', ["\udcff"]),
        (b'["\\udc80"]', ["\udced\udcb2\udc80"]),
        (b"[Infinity, -Infinity, Inf, -Inf]", [math.inf, -math.inf] * 2),
        (b"[-0, -0.0]", [0, -0.0]),
    ],
)  # fmt: skip
def test_what_rapidjson_accepts_is_read(text, value):
    assert value == rapidjson.loads(text)


def test_of_a_repeated_key_the_first_counts_and_all_are_members():
    value = rapidjson.loads(b'{"a": 1, "b": 2, "a": 3}')

    assert value["a"] == 1
    assert rapidjson.members(value) == [("a", 1), ("b", 2), ("a", 3)]


@pytest.mark.parametrize(
    ("token", "value"),
    [
        ("0", 0),
        ("-9223372036854775808", -(2**63)),
        ("-9223372036854775809", -9223372036854775808.0),
        ("-9999999999999999999", -9999999999999999999.0),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", 18446744073709551616.0),
        ("1" + "0" * 30, 9.999999999999999e29),  # digit by digit, as recorded
        ("1e30", 1e30),
        ("0.1", 0.1),
        ("5e-324", 5e-324),
        ("1.7976931348623157e308", 1.7976931348623157e308),
        ("2e308", math.inf),  # one exponent digit group too few to be noticed there
        ("1e-400", 0.0),
        ("1e-99999999999999999999", 0.0),
        ("1e0000000000000000000005", 100000.0),
    ],
)
def test_numbers_are_rounded_as_rapidjson_does(token, value):
    actual = parse_number(token.encode())

    assert value == actual
    assert type(value) is type(actual)


def test_short_decimals_take_the_quick_way_to_the_same_number():
    for token in ("0.1", "1.5", "-3.25", "123456.789012", "1e5", "123456789012345.678901"):
        assert float(parse_number(token.encode())) == parse_float(token)


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
        (0.000001, "0.000001"),
        (123456.75, "123456.75"),
        ({"a": [1, math.nan, 2]}, '{\n    "a": [1, '),
        ('\x01é"\udcff', '"\\u0001é\\"\udcff"'),
        ({"a": "x" * 300, "b": 1}, '{\n    "a": "' + "x" * 300 + '"'),
        ([1] * 300, "[1" + ", 1" * 85),
    ],
)  # fmt: skip
def test_a_value_is_quoted_as_rapidjson_prints_it(value, text):
    assert text == jsontext.pretty(value)


def test_quoting_a_deep_value_needs_no_deep_stack():
    value = []
    for _ in range(100_000):
        value = [value]

    assert jsontext.pretty(value) == "[" * 257


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (b"", b""),
        (b"YWI=", b"ab"),
        (b"YWI", b"ab"),
        (b"YWI.", b"ab"),
        (b" Y\nW I =\t", b"ab"),
        (b"YQ", b"a"),
        (b"YQ==\x00"[:4], b"a"),
        (b"+/+/", b"\xfb\xff\xbf"),
        (b"-_-_", None),
        (b"Y", None),
        (b"YWI==", None),
        (b"YQ=", None),
        (b"YQ==YQ==", None),
        (b"@@@@", None),
        (b"=", None),
    ],
)
def test_base64_is_read_with_abseils_latitude(text, content):
    assert content == base64text.unescape(text)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": 1} x',
        b'{"a": 1, "a": 2}',
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b'{"a": 1e999}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b"[1]",
        b"\xef\xbb\xbf{}",
        b'{"a": Inf}',
    ],
)
def test_what_python_would_read_otherwise_is_left_to_the_exact_reader(body):
    assert documents.read_quickly(body) is None
