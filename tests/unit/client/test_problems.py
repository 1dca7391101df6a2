"""The client's table of problems beside the gateway's: neither has what the other lacks."""

import json

import pytest

import sightserve
from app.http.problem_page import problem_rows
from sightserve.client import errors
from sightserve.client.problems import ERRORS, TYPE_PREFIX, error_of, not_a_gateway

URL = "http://gateway:8000"
PROBLEM = {"content-type": "application/problem+json"}


def answered(status, slug, headers=None, **members):
    body = {"type": TYPE_PREFIX + slug, "title": "T", "status": status, **members}
    return error_of(
        status, PROBLEM | (headers or {}), json.dumps(body).encode(), url=URL, request_id="sent"
    )


def test_every_problem_of_the_gateway_has_an_exception_here_and_none_is_left_over():
    assert {kind.slug for kind in problem_rows()} == set(ERRORS)


@pytest.mark.parametrize("kind", problem_rows(), ids=lambda kind: kind.slug)
def test_the_status_drawn_in_the_tree_is_the_gateway_s(kind):
    name = ERRORS[kind.slug].__name__
    drawn = next(line for line in errors.__doc__.splitlines() if f" {name} " in f"{line} ")
    assert str(kind.status) in drawn


@pytest.mark.parametrize("kind", problem_rows(), ids=lambda kind: kind.slug)
def test_what_is_worth_another_try_is_429_and_503(kind):
    error = answered(kind.status, kind.slug)
    assert error.is_retriable is (kind.status in {429, 503})


def test_a_problem_keeps_all_that_was_answered():
    error = answered(429, "overloaded", {"retry-after": "7"}, detail="too much", request_id="abc")
    assert type(error) is sightserve.OverloadedError
    assert (error.status, error.type, error.title) == (429, "/problems/overloaded", "T")
    assert (error.detail, error.request_id, error.retry_after) == ("too much", "abc", 7.0)
    assert str(error) == "T: too much"


def test_a_problem_without_an_id_has_the_one_that_was_sent():
    assert answered(503, "too-many-connections").request_id == "sent"


def test_an_unknown_problem_is_the_base_class():
    error = answered(418, "teapot")
    assert type(error) is sightserve.ProblemError
    assert error.status == 418


def test_a_parameter_is_named():
    assert answered(422, "invalid-parameter", parameter="top_k").parameter == "top_k"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (502, b"<html>Bad Gateway</html>", "proxy"),
        (404, b'{"error": "Malformed request: POST /classify"}', "is a model server"),
        (500, b"", "empty"),
        (400, b"[" * 100_000, "not a gateway"),
        (503, b'{"type": 3}', "not a gateway"),
    ],
)
def test_what_no_gateway_answers_is_said_to_be_that(status, body, said):
    error = error_of(status, {"content-type": "text/html"}, body, url=URL, request_id="r")
    assert isinstance(error, sightserve.UnexpectedAnswerError)
    assert said in str(error)
    assert error.status == status
    assert len(str(error)) < 400
    assert error.is_retriable is (status == 503)


@pytest.mark.parametrize("value", ["Wed, 21 Oct 2026 07:28:00 GMT", "-1", "", "²", "nan"])
def test_a_retry_after_that_is_no_number_is_none(value):
    assert answered(503, "model-not-ready", {"retry-after": value}).retry_after is None


def test_a_retry_after_of_years_is_a_day():
    assert answered(503, "model-not-ready", {"retry-after": "9" * 30}).retry_after == 86_400


def test_a_2xx_that_cannot_be_read_is_unexpected():
    assert "200" in str(not_a_gateway(200, b"hello", url=URL, request_id="r"))
