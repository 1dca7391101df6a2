"""Canonical codes to our errors."""

from __future__ import annotations

import pytest

from app import errors
from app.model_server.base import Servable
from app.model_server.failures import Code, failure

LABEL = "Unrecognized servable version label: x"


@pytest.mark.parametrize(
    ("code", "message", "servable", "expected"),
    [
        (Code.NOT_FOUND, "", Servable("m"), errors.ModelNotFoundError),
        (Code.NOT_FOUND, "", Servable("m", 3), errors.ModelVersionNotFoundError),
        (Code.NOT_FOUND, "", Servable("m", None, "x"), errors.ModelVersionNotFoundError),
        (Code.INVALID_ARGUMENT, LABEL, Servable("m", None, "x"), errors.ModelVersionNotFoundError),
        (Code.INVALID_ARGUMENT, "shape", Servable("m"), errors.RefusedByModelServerError),
        (Code.FAILED_PRECONDITION, "", Servable("m"), errors.RefusedByModelServerError),
        (Code.DEADLINE_EXCEEDED, "", Servable("m"), errors.DeadlineExceededError),
        (Code.RESOURCE_EXHAUSTED, "", Servable("m"), errors.OverloadedError),
        (Code.UNAVAILABLE, "", Servable("m"), errors.ModelServerUnavailableError),
        (Code.CANCELLED, "", Servable("m"), errors.ModelServerUnavailableError),
        (Code.INTERNAL, "", Servable("m"), errors.ModelServerError),
        (Code.UNKNOWN, "", Servable("m"), errors.ModelServerError),
    ],
)
def test_each_code_has_its_error(code, message, servable, expected):
    error = failure(code, message, servable)
    assert type(error) is expected
    assert error.reason == f"{code.name}: {message}"
    assert message not in error.detail or not message


@pytest.mark.parametrize(
    ("servable", "words"),
    [
        (Servable("m"), "model m"),
        (Servable("m", 0), "version 0 of model m"),
        (Servable("m", None, "canary"), "version label canary of model m"),
    ],
)
def test_servables_are_named_in_words(servable, words):
    assert str(servable) == words


def test_codes_outside_the_list_stay_numbers():
    assert (Code.name_of(5), Code.name_of(99)) == ("NOT_FOUND", "99")
