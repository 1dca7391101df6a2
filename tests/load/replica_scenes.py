"""What the servers behind the gateways go through while `replicas.py` asks."""

from __future__ import annotations

import itertools
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tests.support.colour_versions import NAME, VARIANTS, Artifact, Artifacts
from tests.support.replicas import ALL, LATEST, Replica

_KILL_SECONDS = 5.0
_NOTICE_SECONDS = 2.0
"""What a gateway may take to see that a server is back (it tries again every second): whoever kills
the other one before takes both away."""
_KEPT_VERSIONS = 3
_LABELLED = (1, 2, 3)


@dataclass(frozen=True)
class Ask:
    """What a request names."""

    version: int | None = None
    label: str | None = None
    model: str | None = None

    @property
    def path(self) -> str:
        """With the query."""
        given = {"model": self.model, "version": self.version, "version_label": self.label}
        pairs = "&".join(f"{key}={value}" for key, value in given.items() if value is not None)
        return f"/classify?{pairs}" if pairs else "/classify"


NOTHING = Ask()


@dataclass
class Plant:
    """The servers under one scene, and how far it is to go."""

    replicas: Sequence[Replica]
    artifacts: Artifacts
    changes: int
    """Publishes and rollbacks, or moves, in all."""
    seconds: float
    pause_seconds: float
    """Between two changes of one server, on average."""
    current: dict[int, Artifact]
    """What is published under each number at present."""
    done: Counter[str] = field(default_factory=Counter)
    asks: Sequence[Ask] = (NOTHING,)
    """What every second request names, in turn."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_enough(self) -> bool:
        """So many changes were made."""
        return self.done.total() >= self.changes

    def pause(self, generator: random.Random) -> None:
        """After a change."""
        time.sleep(generator.uniform(0, 2 * self.pause_seconds))

    def count(self, what: str) -> None:
        """A change was made, and the server says so."""
        with self._lock:
            self.done[what] += 1

    def artifact(self, number: int) -> Artifact:
        """What is published under this number at present, on whatever server: the same copy."""
        with self._lock:
            found = self.current.get(number)
        return found or self.another(number)

    def another(self, number: int) -> Artifact:
        """Another model under this number from now on: of other size, fit, labels, classes."""
        with self._lock:
            previous = self.current.get(number) or self.current.get(number - 1)
            names = list(VARIANTS)
            index = names.index(previous.variant) + 1 if previous else 0
            # Not the next one always, or a number would tell its variant.
            index += number % 2 if previous else 0
            made = self.artifacts.new(number, names[index % len(names)])
            self.current[number] = made
            return made


def nothing(plant: Plant) -> None:
    """What the machine loses by itself."""
    time.sleep(plant.seconds)


def staggered(plant: Plant) -> None:
    """Each server publishes, rolls back and publishes again under the number, at its own times."""
    plant.asks = (Ask(model=NAME),)
    _each(plant, plant.replicas, _publish_and_roll_back)


def missing(plant: Plant) -> None:
    """The same, but the last server never gets a new version."""
    plant.asks = (Ask(model=NAME),)
    _each(plant, plant.replicas[:-1], _publish_and_roll_back)


def labels(plant: Plant) -> None:
    """Labels move at each server at its own times; the first one has a label of its own."""
    for index, replica in enumerate(plant.replicas):
        replica.assign({"stable": 1} if index else {"stable": 1, "canary": 2})
    plant.asks = (Ask(label="stable"), Ask(label="canary"))
    _each(plant, plant.replicas, _move_labels)


def version(plant: Plant) -> None:
    """A version comes to one server, then to the next as the first loses it, then it is gone."""
    for number in itertools.count(10):
        if plant.is_enough:
            return
        plant.asks = (Ask(version=number), Ask(version=1))
        artifact = plant.artifact(number)
        owner: Replica | None = None
        for turn in range(len(plant.replicas)):
            replica = plant.replicas[(number + turn) % len(plant.replicas)]
            replica.publish(artifact)
            plant.count("publish")
            time.sleep(0.5)
            if owner is not None:
                owner.withdraw(number)
                plant.count("removal")
            owner = replica
        assert owner is not None
        owner.withdraw(number)
        plant.count("removal")
        time.sleep(0.5)


def killed(plant: Plant) -> None:
    """SIGKILL to one server after the other, each when all answer again and gateways may know."""
    end = time.monotonic() + plant.seconds
    for replica in itertools.cycle(plant.replicas):
        next_at = time.monotonic() + _KILL_SECONDS
        replica.stop(signal.SIGKILL)
        plant.count("kill")
        replica.launch()
        replica.settle()
        time.sleep(max(_NOTICE_SECONDS, next_at - time.monotonic()))
        if time.monotonic() >= end:
            return


def paused(plant: Plant) -> None:
    """A rollout half-way: the last server has the next version, and nothing happens."""
    plant.replicas[-1].publish(plant.artifact(plant.replicas[-1].newest + 1))
    plant.count("publish")
    time.sleep(plant.seconds)


def restarted(plant: Plant) -> None:
    """One server after the other comes back with another model under the same number."""
    for replica in itertools.cycle(plant.replicas):
        if plant.is_enough:
            return
        number = replica.newest
        replica.stop(signal.SIGTERM)
        replica.take(number)
        replica.place(plant.another(number))
        replica.launch()
        replica.settle()
        plant.count("restart")
        time.sleep(1)


@dataclass(frozen=True)
class Scene:
    """A scene and what it starts with."""

    work: Callable[[Plant], None]
    servers: int = 2
    numbers: Sequence[int] = (20,)
    """On every server."""
    policy: str = LATEST
    changes: int = 0
    seconds: float = 0.0


SCENES = {
    "nothing": Scene(nothing, seconds=20.0),
    "staggered": Scene(staggered, changes=100),
    "missing": Scene(missing, servers=3, changes=100),
    "labels": Scene(labels, numbers=_LABELLED, policy=ALL, changes=100),
    "version": Scene(version, numbers=(1,), policy=ALL, changes=40),
    "killed": Scene(killed, seconds=120.0),
    "paused": Scene(paused, servers=3, seconds=60.0),
    "restarted": Scene(restarted, changes=12),
}


def _each(
    plant: Plant, replicas: Sequence[Replica], work: Callable[[Plant, Replica, random.Random], None]
) -> None:
    """A thread for each server; the first failure is raised."""
    with ThreadPoolExecutor(len(replicas)) as pool:
        tasks = [
            pool.submit(work, plant, replica, random.Random(index))  # noqa: S311 - no secret
            for index, replica in enumerate(replicas)
        ]
    for task in tasks:
        task.result()


def _publish_and_roll_back(plant: Plant, replica: Replica, generator: random.Random) -> None:
    while not plant.is_enough:
        newest, roll = replica.newest, generator.random()
        if len(replica.published) == 1 or roll < 0.55:
            replica.publish(plant.artifact(newest + 1))
            plant.count("publish")
        else:
            replica.withdraw(newest)
            plant.count("rollback")
            if roll < 0.75:
                replica.publish(plant.another(newest))
                plant.count("publish again")
        if len(replica.published) > _KEPT_VERSIONS:
            replica.take(min(replica.published))
        plant.pause(generator)


def _move_labels(plant: Plant, replica: Replica, generator: random.Random) -> None:
    while not plant.is_enough:
        held = dict(replica.labels)
        label = generator.choice(sorted(held))
        held[label] = generator.choice([each for each in _LABELLED if each != held[label]])
        replica.assign(held)
        plant.count("move")
        plant.pause(generator)
