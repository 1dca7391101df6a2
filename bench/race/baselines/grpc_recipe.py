"""(d) FastAPI and one gRPC call per picture; the model server makes the batches.

The call as in TensorFlow Serving's own client, tensorflow_serving/example/resnet_client_grpc.py;
the channel is opened once, as gRPC's performance guide says.
"""

from __future__ import annotations

import os
from typing import Annotated, Any

import grpc
import numpy as np
import tensorflow as tf
from fastapi import Body, FastAPI
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from bench.race.baselines.answers import answer_of, pixels_of
from bench.race.baselines.preprocessing import preprocess

app = FastAPI()
channel = grpc.insecure_channel(os.environ["RACE_GRPC_ADDRESS"])
stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
INPUT = os.environ["RACE_INPUT"]
OUTPUT = os.environ["RACE_OUTPUT"]


@app.post("/classify")
def classify(data: Annotated[bytes, Body(media_type="application/octet-stream")]) -> dict[str, Any]:
    """One picture, one Predict."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = os.environ["RACE_MODEL"]
    request.model_spec.signature_name = "serving_default"
    values = preprocess(pixels_of(data))[np.newaxis]
    request.inputs[INPUT].CopyFrom(tf.make_tensor_proto(values))
    result = stub.Predict(request, 60.0)
    return answer_of(tf.make_ndarray(result.outputs[OUTPUT])[0])
