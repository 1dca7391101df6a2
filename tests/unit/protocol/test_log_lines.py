"""Log lines: status and route first, one line whatever clients send."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from protocol.log_lines import LineFormatter, console_line, escaped, has_colours, json_line

REQUEST = {
    "timestamp": "2026-01-31T12:00:00.123456Z",
    "level": "info",
    "event": "request",
    "status": 200,
    "method": "POST",
    "route": "/classify",
    "duration_ms": 18.94,
    "client": "127.0.0.1",
    "model": "digits",
    "version": 3,
    "label": "seven",
    "probability": 0.9812,
    "decode_ms": 1.2,
    "request_id": "abc",
}


def without_time(line):
    return line.split(" ", 1)[1]


def test_a_request_is_status_and_route_then_the_answer_the_time_and_the_client():
    line = console_line(REQUEST, colours=False)
    assert without_time(line) == ("200 POST /classify  digits/3  seven 98.1 %  18.9 ms  127.0.0.1")


def test_a_refusal_says_why_and_which_request_it_was():
    fields = REQUEST | {"status": 422, "problem": "invalid-image", "detail": "no image"}
    del fields["label"], fields["probability"]
    assert without_time(console_line(fields, colours=False)) == (
        "422 POST /classify  digits/3  18.9 ms  127.0.0.1"
        "  problem=invalid-image  detail='no image'  request_id=abc"
    )


def test_other_events_are_their_name_their_detail_and_their_facts():
    fields = {
        "timestamp": REQUEST["timestamp"],
        "level": "warning",
        "event": "not ready",
        "detail": "digits: no version is available",
        "versions": {"other": 1},
    }
    assert without_time(console_line(fields, colours=False)) == (
        'warning not ready: digits: no version is available  versions={"other": 1}'
    )


def test_colours_are_all_that_colours_add():
    plain, coloured = (console_line(REQUEST, colours=each) for each in (False, True))
    assert coloured != plain
    for code in ("\x1b[0m", "\x1b[2m", "\x1b[32m"):
        coloured = coloured.replace(code, "")
    assert coloured == plain


@pytest.mark.parametrize("name", ["route", "client", "label", "model", "detail", "path", "method"])
def test_no_value_can_end_the_line_or_command_the_terminal(name):
    evil = "a\nERROR forged\r\x1b[2Jb\x9b31m\u2028c\u202ed\x7f"
    fields = REQUEST | {"status": 404, name: evil}
    for event in ("request", "other"):
        line = console_line(fields | {"event": event}, colours=False)
        assert line.isprintable()
        assert "a\\nERROR forged\\r\\x1b[2Jb\\x9b31m\\u2028c\\u202ed\\x7f" in line.replace(
            "\\\\", "\\"
        )
    assert json_line(fields).isascii()
    assert json_line(fields).isprintable()
    assert json.loads(json_line(fields))[name] == evil


def test_long_values_are_cut():
    assert escaped("x" * 1000) == "x" * 500 + "…"


def test_json_begins_with_when_how_grave_and_what():
    line = json_line({"a": 1, "event": "e", "level": "info", "timestamp": "t"})
    assert list(json.loads(line)) == ["timestamp", "level", "event", "a"]


def record(message, **more):
    return logging.LogRecord("serving.core", logging.WARNING, __file__, 1, message, (), **more)


def test_loggers_write_the_same_lines():
    fields = json.loads(
        LineFormatter(for_people=False, colours=False).format(record("m", exc_info=None))
    )
    assert (fields["level"], fields["event"], fields["logger"]) == ("warning", "m", "serving.core")
    assert fields["timestamp"].endswith("Z")
    line = LineFormatter(for_people=True, colours=False).format(record("a\nb", exc_info=None))
    assert without_time(line) == "warning a\\nb"


def test_tracebacks_follow_on_lines_of_their_own():
    try:
        int("x\x1b[2J")
    except ValueError:
        failed = record("failed", exc_info=sys.exc_info())
    first, *rest = LineFormatter(for_people=True, colours=False).format(failed).split("\n")
    assert first.endswith("warning failed")
    assert rest[0] == "Traceback (most recent call last):"
    assert rest[-1].startswith("ValueError: invalid literal")
    assert all(each.isprintable() for each in rest)


def test_no_color_is_obeyed(monkeypatch):
    class Terminal:
        def isatty(self):
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert has_colours(Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not has_colours(Terminal())
