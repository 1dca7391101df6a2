"""The embedded server's REST application over a stub of a model."""

import json
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from protocol.codes import Code
from protocol.messages import model_pb2
from protocol.models import (
    Metadata,
    ModelSpec,
    SignatureSpec,
    State,
    TensorSpec,
    VersionStatus,
)
from protocol.wire import read_signature
from serving.core.errors import ServingError
from serving.inference.methods import ClassScore
from serving.inference.use_cases import Classification, Prediction, Regression

SIGNATURE = SignatureSpec(
    "tensorflow/serving/predict", {"x": TensorSpec("x:0", "DT_FLOAT", (-1,))}, {}, {}, b""
)


@dataclass
class Model:
    """A lease that remembers what it was asked."""

    error: Exception | None = None
    timeouts: list = field(default_factory=list)
    examples: list = field(default_factory=list)
    results: list | None = None
    signatures: dict = field(default_factory=lambda: {"serving_default": SIGNATURE})

    def predict(self, inputs, *, signature_name, timeout_seconds):
        self.timeouts.append(timeout_seconds)
        if self.error:
            raise self.error
        return Prediction(ModelSpec("m", 1, None, signature_name), {"y": inputs["x"] * 2})

    def classify(self, examples, *, signature_name, timeout_seconds):
        self.examples.append((examples, signature_name, timeout_seconds))
        found = [[ClassScore("pos", float(np.float32(0.1)))]]
        return Classification(ModelSpec("m"), found if self.results is None else self.results)

    def regress(self, examples, *, signature_name, timeout_seconds):
        self.examples.append((examples, signature_name, timeout_seconds))
        found = [1.0, float("nan")]
        return Regression(ModelSpec("m"), found if self.results is None else self.results)


class Inference:
    def __init__(self, model):
        self.model = model
        self.specs = []

    @contextmanager
    def lease(self, spec):
        self.specs.append(spec)
        if spec.name != "m":
            raise ServingError(Code.NOT_FOUND, f"no {spec.name}")
        yield self.model

    def status(self, spec):
        self.specs.append(spec)
        return [
            VersionStatus(2, State.END, Code.NOT_FOUND, "gone"),
            VersionStatus(1, State.LOADING),
        ]

    def metadata(self, spec):
        definition = model_pb2.SignatureDef(method_name="predict")
        return Metadata(spec.name, 7, {"s": read_signature(definition)})


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


async def call(app, method, path, body, headers):
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    incoming = iter(
        [
            {"type": "http.request", "body": body[:3], "more_body": True},
            {"type": "http.request", "body": body[3:]},
        ]
    )
    sent = []

    async def receive():
        return next(incoming)

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    start, rest = sent
    found = {name.decode(): value.decode() for name, value in start["headers"]}
    assert found.pop("content-length") == str(len(rest["body"]))
    return Reply(start["status"], found, rest["body"])
