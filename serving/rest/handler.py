"""One REST request to one answer: from path and body to status and JSON. Knows no HTTP library."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from serving.core.errors import Code, ServingError
from serving.rest import models, responses
from serving.rest.examples import parse_examples
from serving.rest.paths import Method, Target, UnreadableVersionError, parse_target
from serving.rest.predict import parse_predict_request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serving.core.servable import TensorSpec
    from serving.inference import Inference, Lease
    from serving.monitoring import Metrics

_log = logging.getLogger(__name__)

_DEFAULT_SIGNATURE_NAME = "serving_default"
_STATUS_OF_CODE = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a JSON body."""

    code: Code
    body: bytes

    @property
    def status(self) -> int:
        """The HTTP status of the code."""
        return _STATUS_OF_CODE[self.code]


class Handler:
    """Answers API requests; blocks while the model runs."""

    def __init__(
        self, inference: Inference, *, metrics: Metrics | None, timeout_seconds: float | None
    ) -> None:
        self._inference = inference
        self._metrics = metrics
        self._timeout_seconds = timeout_seconds

    def answer(self, http_method: str, path: str, body: bytes) -> Answer:
        """Answer one request. Never raises: what goes wrong inside is an INTERNAL error."""
        started = time.perf_counter()
        target: Target | None = None
        try:
            target = parse_target(http_method, path)
            answer = Answer(Code.OK, self._run(target, body))
        except UnreadableVersionError:
            answer = Answer(Code.INVALID_ARGUMENT, b"")
        except ServingError as error:
            answer = Answer(error.code, responses.error_body(error.message))
        except Exception:  # noqa: BLE001 - the last resort: one request, not the server
            _log.exception("request failed: %s %s", http_method, path)
            answer = Answer(Code.INTERNAL, responses.error_body("Internal error"))
        self._observe(target, answer.code, time.perf_counter() - started)
        return answer

    def _observe(self, target: Target | None, code: Code, seconds: float) -> None:
        if self._metrics is None:
            return
        is_post = target is not None and target.method not in {Method.STATUS, Method.METADATA}
        self._metrics.observe_request(
            model_name=target.spec.name if target else "",
            code=code,
            # Requests about a model have no API label there.
            api=target.method.value if target and is_post else "",
            entrypoint="REST",
            seconds=seconds,
        )

    def _run(self, target: Target, body: bytes) -> bytes:
        if target.method is Method.PREDICT:
            return self._predict(target, body)
        if target.method is Method.STATUS:
            return models.status_body(self._inference.status(target.spec))
        if target.method is Method.METADATA:
            return models.metadata_body(self._inference.metadata(target.spec))
        name, examples = parse_examples(body)
        with self._inference.lease(target.spec) as lease:
            if target.method is Method.CLASSIFY:
                classified = lease.classify(
                    examples, signature_name=name, timeout_seconds=self._timeout_seconds
                )
                return responses.classification_body(classified.results)
            regressed = lease.regress(
                examples, signature_name=name, timeout_seconds=self._timeout_seconds
            )
            return responses.regression_body(regressed.results)

    def _predict(self, target: Target, body: bytes) -> bytes:
        # A body that does not parse is refused before anybody looks for the model.
        with _LazyLease(self._inference, target) as lease:
            request = parse_predict_request(body, lease.inputs)
            prediction = lease.lease().predict(
                request.tensors,
                signature_name=request.signature_name,
                timeout_seconds=self._timeout_seconds,
            )
        return responses.predict_body(prediction.outputs, request.format)


class _LazyLease(ExitStack):
    """A lease taken when the signature is first asked for, and kept until the answer."""

    def __init__(self, inference: Inference, target: Target) -> None:
        super().__init__()
        self._inference = inference
        self._spec = target.spec
        self._lease: Lease | None = None

    def lease(self) -> Lease:
        if self._lease is None:
            self._lease = self.enter_context(self._inference.lease(self._spec))
        return self._lease

    def inputs(self, signature_name: str) -> Mapping[str, TensorSpec]:
        name = signature_name or _DEFAULT_SIGNATURE_NAME
        signature = self.lease().signatures.get(name)
        if signature is None:
            raise ServingError(
                Code.INVALID_ARGUMENT,
                f'Serving signature name: "{name}" not found in signature def',
            )
        return signature.inputs
