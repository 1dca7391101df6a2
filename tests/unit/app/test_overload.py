"""Admission, limit and batcher together, before a simulated model server, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.support.simulated_plant import Model, Plant, quantile
from tests.support.virtual_time import run_in_virtual_time

RESNET50 = (0.001, 0.034)
MOBILENET = (0.002, 0.0075)
ACCELERATOR = (0.1, 0.001)
FAR_AWAY = (0.6, 0.02)
WARM_UP_SECONDS = 3.0


def plant_after(scenario: Callable[[Plant], Awaitable[None]], model: Model, **changes) -> Plant:
    """A plant to which that happened, when all its requests have ended."""

    async def run() -> Plant:
        plant = Plant(model, **changes)
        await scenario(plant)
        await plant.finish()
        return plant

    return run_in_virtual_time(run())


def peak(model: Model) -> float:
    return 32 / model.seconds(32)


def load(factor: float, seconds: float = 9.0):
    async def scenario(plant: Plant) -> None:
        await plant.offer(factor * peak(plant.model), seconds)

    return scenario


def goodput(plant: Plant, *, seconds: float = 9.0) -> float:
    answered = plant.count("answered", since=WARM_UP_SECONDS)
    return answered / (seconds - WARM_UP_SECONDS)


@pytest.mark.parametrize(
    ("times", "share"),
    [(RESNET50, 0.9), (MOBILENET, 0.9), (ACCELERATOR, 0.8), (FAR_AWAY, 0.4)],
    ids=["ResNet50", "MobileNetV2", "accelerator", "far away"],
)
@pytest.mark.parametrize("factor", [1.5, 10])
def test_goodput_stays_at_the_peak_and_answers_come_soon(times, share, factor):
    model = Model(*times)
    plant = plant_after(load(factor), model)
    assert goodput(plant) >= share * peak(model)
    calm = plant_after(load(0.7), model).seconds("answered", since=WARM_UP_SECONDS)
    answered = plant.seconds("answered", since=WARM_UP_SECONDS)
    assert quantile(answered, 0.99) <= 4 * quantile(calm, 0.99) + 0.5
    refused = plant.count("refused", since=WARM_UP_SECONDS)
    assert plant.count("dropped", since=WARM_UP_SECONDS) <= 0.2 * refused
    assert plant.count("late") == 0


def test_a_handful_of_clients_is_no_overload_for_a_gateway_that_warms_up():
    model = Model(0.5, 0.1)

    async def scenario(plant: Plant) -> None:
        clients = asyncio.gather(*(plant.ask_one_after_another(30) for _ in range(8)))
        await asyncio.sleep(2)
        model.fixed_seconds, model.item_seconds = 0.002, 0.0075
        await clients

    plant = plant_after(scenario, model, decode_seconds=0.05)
    assert {each.result for each in plant.outcomes} == {"answered"}


@pytest.mark.parametrize("factor", [0.5, 0.8])
def test_nobody_is_refused_below_capacity(factor):
    plant = plant_after(load(factor), Model(*MOBILENET))
    assert {each.result for each in plant.outcomes} == {"answered"}


def test_batches_of_a_slow_model_stay_short():
    plant = plant_after(load(10), Model(*RESNET50))
    later = plant.batches[len(plant.batches) // 2 :]
    assert sum(later) / len(later) < 5  # 32 would take over a second; two calls share the server
    assert max(later) <= 10


@pytest.mark.parametrize("factor", [1, 10])
def test_batches_grow_no_further_than_that_saves_something(factor):
    plant = plant_after(load(factor), Model(*MOBILENET))
    later = plant.batches[len(plant.batches) // 2 :]
    assert 6 < sum(later) / len(later) < 10  # the queue has more, and 0.2 s would allow more


def test_batches_of_a_model_with_a_high_fixed_cost_grow():
    plant = plant_after(load(10), Model(*ACCELERATOR))
    later = plant.batches[len(plant.batches) // 2 :]
    assert sum(later) / len(later) > 15


@pytest.mark.parametrize(("patience", "share"), [(1.0, 0.9), (0.6, 0.6), (0.4, 0.2)])
@pytest.mark.parametrize("times", [RESNET50, MOBILENET], ids=["ResNet50", "MobileNetV2"])
def test_impatient_clients_get_answers(times, patience, share):
    """The batches of two slots take 0.4 s: those who give up before are served by luck only."""
    model = Model(*times)
    plant = plant_after(load(10), model, patience_seconds=patience)
    assert goodput(plant) >= share * peak(model)


def test_a_model_that_is_slower_for_a_while_is_waited_for_by_few():
    model = Model(*MOBILENET)

    async def scenario(plant: Plant) -> None:
        load = asyncio.ensure_future(plant.offer(3 * peak(model), 20))
        await asyncio.sleep(7)
        model.item_seconds *= 10
        await asyncio.sleep(5)
        model.item_seconds /= 10
        await load

    plant = plant_after(scenario, model)
    assert plant.count("late") == 0
    after = [each for each in plant.outcomes if each.due_at >= 15]
    answered = sum(each.result == "answered" for each in after)
    assert answered >= 0.85 * 5 * peak(model)


def test_two_seconds_after_the_load_is_gone_everybody_is_answered_again():
    model = Model(*RESNET50)

    async def scenario(plant: Plant) -> None:
        await plant.offer(10 * peak(model), 8)
        await plant.offer(0.7 * peak(model), 6)

    plant = plant_after(scenario, model)
    after = [each for each in plant.outcomes if each.due_at >= 8 + 2]
    assert {each.result for each in after} == {"answered"}


def test_a_client_that_floods_does_not_keep_a_modest_one_out():
    model = Model(*MOBILENET)

    async def scenario(plant: Plant) -> None:
        await asyncio.gather(
            plant.offer(10 * peak(model), 12, client="flood"),
            plant.offer(0.2 * peak(model), 12, client="modest"),
        )

    plant = plant_after(scenario, model)
    asked = sum(each.client == "modest" and each.due_at >= 5 for each in plant.outcomes)
    assert plant.count("answered", since=5, client="modest") >= 0.85 * asked
