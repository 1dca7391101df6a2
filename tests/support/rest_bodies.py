"""Predict bodies as REST clients send them, read as the embedded server reads them."""

import json

import pytest

from protocol.models import TensorSpec
from serving.core.errors import ServingError
from serving.rest.requests import parse_predict_request


def spec(dtype):
    return TensorSpec("x:0", dtype, None)


def parse(body, **dtypes):
    inputs = {name: spec(dtype) for name, dtype in dtypes.items()}
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_predict_request(text, lambda _name: inputs)


def error(body, **dtypes):
    with pytest.raises(ServingError) as caught:
        parse(body, **dtypes)
    return str(caught.value)
