"""Prometheus metrics: TensorFlow Serving's names, a text that Prometheus' own parser reads."""

from prometheus_client.parser import text_string_to_metric_families

from protocol.codes import Code
from serving.monitoring import Metrics


def samples(metrics):
    """Values by name and labels, as Prometheus reads them (its Python parser adds a `_total`)."""
    return {
        (sample.name.removesuffix("_total"), frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(metrics.exposition())
        for sample in family.samples
    }


def key(name, **labels):
    return name, frozenset(labels.items())


def test_requests_are_counted_by_model_and_status_and_timed_when_they_succeed():
    metrics = Metrics(is_served=lambda _: True)
    for code, seconds in ((Code.OK, 0.001), (Code.OK, 3.0), (Code.NOT_FOUND, 1.0)):
        metrics.observe_request(
            model_name="m", code=code, api="Predict", entrypoint="GRPC", seconds=seconds
        )

    found = samples(metrics)

    count = ":tensorflow:serving:request_count"
    assert found[key(count, model_name="m", status="OK")] == 2
    assert found[key(count, model_name="m", status="NOT_FOUND")] == 1
    latency = ":tensorflow:serving:request_latency"
    labels = {"model_name": "m", "API": "Predict", "entrypoint": "GRPC"}
    assert found[key(f"{latency}_count", **labels)] == 2
    assert found[key(f"{latency}_sum", **labels)] == 3_001_000
    # 10 us times powers of 1.8: 1102 is the first limit above a millisecond.
    buckets = {
        dict(labels)["le"]: value for (name, labels), value in found.items() if "bucket" in name
    }
    assert (buckets["10"], buckets["1102"], buckets["+Inf"]) == (0, 1, 2)
    assert len(buckets) == 34


def test_runs_loads_warmups_and_examples_have_their_families():
    metrics = Metrics(is_served=lambda _: True)
    metrics.observe_runtime(model_name="m", api="Predict", seconds=0.5)
    metrics.observe_load(model_path="/m/1", is_loaded=True, seconds=0.25)
    metrics.observe_load(model_path="/m/1", is_loaded=False, seconds=9)
    metrics.observe_warmup(model_path="/m/1", code=Code.OK, seconds=0.1)
    metrics.observe_examples(model_name="m", count=3)

    found = samples(metrics)

    runtime = {"model_name": "m", "API": "Predict", "runtime": "TF1"}
    assert found[key(":tensorflow:serving:runtime_latency_sum", **runtime)] == 500_000
    attempts = ":tensorflow:cc:saved_model:load_attempt_count"
    assert found[key(attempts, model_path="/m/1", status="success")] == 1
    assert found[key(attempts, model_path="/m/1", status="fail")] == 1
    assert found[key(":tensorflow:cc:saved_model:load_latency", model_path="/m/1")] == 250_000
    warmup = ":tensorflow:serving:model_warmup_latency_count"
    assert found[key(warmup, model_path="/m/1", status="OK")] == 1
    examples = ':tensorflow:serving:request_example_count_total{model="m"} 3'
    assert examples in metrics.exposition().splitlines()
    assert found[key(":tensorflow:serving:request_example_counts_sum", model="m")] == 3


def test_label_values_from_requests_are_escaped():
    metrics = Metrics(is_served=lambda _: True)
    name = 'a"b\\c\nd\udcff'
    metrics.observe_request(
        model_name=name, code=Code.NOT_FOUND, api="", entrypoint="REST", seconds=0
    )

    ((_, labels),) = samples(metrics)

    assert dict(labels)["model_name"] == 'a"b\\c\nd?'


def test_a_name_that_is_not_served_becomes_no_label():
    metrics = Metrics(is_served=lambda name: name == "m")
    for index in range(100):
        for name in ("m", f"invented-{index}"):
            metrics.observe_request(
                model_name=name, code=Code.NOT_FOUND, api="", entrypoint="REST", seconds=0
            )

    count = ":tensorflow:serving:request_count"
    assert samples(metrics) == {
        key(count, model_name="m", status="NOT_FOUND"): 100,
        key(count, model_name="", status="NOT_FOUND"): 100,
    }


def test_models_that_come_and_go_do_not_fill_the_memory():
    metrics = Metrics(is_served=lambda _: True)
    for index in range(3_000):
        metrics.observe_request(
            model_name=f"m{index}", code=Code.NOT_FOUND, api="", entrypoint="REST", seconds=0
        )

    found = samples(metrics)

    assert len(found) == 2_001
    other = key(":tensorflow:serving:request_count", model_name="other", status="NOT_FOUND")
    assert found[other] == 1_000


def test_without_requests_there_is_nothing_to_expose():
    assert not Metrics(is_served=lambda _: True).exposition()
