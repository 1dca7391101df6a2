"""A machine whose speed is known: what a search should find on it is, too. Time is virtual."""

from __future__ import annotations

import numpy as np

from exporter.errors import FailedError
from exporter.tune.rows import Burst

RIGHT = np.eye(4, dtype=np.float32)
"""What a correct engine answers to the golden images."""


class SimulatedMachine:
    """Implements `exporter.tune.machine.Machine`.

    Args:
        image_ms: of a server's settings, what one image takes on all of the machine.
        start_seconds: of any server.
        answers: by (engine, precision), where they are not RIGHT.
        broken: by (engine, precision), why its server does not start.
    """

    def __init__(self, image_ms, *, start_seconds=3.0, answers=None, broken=None):
        self._image_ms = image_ms
        self._start_seconds = start_seconds
        self._answers = answers or {}
        self._broken = broken or {}
        self.now = 0.0
        self.running = set()
        self.most_running = 0
        self.asked = []
        """Kind of load, configuration, seconds; in order."""

    def clock(self):
        return self.now

    def probabilities(self, server):
        self._start(server)
        return self._answers.get(server.proof, RIGHT)

    def calls(self, configuration, seconds):
        self._start(configuration.server)
        self.asked.append(("calls", configuration, seconds))
        self.now += seconds
        call = self.call_seconds(configuration)
        count = max(1, int(seconds * configuration.in_flight / call))
        return Burst(seconds, (call,) * count)

    def closed(self, configuration, clients, seconds):
        self._start(configuration.server)
        self.asked.append(("closed", configuration, seconds))
        self.now += seconds
        count = max(1, int(seconds * self.rate(configuration)))
        return Burst(seconds, (clients / self.rate(configuration),) * count)

    def offered(self, configuration, rate, seconds):
        """As an M/M/1 queue: the more of the capacity is used, the longer the wait."""
        self._start(configuration.server)
        self.asked.append(("offered", configuration, seconds))
        self.now += seconds
        used = rate / self.rate(configuration)
        latency = self.call_seconds(configuration) / (1 - min(used, 0.99))
        return Burst(seconds, (latency,) * max(1, int(rate * seconds)))

    def keep(self, configurations):
        self.running &= {each.server for each in configurations}

    def rate(self, configuration):
        """Images per second: two calls in flight fill the machine, small batches cost a third."""
        filled = min(1.0, configuration.in_flight / 2)
        batched = 1.0 if configuration.batch_size > 1 else 0.75
        return filled * batched * 1000 / self._image_ms(configuration.server)

    def call_seconds(self, configuration):
        """Of a call while `in_flight` are."""
        return configuration.in_flight * configuration.batch_size / self.rate(configuration)

    def _start(self, server):
        if server.proof in self._broken:
            raise FailedError(self._broken[server.proof])
        if server not in self.running:
            self.now += self._start_seconds
            self.running.add(server)
        self.most_running = max(self.most_running, len(self.running))
