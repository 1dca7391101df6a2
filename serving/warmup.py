"""Warmup: replay a version's recorded requests before anybody else's, so that the first is fast."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from serving.core.errors import Code, ServingError, invalid_argument
from serving.grpc import codec
from serving.inference import Lease, ModelSpec, Task

if TYPE_CHECKING:
    from collections.abc import Iterable

    from serving.core.servable import Servable

_log = logging.getLogger(__name__)

RECORDS_FILE = "assets.extra/tf_serving_warmup_requests"
_MAX_RECORDS = 1000


def warm_up(servable: Servable, records: Iterable[bytes], *, path: str, iterations: int) -> None:
    """Run every PredictionLog record `iterations` times. The model it names is not looked at.

    Raises:
        ServingError: INVALID_ARGUMENT for too many or unreadable records, and a record's own error:
            the version must not become available then.
    """
    lease = Lease(ModelSpec(name=""), servable)
    count = 0
    for count, record in enumerate(records, start=1):
        if count > _MAX_RECORDS:
            raise invalid_argument(
                f"Number of warmup records exceeds the maximum ({_MAX_RECORDS}) at {path}"
            )
        log = _parse(record, path)
        for _ in range(iterations):
            _replay(lease, log)
    _log.info("replayed %d warmup records of %s", count, path)


def _parse(record: bytes, path: str) -> prediction_log_pb2.PredictionLog:
    try:
        return prediction_log_pb2.PredictionLog.FromString(record)
    except DecodeError:
        raise invalid_argument(f"Failed to parse warmup record: {record!r} from {path}") from None


def _replay(lease: Lease, log: Any) -> None:
    match log.WhichOneof("log_type"):
        case "predict_log":
            request = log.predict_log.request
            lease.predict(
                codec.Inputs(request.inputs),
                output_filter=request.output_filter,
                signature_name=request.model_spec.signature_name,
            )
        case "classify_log":
            request = log.classify_log.request
            lease.classify(request.input, signature_name=request.model_spec.signature_name)
        case "regress_log":
            request = log.regress_log.request
            lease.regress(request.input, signature_name=request.model_spec.signature_name)
        case "multi_inference_log":
            request = log.multi_inference_log.request
            tasks = [
                Task(codec.read_model_spec(task.model_spec), task.method_name)
                for task in request.tasks
            ]
            lease.multi_inference(tasks, request.input)
        case other:
            raise ServingError(Code.UNIMPLEMENTED, f"Unsupported log_type for warmup: {other}")
