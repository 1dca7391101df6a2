"""Rows in, choice out."""

import math

import pytest

from exporter.tune.configuration import Configuration, ModelServerSettings, default
from exporter.tune.rows import (
    Burst,
    Choice,
    Row,
    Sample,
    best_served,
    by_speed,
    choose,
    finalists,
    verdict,
)


def sample(rate, latency_ms, *, n=100, failed=0):
    found = Sample()
    found.add(Burst(n / rate, (latency_ms / 1000,) * n, failed))
    return found


def row(parallel=1, *, calls=(100.0, 10.0), batch_size=1, in_flight=2, served=None, share=0.7):
    """Served: capacity in requests/s, p99 in ms."""
    server = ModelServerSettings("openvino", "f32", parallel, 2)
    found = Row(Configuration(server, batch_size, in_flight), sample(*calls), share=share)
    if served:
        found.capacity, found.offered = sample(served[0], 1.0), sample(served[0] * share, served[1])
    return found


class TestSamples:
    def test_the_rate_is_the_median_of_bursts(self):
        found = Sample()
        for rate in (10, 1000, 20):
            found.add(Burst(1.0, (0.01,) * rate))
        assert found.rate == 20

    def test_percentiles_are_of_all_bursts_together(self):
        found = Sample()
        found.add(Burst(1.0, (0.010,) * 98))
        found.add(Burst(1.0, (0.050, 0.060)))
        assert found.percentile_ms(50) == pytest.approx(10)
        assert found.percentile_ms(99) == pytest.approx(50)

    def test_what_is_refused_counts_as_never_answered(self):
        found = sample(100, 5, n=100, failed=3)
        assert found.percentile_ms(50) == pytest.approx(5)
        assert found.percentile_ms(99) == math.inf

    def test_nothing_is_not_fast(self):
        assert Sample().percentile_ms(99) == math.inf
        assert Sample().rate == 0


class TestChoice:
    def test_the_highest_rate_within_the_target(self):
        slow, fast, late = row(served=(100, 9)), row(served=(150, 19)), row(served=(300, 21))
        assert choose([slow, fast, late], 20.0).best is fast

    def test_the_target_itself_is_within(self):
        only = row(served=(100, 20.0))
        assert choose([only], only.p99_ms).best is only

    def test_a_high_share_of_less_may_be_more(self):
        whole, half = row(served=(100, 9)), row(served=(180, 9), share=0.3)
        assert choose([whole, half], 20.0).best is whole
        assert choose([whole, half], None).best is half

    def test_of_equally_fast_ones_the_lower_p99(self):
        early, late = row(served=(99, 8)), row(served=(100, 18))
        assert choose([late, early], 20.0).best is early

    def test_none_within_names_the_nearest(self):
        far, near = row(served=(100, 50)), row(served=(10, 30))
        assert choose([far, near], 20.0) == Choice(None, near)

    def test_what_no_gateway_has_seen_is_not_chosen(self):
        assert choose([row(calls=(9000.0, 1.0))], 20.0) == Choice(None, None)

    def test_refused_requests_do_not_pass_without_a_target_either(self):
        refusing = row(served=(100, 9))
        refusing.offered.failed = 50
        assert choose([refusing], None).best is None


class TestOrder:
    def test_images_count_and_not_calls(self):
        single, batched = row(calls=(100, 10)), row(calls=(20, 10), batch_size=8)
        assert by_speed([single, batched], None) == [batched, single]

    def test_calls_that_take_too_long_come_last_and_the_nearest_of_them_first(self):
        good, late, later = row(calls=(10, 5)), row(calls=(100, 25)), row(calls=(900, 60))
        assert by_speed([later, late, good], 20.0) == [good, late, later]

    def test_finalists_are_two_at_most_of_a_model_server_and_the_quick_ones(self):
        fastest = [row(1, calls=(1000 - i, 19), batch_size=2 + i) for i in range(3)]
        quick = row(1, calls=(500, 4))
        other = row(2, calls=(300, 15))
        taken = finalists([*fastest, quick, other], 4, 20.0)
        assert quick in taken
        assert other in taken
        assert len(taken) < 5

    def test_served_rows_that_miss_come_last(self):
        missing, keeping = row(served=(300, 90)), row(served=(100, 9))
        assert best_served([missing, keeping, row()], 2, 20.0) == [keeping, missing]


class TestVerdicts:
    def test_each_says_what_ruled_it_out(self):
        best = row(calls=(100, 9), served=(100, 9))
        slower, late = row(served=(80, 9)), row(served=(300, 40))
        unserved, long = row(calls=(50, 9)), row(calls=(50, 900))
        choice = choose([best, slower, late], 20.0)
        said = [verdict(each, choice, 20.0, 100.0) for each in (best, slower, late, unserved, long)]
        assert said == [
            "chosen",
            "0.80 of the best",
            "p99 40 ms at 70% of its capacity",
            "model server 0.50 of the fastest",
            "a call alone has p99 900 ms",
        ]

    def test_without_a_best_one_the_nearest_is_named(self):
        near = row(served=(100, 30))
        assert (
            verdict(near, choose([near], 20.0), 20.0, 100.0) == "p99 30 ms at 70% of its capacity"
        )


class TestFlags:
    def test_tensorflows_are_those_of_its_own_server(self):
        server = ModelServerSettings("tensorflow", "float32", 2, 1, 64)
        assert list(server.flags("b.config")) == [
            "--tensorflow_inter_op_parallelism=2",
            "--tensorflow_intra_op_parallelism=1",
            "--enable_batching",
            "--batching_parameters_file=b.config",
            "--grpc_max_threads=64",
        ]

    def test_openvinos_name_the_engine_and_the_precision_that_was_proven(self):
        server = ModelServerSettings("openvino", "bf16", 2, 4)
        assert list(server.flags("")) == [
            "--engine=openvino",
            "--openvino_precision=bf16",
            "--openvino_streams=2",
            "--openvino_threads=4",
            "--grpc_max_threads=64",
        ]

    def test_the_servers_take_them(self):
        from serving import options  # noqa: PLC0415 - the exporter does not know it

        for server in (
            ModelServerSettings("tensorflow", "float32", 2, 1, 64),
            ModelServerSettings("openvino", "bf16", 2, 4),
            default("float32").server,
        ):
            read = options.parse(list(server.flags("b.config")))
            assert [*read.unknown, *read.unsupported] == []

    def test_a_batching_file_is_what_a_server_reads(self):
        from google.protobuf import text_format  # noqa: PLC0415 - as above

        from protocol.messages import config_pb2  # noqa: PLC0415 - as above

        text = ModelServerSettings("tensorflow", "float32", 2, 1, 64).batching_parameters(2)
        assert text_format.Parse(text, config_pb2.BatchingParameters()).max_batch_size.value == 64
        assert ModelServerSettings().batching_parameters(2) == ""

    def test_the_gateway_takes_its_variables(self, monkeypatch):
        from app.settings.gateway import load_settings  # noqa: PLC0415 - as above

        way = default("float32").asked(8, 3)
        for name, value in way.gateway_environment().items():
            monkeypatch.setenv(name, value)
        settings = load_settings(model_name="digits")
        assert (settings.max_batch_size, settings.max_in_flight_batches) == (8, 3)

    def test_the_defaults_are_the_gateways(self):
        from app.settings.queueing import QueueingSettings  # noqa: PLC0415 - as above

        fields = QueueingSettings.model_fields
        assert default("float32").gateway_environment() == {
            "GATEWAY_MAX_BATCH_SIZE": str(fields["max_batch_size"].default),
            "GATEWAY_MAX_IN_FLIGHT_BATCHES": str(fields["max_in_flight_batches"].default),
        }
