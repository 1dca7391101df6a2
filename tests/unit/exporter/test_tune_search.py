"""The search on machines whose fastest settings are known."""

import numpy as np
import pytest

from exporter.errors import FailedError, RefusedError
from exporter.progress import SilentReporter
from exporter.tune.proofs import Proof, Standard
from exporter.tune.search import Goal, Search
from tests.support.simulated_machine import RIGHT, SimulatedMachine

TENSORFLOW = Proof("tensorflow", "float32", 1e-4)
OPENVINO = [Proof("openvino", precision, 0.1) for precision in ("f32", "bf16", "int8")]
STANDARD = Standard(RIGHT, None, 0.995)
IMAGE_MS = {"float32": 6.0, "f32": 4.0, "bf16": 2.0, "int8": 1.5}


def image_ms(server):
    """One image to a core is best; defaults are between."""
    threads = {(2, 1): 1.0, (2, 2): 1.0, (1, 2): 1.3, (0, 0): 1.2}
    return IMAGE_MS[server.precision] * threads[server.parallel, server.threads]


def search(machine, *, target_ms=None, seconds=180.0, proofs=(TENSORFLOW, *OPENVINO)):
    goal = Goal(target_ms, seconds, cores=2, clients=32)
    return Search(machine, goal, machine.clock, SilentReporter()).run(proofs, STANDARD)


def chosen(found):
    assert found.choice.best is not None
    return found.choice.best.configuration


class TestWhatIsFound:
    def test_the_fastest_engine_precision_and_threads(self):
        server = chosen(search(SimulatedMachine(image_ms))).server
        assert (server.engine, server.precision, server.parallel) == ("openvino", "int8", 2)

    def test_another_machine_another_answer(self):
        """Where the second engine is slower, TensorFlow stays."""
        slow = SimulatedMachine(
            lambda server: image_ms(server) * (5 if server.engine == "openvino" else 1)
        )
        server = chosen(search(slow)).server
        assert (server.engine, server.parallel, server.threads) == ("tensorflow", 2, 1)

    def test_batches_where_they_pay(self):
        assert chosen(search(SimulatedMachine(image_ms))).batch_size > 1

    def test_a_target_shrinks_batches(self):
        """Large batches are faster only until one of them takes longer than is allowed."""

        def gaining(server):
            return image_ms(server)

        free = chosen(search(SimulatedMachine(gaining)))
        bound = search(SimulatedMachine(gaining), target_ms=20.0)
        assert bound.choice.best.p99_ms <= 20
        assert chosen(bound).batch_size * chosen(bound).in_flight < 20 / 1.5
        assert free.server == chosen(bound).server

    def test_the_untuned_settings_are_measured_beside(self):
        found = search(SimulatedMachine(image_ms))
        assert found.default is not None
        assert str(found.default.configuration).startswith("tensorflow float32, default threads")
        assert found.default.capacity.rate < found.choice.best.capacity.rate

    def test_one_core(self):
        machine = SimulatedMachine(lambda server: IMAGE_MS[server.precision])
        goal = Goal(None, 60.0, cores=1, clients=32)
        found = Search(machine, goal, machine.clock, SilentReporter()).run(
            [TENSORFLOW, *OPENVINO], STANDARD
        )
        assert chosen(found).server.precision == "int8"


class TestWhatIsSafe:
    def test_the_fastest_is_not_taken_if_it_answers_otherwise(self):
        wrong = RIGHT[::-1].copy()
        found = search(SimulatedMachine(image_ms, answers={("openvino", "int8"): wrong}))
        assert chosen(found).server.precision == "bf16"
        [ruled] = found.ruled_out
        assert ruled.what == "openvino int8"
        assert "off by 1" in ruled.why

    def test_nor_measured_any_further(self):
        machine = SimulatedMachine(image_ms, answers={("openvino", "int8"): RIGHT * np.nan})
        search(machine)
        assert not [way for _, way, _ in machine.asked if way.server.precision == "int8"]

    def test_an_engine_that_does_not_start_is_named_and_the_rest_goes_on(self):
        machine = SimulatedMachine(
            image_ms, broken={("openvino", each.precision): "no AVX" for each in OPENVINO}
        )
        found = search(machine)
        assert chosen(found).server.engine == "tensorflow"
        assert {(each.what, each.why) for each in found.ruled_out} == {
            (f"openvino {each.precision}", "no AVX") for each in OPENVINO
        }

    def test_nothing_safe_is_refused_with_the_reasons(self):
        machine = SimulatedMachine(image_ms, answers={("tensorflow", "float32"): RIGHT[::-1]})
        with pytest.raises(RefusedError, match=r"tensorflow float32: off by 1 on golden images"):
            search(machine, proofs=[TENSORFLOW])


class TestTargets:
    def test_one_that_cannot_be_reached_names_the_nearest(self):
        found = search(SimulatedMachine(image_ms), target_ms=0.5)
        assert found.choice.best is None
        assert found.choice.nearest is not None
        assert found.choice.nearest.share == 0.3

    def test_one_that_is_kept_at_a_lower_load_only(self):
        """A call of one image takes 4 ms; at 70 % of the load 13, at 50 % 8."""
        machine = SimulatedMachine(lambda _: 2.0)
        found = search(machine, target_ms=10.0, proofs=[TENSORFLOW])
        assert found.choice.best.share < 0.7
        assert found.choice.best.p99_ms <= 10


class TestTime:
    def test_it_takes_about_as_long_as_it_may(self):
        for seconds in (120.0, 180.0, 240.0):
            machine = SimulatedMachine(image_ms)
            search(machine, seconds=seconds)
            assert 0.8 * seconds < machine.now < 1.25 * seconds

    def test_a_short_one_measures_everything_shortly(self):
        machine = SimulatedMachine(image_ms, start_seconds=0.0)
        found = search(machine, seconds=1.0)
        assert chosen(found).server.precision == "int8"
        assert machine.now < 60

    def test_none_of_it_goes_to_calls_that_are_far_too_long(self):
        """At 60 ms an image one of 16 with another in flight takes 2 s, ten times the target."""
        machine = SimulatedMachine(lambda server: 10 * image_ms(server))
        search(machine, target_ms=200.0)
        calls = [way for kind, way, _ in machine.asked if kind == "calls"]
        long = [way for way in calls if machine.call_seconds(way) > 0.4]
        assert len(calls) > 20
        assert all(way.server.server_batch_size for way in long)  # nothing was known of those

    def test_few_run_at_a_time(self):
        machine = SimulatedMachine(image_ms)
        search(machine)
        assert machine.most_running <= 5

    def test_the_last_two_take_turns(self):
        machine = SimulatedMachine(image_ms)
        search(machine)
        last = [way for kind, way, _ in machine.asked if kind == "offered"][-8:]
        assert len(set(last)) == 2
        assert [last[i] == last[i + 1] for i in range(0, 7, 2)] == [False] * 4

    def test_bursts_get_longer_as_fewer_are_left(self):
        machine = SimulatedMachine(image_ms)
        search(machine)
        calls = [seconds for kind, _, seconds in machine.asked if kind == "calls"]
        requests = [seconds for kind, _, seconds in machine.asked if kind == "offered"]
        assert max(calls) < max(requests)


def test_a_gateway_that_never_answers_is_said():
    class Deaf(SimulatedMachine):
        def closed(self, *_):
            raise FailedError("the gateway did not become ready")

    with pytest.raises(FailedError, match="through a gateway: the gateway did not become ready"):
        search(Deaf(image_ms))
