"""Versions through their states, with a fake engine and no waiting."""

from __future__ import annotations

import threading

import pytest

from protocol.codes import Code
from protocol.models import State
from serving.core.errors import ServingError
from serving.core.manager import Manager
from tests.support.processes import wait_until


def states(manager, model_name="m"):
    return {state.version: state.state for state in manager.statuses(model_name)}


def aspire(manager, *versions):
    manager.set_aspired_versions("m", {version: f"/m/{version}" for version in versions})


def reach(manager, expected):
    wait_until(lambda: states(manager) == expected, seconds=60, what=f"{expected}")


def test_a_version_becomes_available(manager):
    aspire(manager, 1)
    assert manager.wait_until_available("m", 10)
    assert states(manager) == {1: State.AVAILABLE}
    with manager.lease("m", None) as (version, servable):
        assert (version, servable.name) == (1, "/m/1")


def test_old_version_answers_until_the_new_one_does(manager, engine):
    aspire(manager, 1)
    reach(manager, {1: State.AVAILABLE})
    gate = engine.gate("/m/2")
    aspire(manager, 2)
    reach(manager, {1: State.AVAILABLE, 2: State.LOADING})
    with manager.lease("m", None) as (version, _):
        assert version == 1
    gate.set()
    reach(manager, {1: State.END, 2: State.AVAILABLE})
    assert engine.loaded["/m/1"].is_closed
    assert [state.version for state in manager.statuses("m")] == [2, 1]


def test_a_leased_version_is_not_freed(manager):
    aspire(manager, 1)
    reach(manager, {1: State.AVAILABLE})
    with manager.lease("m", 1) as (_, servable):
        aspire(manager, 2)
        reach(manager, {1: State.UNLOADING, 2: State.AVAILABLE})
        assert not servable.is_closed
        with pytest.raises(ServingError, match=r"Specific\(m, 1\)"), manager.lease("m", 1):
            pass
    reach(manager, {1: State.END, 2: State.AVAILABLE})
    assert servable.is_closed


def test_a_failing_version_is_tried_six_times_a_minute_apart(manager, engine, pauses):
    engine.broken.add("/m/1")
    aspire(manager, 1)
    reach(manager, {1: State.END})
    assert pauses == [60.0] * 5
    assert engine.attempts == ["/m/1"] * 6
    (state,) = manager.statuses("m")
    assert (state.code, state.message) == (Code.NOT_FOUND, "nothing at /m/1")


def test_old_version_keeps_serving_when_the_new_one_is_broken(manager, engine):
    aspire(manager, 1)
    reach(manager, {1: State.AVAILABLE})
    engine.broken.add("/m/2")
    aspire(manager, 2)
    reach(manager, {1: State.AVAILABLE, 2: State.END})


def test_no_other_change_of_a_model_while_a_version_is_retried(engine):
    may_continue = threading.Event()
    manager = Manager(engine.load, pause=lambda _: not may_continue.wait(10))
    engine.broken.add("/m/2")
    try:
        aspire(manager, 1)
        reach(manager, {1: State.AVAILABLE})
        aspire(manager, 2)
        reach(manager, {1: State.AVAILABLE, 2: State.LOADING})
        aspire(manager, 3)
        assert states(manager)[3] is State.START
        manager.set_aspired_versions("other", {1: "/other/1"})
        assert manager.wait_until_available("other", 10)
        may_continue.set()
        reach(manager, {1: State.END, 2: State.END, 3: State.AVAILABLE})
    finally:
        manager.stop()


def test_a_repaired_version_loads_after_it_was_gone(manager, engine):
    engine.broken.add("/m/1")
    aspire(manager, 1)
    reach(manager, {1: State.END})
    engine.broken.clear()
    aspire(manager, 1)
    assert states(manager) == {1: State.END}
    aspire(manager)
    aspire(manager, 1)
    reach(manager, {1: State.AVAILABLE})


def test_a_version_that_is_wanted_again_while_it_unloads_comes_back(manager, engine):
    aspire(manager, 1)
    reach(manager, {1: State.AVAILABLE})
    with manager.lease("m", 1):
        aspire(manager)
        reach(manager, {1: State.UNLOADING})
        aspire(manager, 1)
    reach(manager, {1: State.AVAILABLE})
    assert engine.attempts == ["/m/1", "/m/1"]


def test_a_version_that_was_dropped_before_it_loaded_leaves_no_trace(manager, engine):
    gate = engine.gate("/m/1")
    aspire(manager, 1)
    aspire(manager, 2)
    assert states(manager) == {1: State.LOADING, 2: State.START}
    aspire(manager, 1)
    assert states(manager) == {1: State.LOADING}
    gate.set()
    reach(manager, {1: State.AVAILABLE})


def test_a_version_that_cannot_be_freed_does_not_stop_its_model(manager, engine):
    aspire(manager, 1)
    reach(manager, {1: State.AVAILABLE})

    def explode():
        raise ZeroDivisionError

    engine.loaded["/m/1"].close = explode
    aspire(manager, 2)
    reach(manager, {1: State.END, 2: State.AVAILABLE})


def test_waiting_for_versions_that_load(manager, engine):
    gate = engine.gate("/m/1")
    engine.broken.add("/m/2")
    manager.set_aspired_versions("m", {1: "/m/1", 2: "/m/2"})
    manager.wait_until_loaded("m", [2, 77], 10)
    assert states(manager)[2] is State.END
    reach(manager, {1: State.LOADING, 2: State.END})
    manager.wait_until_loaded("m", [1], 0.01)
    assert states(manager)[1] is State.LOADING
    gate.set()
    manager.wait_until_loaded("m", [1], 10)
    assert states(manager)[1] is State.AVAILABLE


def test_an_engine_defect_ends_the_version_not_the_model(engine):
    def load(model_name, version, path):
        if version == 1:
            raise ZeroDivisionError(path)
        return engine.load(model_name, version, path)

    manager = Manager(load, pause=lambda _: False)
    try:
        aspire(manager, 1)
        reach(manager, {1: State.END})
        assert manager.statuses("m")[0].code is Code.INTERNAL
        aspire(manager, 2)
        reach(manager, {1: State.END, 2: State.AVAILABLE})
    finally:
        manager.stop()


@pytest.mark.parametrize(
    ("version", "request_text"),
    [(None, "Latest(m)"), (7, "Specific(m, 7)"), (-1, "Specific(m, -1)")],
)
def test_unknown_servables_are_not_found(manager, version, request_text):
    with pytest.raises(ServingError) as caught, manager.lease("m", version):
        pass
    assert caught.value.code is Code.NOT_FOUND
    assert caught.value.message == f"Servable not found for request: {request_text}"


def test_stopping_cancels_retries_and_frees_everything(engine):
    manager = Manager(engine.load)
    engine.broken.add("/broken/1")
    manager.set_aspired_versions("broken", {1: "/broken/1"})
    aspire(manager, 1)
    reach(manager, {1: State.AVAILABLE})
    wait_until(lambda: "/broken/1" in engine.attempts, seconds=60)
    manager.stop()
    assert engine.loaded["/m/1"].is_closed
    assert not [t for t in threading.enumerate() if t.name.startswith(("loading-", "unloading-"))]
    assert not manager.wait_until_available("broken")
