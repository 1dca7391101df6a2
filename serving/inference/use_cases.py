"""One use case per API method, free of any transport: REST and gRPC both call this.

Tensors are NumPy arrays by name (strings: object arrays of bytes). Everything raises ServingError
and nothing else.

A request that needs the signature before it can read its inputs (REST does) takes a lease, which
pins one version from the look-up to the answer, so that a swap in between cannot mix two:

    with inference.lease(spec) as lease:
        signature = lease.signature("serving_default")
        prediction = lease.predict(arrays_from(body, signature))
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from protocol.codes import Code
from protocol.messages import example_pb2
from protocol.models import Metadata, ModelSpec, SignatureSpec, VersionStatus
from protocol.tensors import Array
from serving.core.errors import ServingError, invalid_argument
from serving.core.labels import LabelMap
from serving.core.manager import Manager
from serving.core.servable import Servable
from serving.inference import methods
from serving.inference.methods import ClassScore
from serving.monitoring import Metrics

_API_LABELS = {
    methods.CLASSIFY_METHOD_NAME: "Classify",
    methods.REGRESS_METHOD_NAME: "Regress",
}


@dataclass(frozen=True, slots=True)
class Prediction:
    """Outputs by name, and the spec that answered (version and signature filled in)."""

    spec: ModelSpec
    outputs: dict[str, Array]


@dataclass(frozen=True, slots=True)
class Classification:
    """One list of classes per example, in order; `score` is a float32 widened."""

    spec: ModelSpec
    results: list[list[ClassScore]]


@dataclass(frozen=True, slots=True)
class Regression:
    """One float32 value (widened) per example, in order."""

    spec: ModelSpec
    results: list[float]


@dataclass(frozen=True, slots=True)
class Task:
    """One part of a MultiInference request."""

    spec: ModelSpec
    method_name: str


class Lease:
    """One pinned version of one model."""

    def __init__(self, spec: ModelSpec, servable: Servable, metrics: Metrics | None = None) -> None:
        self.spec = spec
        """The request's spec with the version that answers; the label is gone."""
        self._servable = servable
        self._metrics = metrics

    @property
    def signatures(self) -> Mapping[str, SignatureSpec]:
        """All signatures, `__saved_model_init_op` included."""
        return self._servable.signatures

    def signature(self, signature_name: str = "") -> SignatureSpec:
        """A signature ("" is `serving_default`); FAILED_PRECONDITION when there is none."""
        return self._signature(
            signature_name, Code.FAILED_PRECONDITION, 'Serving signature key "{name}" not found.'
        )

    def predict(
        self,
        inputs: Mapping[str, Array],
        *,
        output_filter: Sequence[str] = (),
        signature_name: str = "",
        timeout_seconds: float | None = None,
    ) -> Prediction:
        """Run one signature on arrays by input alias."""
        with self._timed("Predict"):
            outputs = methods.predict(
                self._servable,
                self.signature(signature_name),
                inputs,
                output_filter=output_filter,
                timeout_seconds=timeout_seconds,
            )
        return Prediction(self._answering(signature_name), outputs)

    def classify(
        self,
        examples: example_pb2.Input,
        *,
        signature_name: str = "",
        timeout_seconds: float | None = None,
    ) -> Classification:
        """Run a classification signature on tf.Examples."""
        result = self._run_task(
            methods.CLASSIFY_METHOD_NAME, examples, signature_name, timeout_seconds
        )
        assert isinstance(result, Classification)  # noqa: S101 - the method name says so
        return result

    def regress(
        self,
        examples: example_pb2.Input,
        *,
        signature_name: str = "",
        timeout_seconds: float | None = None,
    ) -> Regression:
        """Run a regression signature on tf.Examples."""
        result = self._run_task(
            methods.REGRESS_METHOD_NAME, examples, signature_name, timeout_seconds
        )
        assert isinstance(result, Regression)  # noqa: S101 - the method name says so
        return result

    def multi_inference(
        self,
        tasks: Sequence[Task],
        examples: example_pb2.Input,
        *,
        timeout_seconds: float | None = None,
    ) -> list[Classification | Regression]:
        """Run several signatures over the same examples in one pass of the graph."""
        _check_tasks(tasks)
        text = "Requested signature not found in model graph: {name}"
        return self._run_tasks(tasks, examples, timeout_seconds, text)

    def _run_task(
        self,
        method_name: str,
        examples: example_pb2.Input,
        signature_name: str,
        timeout_seconds: float | None,
    ) -> Classification | Regression:
        task = Task(replace(self.spec, signature_name=signature_name), method_name)
        text = "No signature was found with the name: {name}"
        (result,) = self._run_tasks([task], examples, timeout_seconds, text)
        return result

    def _run_tasks(
        self,
        tasks: Sequence[Task],
        examples: example_pb2.Input,
        timeout_seconds: float | None,
        unknown_signature: str,
    ) -> list[Classification | Regression]:
        chosen = [
            self._signature(task.spec.signature_name, Code.INVALID_ARGUMENT, unknown_signature)
            for task in tasks
        ]
        runs = [_example_run(task, spec) for task, spec in zip(tasks, chosen, strict=True)]
        input_names = {run.input_name for run in runs}
        if len(input_names) != 1:
            raise invalid_argument("Input tensor must be the same for all Signatures.")
        serialized = methods.serialized_examples(examples)
        with self._timed(_api_label(tasks)):
            results = methods.run_examples(
                self._servable,
                input_names.pop(),
                {name for run in runs for name in run.output_names},
                serialized,
                timeout_seconds,
            )
        if self._metrics:
            self._metrics.observe_examples(model_name=self.spec.name, count=len(serialized))
        return [
            self._task_result(task, spec, results, len(serialized))
            for task, spec in zip(tasks, chosen, strict=True)
        ]

    @contextmanager
    def _timed(self, api: str) -> Iterator[None]:
        """Time a run that succeeds."""
        started = time.monotonic()
        yield
        if self._metrics:
            seconds = time.monotonic() - started
            self._metrics.observe_runtime(model_name=self.spec.name, api=api, seconds=seconds)

    def _task_result(
        self, task: Task, signature: SignatureSpec, results: Mapping[str, Array], count: int
    ) -> Classification | Regression:
        spec = self._answering(task.spec.signature_name)
        if task.method_name == methods.CLASSIFY_METHOD_NAME:
            return Classification(spec, methods.class_scores(signature, results, count))
        return Regression(spec, methods.regression_values(signature, results, count))

    def _signature(self, signature_name: str, code: Code, text: str) -> SignatureSpec:
        return methods.find_signature(self._servable, signature_name, code, text)

    def _answering(self, signature_name: str) -> ModelSpec:
        name = signature_name or methods.DEFAULT_SIGNATURE_NAME
        return replace(self.spec, signature_name=name)


class Inference:
    """The API's methods."""

    def __init__(self, manager: Manager, labels: LabelMap, metrics: Metrics | None = None) -> None:
        self._manager = manager
        self._labels = labels
        self._metrics = metrics

    @contextmanager
    def lease(self, spec: ModelSpec) -> Iterator[Lease]:
        """Pin the version that `spec` resolves to now.

        Raises:
            ServingError: NOT_FOUND without such a servable, INVALID_ARGUMENT for an unknown label
                or an empty name.
        """
        with self._manager.lease(spec.name, self._version_of(spec)) as (version, servable):
            found_spec = replace(spec, version=version, version_label=None)
            yield Lease(found_spec, servable, self._metrics)

    def predict(
        self,
        spec: ModelSpec,
        inputs: Mapping[str, Array],
        *,
        output_filter: Sequence[str] = (),
        timeout_seconds: float | None = None,
    ) -> Prediction:
        """Lease and predict in one step."""
        with self.lease(spec) as lease:
            return lease.predict(
                inputs,
                output_filter=output_filter,
                signature_name=spec.signature_name,
                timeout_seconds=timeout_seconds,
            )

    def metadata(self, spec: ModelSpec) -> Metadata:
        """The signatures of the version that `spec` resolves to."""
        with self._manager.lease(spec.name, self._version_of(spec)) as (version, servable):
            return Metadata(spec.name, version, servable.signatures)

    def _version_of(self, spec: ModelSpec) -> int | None:
        """The version that is meant, None for the served one."""
        if not spec.name:
            raise invalid_argument("ModelSpec has no name specified.")
        if spec.version_label is None:
            return spec.version
        return self._labels.version_of(spec.name, spec.version_label)

    def status(self, spec: ModelSpec) -> list[VersionStatus]:
        """States, highest version first; `version` narrows it to one, a label is ignored.

        Raises:
            ServingError: NOT_FOUND for a model or version that was never asked for.
        """
        statuses = self._manager.statuses(spec.name)
        if spec.version is not None:
            statuses = [status for status in statuses if status.version == spec.version]
        if not statuses:
            what = "any versions" if spec.version is None else f"version {spec.version}"
            raise ServingError(Code.NOT_FOUND, f"Could not find {what} of model {spec.name}")
        return statuses


def _example_run(task: Task, signature: SignatureSpec) -> methods.ExampleRun:
    if task.method_name == methods.CLASSIFY_METHOD_NAME:
        return methods.classification_run(signature)
    if task.method_name == methods.REGRESS_METHOD_NAME:
        return methods.regression_run(signature)
    raise ServingError(Code.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method_name}")


def _api_label(tasks: Sequence[Task]) -> str:
    return _API_LABELS[tasks[0].method_name] if len(tasks) == 1 else "MultiInference"


def _check_tasks(tasks: Sequence[Task]) -> None:
    names = [task.spec.signature_name or methods.DEFAULT_SIGNATURE_NAME for task in tasks]
    for index, task in enumerate(tasks):
        if not task.spec.name:
            raise invalid_argument("Found ModelSpec with an empty model name.")
        if task.spec.name != tasks[0].spec.name:
            raise invalid_argument(
                "All ModelSpecs in a MultiInferenceRequest must access the same model name."
            )
        if names[index] in names[:index]:
            raise invalid_argument(f"Duplicate evaluation of signature: {names[index]}")
