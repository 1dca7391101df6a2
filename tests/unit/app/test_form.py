"""Forms read in pieces of any size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import PayloadTooLargeError, RequestError
from app.http.form import Form

OPTIONS = {b"boundary": b"frontier"}


def body(*parts, end=b"--frontier--\r\n"):
    return b"".join(b"--frontier\r\n" + part + b"\r\n" for part in parts) + end


def part(name, data, file_name=None):
    disposition = f"Content-Disposition: form-data; name={name}"
    if file_name is not None:
        disposition += f'; filename="{file_name}"'
    return disposition.encode() + b"\r\n\r\n" + data


def read(data, sizes=(10**9,), *, field="file", max_files=2):
    form = Form(OPTIONS, field=field, max_files=max_files)
    position, number = 0, 0
    while position < len(data):
        size = sizes[number % len(sizes)]
        form.feed(data[position : position + size])
        position, number = position + size, number + 1
    return [(name, file.getvalue()) for name, file in form.finish()]


@given(
    contents=st.lists(st.binary(max_size=200), min_size=1, max_size=2),
    sizes=st.lists(st.integers(1, 50), min_size=1, max_size=5),
)
def test_pieces_make_no_difference(contents, sizes):
    tricky = [content + b"\r\n--frontie" for content in contents]
    data = body(part("other", b"x" * 99), *(part("file", each, "a.jpg") for each in tricky))
    assert read(data, sizes) == [("a.jpg", each) for each in tricky]


def test_what_is_not_asked_for_is_not_kept():
    form = Form(OPTIONS, field="file", max_files=1)
    form.feed(body(part("other", bytes(1_000_000)), part("file", b"abc")))
    assert [(name, file.getvalue()) for name, file in form.finish()] == [(None, b"abc")]


def test_a_file_too_many_is_noticed_when_it_begins():
    form = Form(OPTIONS, field="file", max_files=1)
    form.feed(body(part("file", b"a"), end=b""))
    with pytest.raises(
        PayloadTooLargeError, match="may have one file: send several to /classify/batch"
    ):
        form.feed(b"--frontier\r\n" + part("file", b"b"))


def test_parts_are_bounded():
    with pytest.raises(PayloadTooLargeError, match="2,048 parts"):
        read(body(*([part("x", b"")] * 3000)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "incomplete"),
        (body(part("file", b"abc"), end=b""), "incomplete"),
        (b"--frontier\r\nno colon\r\n\r\nabc\r\n--frontier--", "cannot be parsed"),
        (b"--frontier--\r\n", "no field file"),
        (body(part("a", b""), part("b", b"")), "the form has: a, b"),
    ],
)
def test_what_is_no_form_says_why(data, message):
    with pytest.raises(RequestError, match=message):
        read(data)


@pytest.mark.parametrize("options", [{}, {b"boundary": b""}, {b"boundary": b"x" * 300}])
def test_a_boundary_is_needed(options):
    with pytest.raises(RequestError):
        Form(options, field="file", max_files=1)
