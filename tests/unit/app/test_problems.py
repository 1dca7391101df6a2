"""The tree of errors and its one map to HTTP."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import get_args

import pytest

from app import errors
from app.http.problem_page import problem_rows
from app.http.problems import (
    PROBLEM_TYPES,
    TYPE_PREFIX,
    problem_body,
    problem_response,
    problem_type,
)
from app.http.record import RequestRecord

PROBLEMS_PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "problems.md"


def tree(root=errors.GatewayError):
    return [root, *(found for child in root.__subclasses__() for found in tree(child))]


def test_every_error_has_a_row_of_its_own():
    assert set(tree()) == set(PROBLEM_TYPES)


def test_slugs_are_unique():
    slugs = [kind.slug for kind in problem_rows()]
    assert len(slugs) == len(set(slugs))


@pytest.mark.parametrize("kind", problem_rows(), ids=lambda kind: kind.slug)
def test_every_problem_has_a_row_in_the_docs(kind):
    rows = [
        line
        for line in PROBLEMS_PAGE.read_text().splitlines()
        if f"`{TYPE_PREFIX}{kind.slug}`" in line
    ]
    assert len(rows) == 1
    assert f"| {kind.status} |" in rows[0]


@pytest.mark.parametrize("error", tree(), ids=lambda error: error.__name__)
def test_the_status_drawn_in_the_tree_is_the_one_answered(error):
    drawn = next(
        line for line in errors.__doc__.splitlines() if f" {error.__name__} " in f" {line} "
    )
    assert f"{error.__name__} {problem_type_of(error).status}" in drawn


def problem_type_of(error):
    return PROBLEM_TYPES[error]


def test_whoever_is_refused_is_counted_by_a_reason():
    refusals = [
        errors.OverloadedError("busy"),
        errors.RateLimitedError("too much", retry_after_seconds=1.0, refusal="key_limit"),
        errors.UnauthorizedError("who?", is_key_wrong=False),
        errors.MisdirectedRequestError("not us"),
    ]
    refusing = {kind for kind in tree() if problem_type_of(kind).status in {401, 421, 429}}
    assert {type(error) for error in refusals} == refusing
    assert {error.refusal for error in refusals} <= set(get_args(errors.Refusal))
    assert all(kind.refusal is None for kind in set(tree()) - refusing)


def test_unknown_exceptions_tell_nothing():
    secret = RuntimeError("/etc/secret: password=1")
    assert problem_type(secret).status == 500
    assert "secret" not in str(problem_body(secret))


def test_the_reason_stays_in_the_log():
    error = errors.ModelServerError("the model server failed", reason="INTERNAL: /models/x")
    assert "INTERNAL" not in str(problem_body(error))


@pytest.mark.parametrize(
    ("seconds", "header"), [(0.0, "1"), (0.2, "1"), (1.0, "1"), (1.01, "2"), (7.5, "8")]
)
def test_retry_after_is_whole_seconds_rounded_up_and_at_least_one(seconds, header):
    error = errors.OverloadedError("busy", retry_after_seconds=seconds)
    response = problem_response(error, RequestRecord("id", 0.0))
    assert response.headers["Retry-After"] == header


def test_where_nothing_is_predicted_retry_after_is_the_default():
    for error in (errors.OverloadedError, errors.ModelNotReadyError):
        response = problem_response(error("busy"), RequestRecord("id", 0.0))
        assert response.headers["Retry-After"] == str(round(errors.RETRY_AFTER_SECONDS))


def test_other_problems_have_no_retry_after():
    response = problem_response(errors.RequestError("no"), RequestRecord("id", 0.0))
    assert "Retry-After" not in response.headers


def test_an_error_that_is_answered_lets_go_of_what_its_frames_hold():
    class Upload:
        pass

    def fail():
        upload = Upload()
        held.append(weakref.ref(upload))
        try:
            {}["cause"]
        except KeyError as error:
            raise errors.RequestError("no") from error

    held = []
    with pytest.raises(errors.RequestError) as caught:
        fail()
    error = caught.value
    del caught
    errors.let_go_of_frames(error)
    assert held[0]() is None
    errors.let_go_of_frames(None)
