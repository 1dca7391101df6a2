"""Warmup: replay a version's recorded requests before anybody else's, so that the first is fast."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from google.protobuf.message import DecodeError

from protocol.codes import Code
from protocol.messages.inference_pb2 import PredictionLog
from protocol.models import ModelSpec
from protocol.wire import read_model_spec
from serving.core.errors import ServingError, invalid_argument
from serving.core.servable import Servable
from serving.inference.inputs import Inputs
from serving.inference.use_cases import Lease, Task

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


def _parse(record: bytes, path: str) -> PredictionLog:
    try:
        return PredictionLog.FromString(record)
    except DecodeError:
        raise invalid_argument(f"Failed to parse warmup record: {record!r} from {path}") from None


def _replay(lease: Lease, log: PredictionLog) -> None:
    match log.WhichOneof("log_type"):
        case "predict_log":
            predict = log.predict_log.request
            lease.predict(
                Inputs(predict.inputs),
                output_filter=predict.output_filter,
                signature_name=predict.model_spec.signature_name,
            )
        case "classify_log":
            classify = log.classify_log.request
            lease.classify(classify.input, signature_name=classify.model_spec.signature_name)
        case "regress_log":
            regress = log.regress_log.request
            lease.regress(regress.input, signature_name=regress.model_spec.signature_name)
        case "multi_inference_log":
            several = log.multi_inference_log.request
            tasks = [
                Task(read_model_spec(task.model_spec), task.method_name) for task in several.tasks
            ]
            lease.multi_inference(tasks, several.input)
        case other:
            raise ServingError(Code.UNIMPLEMENTED, f"Unsupported log_type for warmup: {other}")
