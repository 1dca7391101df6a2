"""Values that are asked and answered, their messages, and the codes between gRPC and HTTP."""

import grpc
import pytest

from protocol.codes import Code, code_of_http_status
from protocol.messages import model_pb2
from protocol.models import ModelSpec, State, VersionStatus
from protocol.wire import read_model_spec, read_statuses, write_model_spec, write_statuses


def test_codes_are_grpcs():
    assert {code.name: code.value for code in Code} == {
        code.name: code.value[0] for code in grpc.StatusCode
    }


def test_an_unknown_number_is_an_unknown_code_and_state():
    assert Code.of(5) is Code.NOT_FOUND
    assert Code.of(99) is Code.UNKNOWN
    assert State.of(30) is State.AVAILABLE
    assert State.of(31) is State.UNKNOWN


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.OK])
def test_a_status_leads_back_to_a_code_with_that_status(code):
    assert code_of_http_status(code.http_status).http_status in {code.http_status, 500}


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (ModelSpec("m"), "model m"),
        (ModelSpec("m", version=0, signature_name="top_k"), "version 0 of model m"),
        (ModelSpec("m", version_label="canary"), "version label canary of model m"),
    ],
)
def test_a_spec_survives_its_message_and_names_itself(spec, text):
    message = model_pb2.ModelSpec()
    write_model_spec(spec, message)
    assert read_model_spec(model_pb2.ModelSpec.FromString(message.SerializeToString())) == spec
    assert str(spec) == text
    assert spec.is_pinned == (text != "model m")


def test_statuses_survive_their_message_with_an_ok_status_that_is_present():
    statuses = [
        VersionStatus(3, State.END, Code.NOT_FOUND, "no saved_model.pb"),
        VersionStatus(2, State.AVAILABLE),
    ]
    message = write_statuses(statuses)
    assert message.model_version_status[1].HasField("status")
    assert read_statuses(message) == statuses
