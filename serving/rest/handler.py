"""One REST request to one answer: from path and body to status and JSON. Knows no HTTP library."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from protocol.codes import Code
from protocol.models import TensorSpec
from serving.core.errors import ServingError, invalid_argument
from serving.inference.methods import DEFAULT_SIGNATURE_NAME
from serving.inference.use_cases import Inference, Lease
from serving.monitoring import Metrics
from serving.rest import answers
from serving.rest.requests import parse_examples, parse_predict_request
from serving.rest.target import Method, Target, UnreadableVersionError, parse_target

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a JSON body."""

    code: Code
    body: bytes

    @property
    def status(self) -> int:
        """The HTTP status of the code."""
        return self.code.http_status


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
            answer = Answer(error.code, answers.error_body(error.message))
        except Exception:  # noqa: BLE001 - the last resort: one request, not the server
            _log.exception("request failed: %s %s", http_method, path)
            answer = Answer(Code.INTERNAL, answers.error_body("Internal error"))
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
            return answers.status_body(self._inference.status(target.spec))
        if target.method is Method.METADATA:
            return answers.metadata_body(self._inference.metadata(target.spec))
        name, examples = parse_examples(body)
        with self._inference.lease(target.spec) as lease:
            if target.method is Method.CLASSIFY:
                classified = lease.classify(
                    examples, signature_name=name, timeout_seconds=self._timeout_seconds
                )
                return answers.classification_body(classified.results)
            regressed = lease.regress(
                examples, signature_name=name, timeout_seconds=self._timeout_seconds
            )
            return answers.regression_body(regressed.results)

    def _predict(self, target: Target, body: bytes) -> bytes:
        # A body that does not parse is refused before anybody looks for the model.
        with _LazyLease(self._inference, target) as lease:
            request = parse_predict_request(body, lease.inputs)
            prediction = lease.lease().predict(
                request.tensors,
                signature_name=request.signature_name,
                timeout_seconds=self._timeout_seconds,
            )
        return answers.predict_body(prediction.outputs, request.format)


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
        name = signature_name or DEFAULT_SIGNATURE_NAME
        signature = self.lease().signatures.get(name)
        if signature is None:
            raise invalid_argument(f'Serving signature name: "{name}" not found in signature def')
        return signature.inputs
