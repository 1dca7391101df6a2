"""JSON as TensorFlow Serving's RapidJSON reads it."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.codes import Code
from serving.core.errors import ServingError
from serving.rest.reader import loads, members

ARRAY_END = "Missing a comma or ']' after an array element."


def parse_error(text):
    with pytest.raises(ServingError) as caught:
        loads(text)
    assert Code.INVALID_ARGUMENT is caught.value.code
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "The document is empty"),
        (b" \n", "The document is empty. at offset: 2"),
        (b"\x00", "The document is empty. at offset: 0"),
        (b"\xef\xbb\xbf", "The document is empty. at offset: 3"),
        (b" }", "The document is empty. at offset: 1"),
        (b",1", "The document is empty. at offset: 0"),
        (b"// comment", "Invalid value. at offset: 0"),
        (b"nul", "Invalid value. at offset: 3"),
        (b"{1: 2}", "Missing a name for object member. at offset: 1"),
        (b'{"a" 1}', "Missing a colon after a name of object member. at offset: 5"),
        (b'{"a": 1 "b"}', "Missing a comma or '}' after an object member. at offset: 8"),
        (b'{"a": 1]', "Missing a comma or '}' after an object member. at offset: 7"),
        (b'{"a":}', "Invalid value. at offset: 5"),
        (b"[1,]", "Invalid value. at offset: 3"),
        (b"[1}", f"{ARRAY_END} at offset: 2"),
        (b"[" * 1_000, "Invalid value. at offset: 1000"),
        (b"[" * 100_000, "The document is nested too deep. at offset: 1001"),
        (b'{"a":' * 100_000, "The document is nested too deep. at offset: 5001"),
        (b"[" * 1_001 + b"\xff", "The document is nested too deep. at offset: 1001"),
        (b'{"\xff":' * 1_001, "The document is nested too deep. at offset: 5001"),
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
        (b"[1.2.3]", f"{ARRAY_END} at offset: 4"),
        (b"[1e5.5]", f"{ARRAY_END} at offset: 4"),
        (b'\xef\xbb\xbf["\xff\xc3\xa9" 1]', f"{ARRAY_END} at offset: 10"),
        (b'["\xc3\xa9" 1]', f"{ARRAY_END} at offset: 6"),
        (b"[1e]", "Miss exponent in number. at offset: 3"),
        (b"[1e+]", "Miss exponent in number. at offset: 4"),
        (b"[-1e309]", "Number too big to be stored in double. at offset: 1"),
        (b"[" + b"1" * 310 + b"]", "Number too big to be stored in double. at offset: 1"),
        (b"[01]", f"{ARRAY_END} at offset: 2"),
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
        (b'{"\xff": "\x80\\u00ff\xc3\xa9"} \xff', {"\udcff": "\udc80\xffé"}),
        (b"[Infinity, -Infinity, Inf, -Inf]", [math.inf, -math.inf] * 2),
        (b"[-0, -0.0]", [0, -0.0]),
    ],
)  # fmt: skip
def test_what_rapidjson_accepts_is_read(text, value):
    assert value == loads(text)


def test_of_a_repeated_key_the_first_counts_and_all_are_members():
    value = loads(b'{"a": 1, "b": 2, "a": 3}')

    assert value["a"] == 1
    assert members(value) == [("a", 1), ("b", 2), ("a", 3)]


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
        ("123456789.123456789", 123456789.1234568),
        ("5e-324", 5e-324),
        ("1.7976931348623157e308", 1.7976931348623157e308),
        ("1e-400", 0.0),
        ("1e-99999999999999999999", 0.0),
        ("1e0000000000000000000005", 100000.0),
    ],
)
def test_numbers_are_rounded_as_rapidjson_does(token, value):
    (actual,) = loads(f"[{token}]".encode())

    assert value == actual
    assert type(value) is type(actual)


# Floats of few digits, which RapidJSON rounds as everybody does.
numbers = st.integers(-(2**63), 2**64 - 1) | st.integers(-(10**6), 10**6).map(lambda n: n / 1000)
documents = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(document=documents, is_ascii=st.booleans(), indent=st.sampled_from([None, 1]))
def test_what_python_writes_is_read_as_python_reads_it(document, is_ascii, indent):
    text = json.dumps(document, ensure_ascii=is_ascii, indent=indent)

    assert repr(json.loads(text)) == repr(loads(text.encode()))


def offset_of_error(body):
    try:
        loads(body)
    except ServingError as error:
        return int(error.message.rpartition(" at offset: ")[2])
    return None


@given(document=documents, damage=st.binary(min_size=1, max_size=3), data=st.data())
def test_any_bytes_are_a_value_or_an_error_at_one_of_them(document, damage, data):
    body = bytearray(json.dumps(document, ensure_ascii=False).encode())
    at = data.draw(st.integers(0, len(body)))
    body[at : at + len(damage)] = damage

    assert offset_of_error(bytes(body)) in {None, *range(len(body) + 1)}


def test_a_body_that_is_not_utf_8_is_read_as_its_bytes():
    raw = bytes(range(0x20, 0x100)).replace(b'"', b"").replace(b"\\", b"")

    (text,) = loads(b'["' + raw + b'"]')

    assert raw == text.encode("utf-8", "surrogateescape")
