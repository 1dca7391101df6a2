"""What is asked of a model server, before it is sent."""

import numpy as np
import pytest

from protocol.client import Input
from protocol.grpc_client import GrpcClient
from protocol.rest_client import RestClient


@pytest.mark.parametrize("client", [GrpcClient, RestClient])
def test_a_question_without_rows_is_never_put(client):
    """TensorFlow Serving with batching on hangs on it for ever, and keeps the version."""
    with pytest.raises(ValueError, match="input pixels has no rows"):
        Input.of_array("pixels", np.empty((0,), np.object_), client)
