"""Counts and times the RPCs that run a model, under TensorFlow Serving's labels."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from protocol.codes import Code
from serving.core.errors import ServingError
from serving.grpc.services import Method
from serving.monitoring import Metrics

_Answer = Callable[[Any, float | None], Any]

_METERED = frozenset({"Predict", "Classify", "Regress", "MultiInference"})


def metered(methods: Mapping[str, Method], metrics: Metrics) -> Mapping[str, Method]:
    """The same methods, observed."""
    return {path: _metered(path, method, metrics) for path, method in methods.items()}


def _metered(path: str, method: Method, metrics: Metrics) -> Method:
    api = path.rpartition("/")[2]
    if api not in _METERED:
        return method
    return replace(method, answer=_observed(method.answer, api, metrics))


def _observed(answer: _Answer, api: str, metrics: Metrics) -> _Answer:
    def observed(request: Any, timeout_seconds: float | None) -> Any:
        started = time.monotonic()
        code = Code.INTERNAL
        try:
            response = answer(request, timeout_seconds)
            code = Code.OK
        except ServingError as error:
            code = error.code
            raise
        finally:
            metrics.observe_request(
                model_name=_model_name(request),
                code=code,
                api=api,
                entrypoint="GRPC",
                seconds=time.monotonic() - started,
            )
        return response

    return observed


def _model_name(request: Any) -> str:
    if "tasks" in request.DESCRIPTOR.fields_by_name:
        return str(request.tasks[0].model_spec.name) if request.tasks else ""
    return str(request.model_spec.name)
