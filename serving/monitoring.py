"""Prometheus metrics under TensorFlow Serving's names, one registry per server.

Written out here rather than by prometheus-client: that appends `_total` to every counter, which
would rename `:tensorflow:serving:request_count`, the name on everybody's dashboards.
"""

from __future__ import annotations

import bisect
import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from protocol.codes import Code

DEFAULT_METRICS_PATH = "/monitoring/prometheus/metrics"

_MICROS = 1e6
_LATENCY_LIMITS = tuple(10 * 1.8**power for power in range(33))  # 10 us to 24 minutes
_EXAMPLE_LIMITS = tuple(2.0**power for power in range(15))
_MAX_CELLS = 2000  # models come and go: what is beyond is counted as "other"
_OTHER = "other"

LabelValues = tuple[str, ...]


class Metrics:
    """The counters and histograms of one server. Thread-safe."""

    def __init__(self, *, is_served: Callable[[str], bool]) -> None:
        """Begin to count.

        Args:
            is_served: whether there is a model of that name. Requests for others are counted
                without a name: clients could invent series for ever.
        """
        self._is_served = is_served
        serving, saved_model = ":tensorflow:serving:", ":tensorflow:cc:saved_model:"
        model = ("model_name",)
        path = ("model_path",)
        self._requests = _Counter(
            _Head(f"{serving}request_count", "Requests that were answered.", (*model, "status"))
        )
        self._request_latency = _Histogram(
            _Head(
                f"{serving}request_latency",
                "Microseconds of a request that succeeded.",
                (*model, "API", "entrypoint"),
            ),
            _LATENCY_LIMITS,
        )
        self._runtime_latency = _Histogram(
            _Head(
                f"{serving}runtime_latency",
                "Microseconds of one run of a graph.",
                (*model, "API", "runtime"),
            ),
            _LATENCY_LIMITS,
        )
        self._warmup_latency = _Histogram(
            _Head(
                f"{serving}model_warmup_latency",
                "Microseconds of a version's warmup.",
                (*path, "status"),
            ),
            _LATENCY_LIMITS,
        )
        self._example_count = _Counter(
            _Head(f"{serving}request_example_count_total", "tf.Examples received.", ("model",))
        )
        self._example_counts = _Histogram(
            _Head(f"{serving}request_example_counts", "tf.Examples of a request.", ("model",)),
            _EXAMPLE_LIMITS,
        )
        self._load_attempts = _Counter(
            _Head(
                f"{saved_model}load_attempt_count",
                "Attempts to load a version.",
                (*path, "status"),
            )
        )
        self._load_latency = _Counter(
            _Head(f"{saved_model}load_latency", "Microseconds of all successful loads.", path)
        )
        self._families: list[_Family] = [
            self._load_attempts,
            self._load_latency,
            self._warmup_latency,
            self._requests,
            self._example_count,
            self._example_counts,
            self._request_latency,
            self._runtime_latency,
        ]

    def observe_request(
        self, *, model_name: str, code: Code, api: str, entrypoint: str, seconds: float
    ) -> None:
        """Count a finished request, and time it if it succeeded.

        `api` is the method as TensorFlow Serving labels it ("predict" over REST, "Predict" over
        gRPC), `entrypoint` "REST" or "GRPC". A name that is not served does not become a label.
        """
        if not self._is_served(model_name):
            model_name = ""
        self._requests.add((model_name, code.name), 1)
        if code is Code.OK:
            self._request_latency.observe((model_name, api, entrypoint), round(seconds * _MICROS))

    def observe_runtime(self, *, model_name: str, api: str, seconds: float) -> None:
        """Time one run of a graph. `api` is "Predict", "Classify" or "Regress"."""
        self._runtime_latency.observe((model_name, api, "TF1"), round(seconds * _MICROS))

    def observe_examples(self, *, model_name: str, count: int) -> None:
        """Count the tf.Examples of one request."""
        self._example_count.add((model_name,), count)
        self._example_counts.observe((model_name,), count)

    def observe_warmup(self, *, model_path: str, code: Code, seconds: float) -> None:
        """Time the warmup of one version."""
        self._warmup_latency.observe((model_path, code.name), round(seconds * _MICROS))

    def observe_load(self, *, model_path: str, is_loaded: bool, seconds: float) -> None:
        """Count one attempt to load a version; the time of successful ones adds up."""
        self._load_attempts.add((model_path, "success" if is_loaded else "fail"), 1)
        if is_loaded:
            self._load_latency.add((model_path,), round(seconds * _MICROS))

    def exposition(self) -> str:
        """All metrics in Prometheus' text format."""
        return "".join(f"{line}\n" for family in self._families for line in family.lines())


@dataclass(frozen=True, slots=True)
class _Head:
    """What a metric is called, what it means, and the names of its labels."""

    name: str
    help: str
    label_names: LabelValues


class _Family:
    """One metric: a list of numbers per combination of label values."""

    def __init__(self, head: _Head, kind: str, width: int) -> None:
        self._name = head.name
        self._help = head.help
        self._kind = kind
        self._label_names = head.label_names
        self._width = width
        self._lock = threading.Lock()
        self._cells: dict[LabelValues, list[float]] = {}

    def lines(self) -> list[str]:
        with self._lock:
            cells = {values: list(numbers) for values, numbers in self._cells.items()}
        samples = [
            line for values, numbers in cells.items() for line in self._cell(values, numbers)
        ]
        if not samples:
            return []
        name = self._name
        return [f"# HELP {name} {self._help}", f"# TYPE {name} {self._kind}", *samples]

    def _add(self, values: LabelValues, changes: dict[int, float]) -> None:
        with self._lock:
            if values not in self._cells and len(self._cells) >= _MAX_CELLS:
                values = (_OTHER, *values[1:])
            numbers = self._cells.setdefault(values, [0] * self._width)
            for index, amount in changes.items():
                numbers[index] += amount

    def _cell(self, values: LabelValues, numbers: list[float]) -> Iterator[str]:
        raise AssertionError(self, values, numbers)  # abstract

    def _labels(self, values: LabelValues, **more: str) -> str:
        pairs = [*zip(self._label_names, values, strict=True), *more.items()]
        return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs) + "}"


class _Counter(_Family):
    def __init__(self, head: _Head) -> None:
        super().__init__(head, "counter", 1)

    def add(self, values: LabelValues, amount: int) -> None:
        self._add(values, {0: amount})

    def _cell(self, values: LabelValues, numbers: list[float]) -> Iterator[str]:
        yield f"{self._name}{self._labels(values)} {numbers[0]}"


class _Histogram(_Family):
    """Its numbers: a count per bucket, the last without limit, then the sum of the values."""

    def __init__(self, head: _Head, limits: tuple[float, ...]) -> None:
        super().__init__(head, "histogram", len(limits) + 2)
        self._limits = limits
        self._limit_texts = [*(f"{limit:g}" for limit in limits), "+Inf"]

    def observe(self, values: LabelValues, value: float) -> None:
        self._add(
            values, {bisect.bisect_left(self._limits, value): 1, len(self._limits) + 1: value}
        )

    def _cell(self, values: LabelValues, numbers: list[float]) -> Iterator[str]:
        *counts, total = numbers
        cumulative = list(itertools.accumulate(counts))
        for limit, count in zip(self._limit_texts, cumulative, strict=True):
            yield f"{self._name}_bucket{self._labels(values, le=limit)} {count}"
        yield f"{self._name}_sum{self._labels(values)} {total}"
        yield f"{self._name}_count{self._labels(values)} {cumulative[-1]}"


def _escaped(value: str) -> str:
    value = value.encode("utf-8", "replace").decode()
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
