"""Metrics of several workers as those of one gateway, and what stays of workers that end."""

from __future__ import annotations

import math
import time

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from app.figures import Figures
from app.latencies import Latencies, summary
from app.metrics import merged
from app.metrics.gateway import Metrics
from app.workers.totals import Account, Totals, written


def samples(text):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def worker(requests, seconds, **gauges):
    registry = CollectorRegistry()
    counter = Counter("requests", "R.", ("route",), registry=registry)
    histogram = Histogram("took", "T.", buckets=(0.1, 1.0), registry=registry)
    for name, value in gauges.items():
        Gauge(name, "G.", registry=registry).set(value)
    counter.labels('/a"\\ b').inc(requests)
    for each in seconds:
        histogram.observe(each)
    return generate_latest(registry).decode()


def merge(*texts):
    return merged.exposition(merged.merge(map(merged.parse, texts))).decode()


def test_one_text_alone_is_itself():
    metrics = Metrics(time.monotonic)
    metrics.http.request_done("/classify", "POST", 200, 0.1, problem=None, refusal=None)
    text = metrics.exposition().decode()
    assert samples(merge(text)) == samples(text)
    assert [line for line in merge(text).splitlines() if line[0] == "#"] == [
        line for line in text.splitlines() if line[0] == "#"
    ]


def test_counters_and_histograms_are_summed():
    found = samples(merge(worker(3, [0.05, 5.0]), worker(4, [0.5])))
    assert found["requests_total", ("route", '/a"\\ b')] == 7
    assert [found["took_bucket", ("le", each)] for each in ("0.1", "1.0", "+Inf")] == [1, 2, 3]
    assert (found[("took_count",)], found[("took_sum",)]) == (3, 5.55)


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        ("gateway_connections", 5), ("gateway_images_in_progress", 5),
        ("gateway_saturation", 4), ("gateway_event_loop_lag_seconds", 4), ("process_open_fds", 4),
        ("gateway_ready", 1), ("process_start_time_seconds", 1),
    ],
)  # fmt: skip
def test_gauges_are_what_makes_sense_of_each(name, whole):
    one, other = worker(0, [], **{name: 1}), worker(0, [], **{name: 4})
    assert samples(merge(one, other))[(name,)] == whole
    assert samples(merge(other, one))[(name,)] == whole


def test_every_name_with_a_rule_of_its_own_is_a_metric():
    metrics = Metrics(time.monotonic)
    metrics.http.watch_keys(count=lambda: 1, is_stale=lambda: 0)
    names = set(merged.parse(metrics.exposition().decode()))
    assert names >= merged._LARGEST | merged._SMALLEST


def test_values_that_are_no_numbers_are_written_as_prometheus_reads_them():
    text = "# TYPE a gauge\na +Inf\n# TYPE b gauge\nb NaN\n# TYPE c gauge\nc -Inf\n"
    found = samples(merge(text))
    assert (found[("a",)], found[("c",)]) == (math.inf, -math.inf)
    assert math.isnan(found[("b",)])


def account(requests, figures=None, **gauges):
    return Account.read(written(worker(requests, [0.05], **gauges), figures or Figures()))


def total(totals):
    found = samples(totals.metrics("").decode())
    return found["requests_total", ("route", '/a"\\ b')]


def test_what_a_worker_counted_stays_when_it_ends_and_its_gauges_go():
    totals = Totals()
    totals.heard(1, account(10, gateway_connections=3))
    totals.heard(2, account(20, gateway_connections=4))
    assert total(totals) == 30
    totals.ended(1)
    assert total(totals) == 30
    assert samples(totals.metrics("").decode())[("gateway_connections",)] == 4
    totals.heard(3, account(1, gateway_connections=1))
    assert total(totals) == 31
    totals.ended(2)
    totals.ended(3)
    totals.ended(4)  # it never said anything
    assert total(totals) == 31


def figures_of(seconds, **values):
    latencies = Latencies(lambda: 100.0)
    for each in seconds:
        latencies.record("m", 1, {"total": each})
    return Figures(stages=latencies.recent(), **values)


def test_figures_add_up_and_quantiles_are_of_all():
    parts = [
        figures_of([0.1] * 50, answered=50, requests_per_second=5.0, uptime_seconds=3.0),
        figures_of([0.4] * 50, answered=50, requests_per_second=1.5, uptime_seconds=9.0),
    ]
    read = [Figures.from_json(part.to_json()) for part in parts]
    whole = Figures.of_all(read)
    assert (whole.answered, whole.requests_per_second, whole.uptime_seconds) == (100, 6.5, 9.0)
    both = figures_of([0.1] * 50 + [0.4] * 50)
    assert summary(whole.stages) == summary(both.stages)


def test_the_newest_problems_of_all_are_kept():
    def problems(*times):
        return Figures(last_problems=[{"at": f"2026-01-01T00:00:{each:02}Z"} for each in times])

    whole = Figures.of_all([problems(*range(20, 0, -2)), problems(*range(19, 0, -2))])
    assert [each["at"][-3:-1] for each in whole.last_problems] == [
        f"{each:02}" for each in range(20, 10, -1)
    ]


def test_figures_of_a_worker_that_ended_keep_counts_and_let_go_of_what_is_lately():
    totals = Totals()
    busy = figures_of([0.1], answered=5, failed=2, requests_per_second=9.0, images_in_progress=3)
    totals.heard(1, account(0, busy))
    totals.ended(1)
    whole = totals.figures(60.0)
    assert (whole.answered, whole.failed, whole.uptime_seconds) == (5, 2, 60.0)
    assert (whole.requests_per_second, whole.images_in_progress, whole.stages) == (0, 0, {})
