"""Counts of first classes: bounded, the model's own words, gone with their version."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from app.classify.answers import ClassPrediction
from app.metrics.top_classes import KEEP_SECONDS, TopClasses


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def made():
    clock, registry = Clock(), CollectorRegistry()
    classes = TopClasses(clock)
    registry.register(classes)
    return clock, classes, registry


def prediction(label, probability=0.5, index=0):
    return ClassPrediction(index, label, None, probability)


def samples(registry):
    text = generate_latest(registry).decode()
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def labels_of(registry):
    return {
        dict(key[1:])["label"]: value
        for key, value in samples(registry).items()
        if key[0] == "gateway_top_label_total"
    }


def test_a_hundred_labels_of_a_version_have_series_and_the_rest_is_other():
    _, classes, registry = made()
    for number in range(150):
        classes.count("m", 1, prediction(f"label-{number}"))
    classes.count("m", 1, prediction("label-0"))
    found = labels_of(registry)
    assert len(found) == 101
    assert (found["label-0"], found["label-99"], found["other"]) == (2, 1, 50)


def test_where_there_are_no_labels_the_class_index_is_one():
    _, classes, registry = made()
    classes.count("m", 1, prediction(None, index=7))
    assert labels_of(registry) == {"7": 1}


def test_probabilities_are_a_histogram_and_scores_may_be_anything():
    _, classes, registry = made()
    for probability in (0.1, 0.11, 1.0, 12.5, -3.0):
        classes.count("m", 1, prediction("a", probability))
    found = samples(registry)
    names = (("model", "m"), ("version", "1"))
    buckets = {
        limit: found["gateway_top_probability_bucket", ("le", limit), *names]
        for limit in ("0.1", "0.2", "1.0", "+Inf")
    }
    assert buckets == {"0.1": 2, "0.2": 3, "1.0": 4, "+Inf": 5}
    assert found["gateway_top_probability_count", *names] == 5
    assert found["gateway_top_probability_sum", *names] == 10.71


def test_a_version_that_is_gone_takes_its_series_along():
    clock, classes, registry = made()
    served = {2}
    classes.is_served = lambda _, version: version in served
    for version in (1, 2, 3):
        classes.count("m", version, prediction(f"of-{version}"))
    clock.now = KEEP_SECONDS + 1
    classes.count("m", 3, prediction("of-3"))  # asked for by number
    assert labels_of(registry) == {"of-2": 1, "of-3": 2}
    assert not any(("version", "1") in key for key in samples(registry))
