"""The protocol's errors as ours."""

from __future__ import annotations

import pytest

from app import errors
from app.model_server.failures import translate
from protocol.client import AnswerError, CallError
from protocol.codes import Code
from protocol.models import ModelSpec

LABEL = "Unrecognized servable version label: x"
SERVED, PINNED, LABELLED = ModelSpec("m"), ModelSpec("m", 3), ModelSpec("m", None, "x")


@pytest.mark.parametrize(
    ("code", "message", "spec", "expected"),
    [
        (Code.NOT_FOUND, "", SERVED, errors.ModelNotFoundError),
        (Code.NOT_FOUND, "", PINNED, errors.ModelVersionNotFoundError),
        (Code.NOT_FOUND, "", LABELLED, errors.ModelVersionNotFoundError),
        (Code.INVALID_ARGUMENT, LABEL, LABELLED, errors.ModelVersionNotFoundError),
        (Code.INVALID_ARGUMENT, "shape", SERVED, errors.RefusedByModelServerError),
        (Code.FAILED_PRECONDITION, "", SERVED, errors.RefusedByModelServerError),
        (Code.DEADLINE_EXCEEDED, "", SERVED, errors.DeadlineExceededError),
        (Code.RESOURCE_EXHAUSTED, "", SERVED, errors.OverloadedError),
        (Code.UNAVAILABLE, "", SERVED, errors.ModelServerUnavailableError),
        (Code.CANCELLED, "", SERVED, errors.ModelServerUnavailableError),
        (Code.INTERNAL, "", SERVED, errors.ModelServerError),
        (Code.UNKNOWN, "", SERVED, errors.ModelServerError),
    ],
)
def test_each_code_has_its_error(code, message, spec, expected):
    error = translate(CallError(code, message), spec)
    assert type(error) is expected
    assert error.reason == f"{code.name}: {message}"
    assert message not in error.detail or not message


def test_an_answer_that_cannot_be_read_is_the_model_servers_error():
    error = translate(AnswerError("no outputs"), SERVED)
    assert type(error) is errors.ModelServerError
    assert error.reason == "no outputs"
    assert "no outputs" not in error.detail
