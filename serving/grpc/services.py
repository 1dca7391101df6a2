"""PredictionService and ModelService: one function per method, from request to response message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from protocol.codes import Code
from protocol.messages import config_pb2, inference_pb2, model_pb2
from protocol.models import ModelSpec
from protocol.wire import SIGNATURE_DEF, read_model_spec, write_model_spec, write_statuses
from serving.config_files import checked_server_config
from serving.core.errors import ServingError, invalid_argument
from serving.core.reload import Configuration
from serving.grpc import codec
from serving.inference.inputs import Inputs
from serving.inference.use_cases import Classification, Inference, Task

_PREDICTION = "/tensorflow.serving.PredictionService/"
_MODEL = "/tensorflow.serving.ModelService/"


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC: how to parse its request, and what answers it.

    `answer` takes the request and the seconds left until the deadline (None: no deadline).
    """

    request: type[Any]
    answer: Callable[[Any, float | None], Any]


class Services:
    """The RPCs by full method name."""

    def __init__(
        self,
        inference: Inference,
        configuration: Configuration,
        *,
        as_content: bool = False,
        may_reload: bool = False,
    ) -> None:
        self._inference = inference
        self._configuration = configuration
        self._as_content = as_content
        self._may_reload = may_reload

    def methods(self) -> Mapping[str, Method]:
        """What the server routes to."""
        return {
            f"{_PREDICTION}Predict": Method(inference_pb2.PredictRequest, self._predict),
            f"{_PREDICTION}Classify": Method(inference_pb2.ClassificationRequest, self._classify),
            f"{_PREDICTION}Regress": Method(inference_pb2.RegressionRequest, self._regress),
            f"{_PREDICTION}MultiInference": Method(
                inference_pb2.MultiInferenceRequest, self._multi_inference
            ),
            f"{_PREDICTION}GetModelMetadata": Method(
                model_pb2.GetModelMetadataRequest, self._metadata
            ),
            f"{_MODEL}GetModelStatus": Method(model_pb2.GetModelStatusRequest, self._status),
            f"{_MODEL}HandleReloadConfigRequest": Method(
                config_pb2.ReloadConfigRequest, self._reload
            ),
        }

    def _predict(
        self, request: inference_pb2.PredictRequest, timeout_seconds: float | None
    ) -> inference_pb2.PredictResponse:
        prediction = self._inference.predict(
            codec.model_spec(request),
            Inputs(request.inputs),
            output_filter=request.output_filter,
            timeout_seconds=timeout_seconds,
        )
        return codec.predict_response(prediction, as_content=self._as_content)

    def _classify(
        self, request: inference_pb2.ClassificationRequest, timeout_seconds: float | None
    ) -> inference_pb2.ClassificationResponse:
        spec = codec.model_spec(request)
        with self._inference.lease(spec) as lease:
            classification = lease.classify(
                request.input,
                signature_name=spec.signature_name,
                timeout_seconds=timeout_seconds,
            )
        response = inference_pb2.ClassificationResponse()
        write_model_spec(classification.spec, response.model_spec)
        codec.write_classification(classification, response.result)
        return response

    def _regress(
        self, request: inference_pb2.RegressionRequest, timeout_seconds: float | None
    ) -> inference_pb2.RegressionResponse:
        spec = codec.model_spec(request)
        with self._inference.lease(spec) as lease:
            regression = lease.regress(
                request.input,
                signature_name=spec.signature_name,
                timeout_seconds=timeout_seconds,
            )
        response = inference_pb2.RegressionResponse()
        write_model_spec(regression.spec, response.model_spec)
        codec.write_regression(regression, response.result)
        return response

    def _multi_inference(
        self, request: inference_pb2.MultiInferenceRequest, timeout_seconds: float | None
    ) -> inference_pb2.MultiInferenceResponse:
        tasks = [Task(read_model_spec(task.model_spec), task.method_name) for task in request.tasks]
        first = tasks[0].spec if tasks else ModelSpec(name="")
        with self._inference.lease(first) as lease:
            results = lease.multi_inference(tasks, request.input, timeout_seconds=timeout_seconds)
        response = inference_pb2.MultiInferenceResponse()
        for result in results:
            message = response.results.add()
            write_model_spec(result.spec, message.model_spec)
            if isinstance(result, Classification):
                codec.write_classification(result, message.classification_result)
            else:
                codec.write_regression(result, message.regression_result)
        return response

    def _metadata(
        self, request: model_pb2.GetModelMetadataRequest, _timeout_seconds: float | None
    ) -> model_pb2.GetModelMetadataResponse:
        spec = codec.model_spec(request)
        if not request.metadata_field:
            raise invalid_argument(
                "GetModelMetadataRequest must specify at least one metadata_field"
            )
        for name in request.metadata_field:
            if name != SIGNATURE_DEF:
                raise invalid_argument(f"Metadata field {name} is not supported")
        return codec.metadata_response(self._inference.metadata(spec))

    def _status(
        self, request: model_pb2.GetModelStatusRequest, _timeout_seconds: float | None
    ) -> model_pb2.GetModelStatusResponse:
        return write_statuses(self._inference.status(codec.model_spec(request)))

    def _reload(
        self, request: config_pb2.ReloadConfigRequest, timeout_seconds: float | None
    ) -> config_pb2.ReloadConfigResponse:
        if not self._may_reload:
            raise ServingError(
                Code.PERMISSION_DENIED,
                "HandleReloadConfigRequest is off: it lets whoever reaches this port load any "
                "folder. Start the server with --enable_reload_config to allow it.",
            )
        if request.config.WhichOneof("config") != "model_config_list":
            raise invalid_argument(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                "Only ModelConfigList is currently supported"
            )
        self._configuration.apply(checked_server_config(request.config), timeout_seconds)
        response = config_pb2.ReloadConfigResponse()
        response.status.error_code = Code.OK
        response.status.SetInParent()
        return response
