"""Holds the loaded versions of every model and moves them through their states.

    START ──► LOADING ──► AVAILABLE ──► UNLOADING ──► END
                 └── load failed, retries spent ──────┘

Sources say which versions are aspired; `policy.next_action` says what to do next; this module does
it, on one short-lived thread per action. Requests lease versions: a leased version is never freed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from protocol.codes import Code
from protocol.models import State, VersionStatus
from serving.core import policy
from serving.core.errors import ServingError
from serving.core.retries import Load, Pause, RetryPolicy, load_with_retries
from serving.core.servable import Servable

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Version:
    """One version that the manager holds. Guarded by the manager's lock."""

    number: int
    path: str
    state: State = State.START
    is_aspired: bool = True
    servable: Servable | None = None
    leases: int = 0


@dataclass(slots=True)
class _Model:
    """One model: what its source wants, what is held, and every state ever reached."""

    aspired: dict[int, str] = field(default_factory=dict)
    held: dict[int, _Version] = field(default_factory=dict)
    history: dict[int, VersionStatus] = field(default_factory=dict)


_BEFORE_AVAILABLE = frozenset({State.START, State.LOADING})

_Action = Callable[[str, _Version], None]


class Manager:
    """The versions of all models, their life cycle and the leases on them."""

    def __init__(
        self,
        load: Load,
        *,
        retry: RetryPolicy | None = None,
        pause: Pause | None = None,
        max_parallel_loads: int = 4,
        max_parallel_unloads: int = 4,
    ) -> None:
        self._load = load
        self._retry = retry or RetryPolicy()
        self._pause = pause or self._wait_unless_stopping
        self._load_slots = threading.BoundedSemaphore(max_parallel_loads)
        self._unload_slots = threading.BoundedSemaphore(max_parallel_unloads)
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._stopping = threading.Event()
        self._models: dict[str, _Model] = {}
        self._threads: set[threading.Thread] = set()

    def set_aspired_versions(self, model_name: str, aspired: Mapping[int, str]) -> None:
        """Say which versions (with their paths) of one model shall be served from now on."""
        with self._lock:
            model = self._models.setdefault(model_name, _Model())
            model.aspired = dict(aspired)
            self._reconcile(model_name)

    @contextmanager
    def lease(self, model_name: str, version: int | None) -> Iterator[tuple[int, Servable]]:
        """Hold one AVAILABLE version (None: the highest) until the block ends.

        Raises:
            ServingError: NOT_FOUND when there is no such version.
        """
        with self._lock:
            held, servable = self._find_available(model_name, version)
            held.leases += 1
        try:
            yield held.number, servable
        finally:
            with self._lock:
                held.leases -= 1
                if not held.leases and held.state is State.UNLOADING:
                    self._changed.notify_all()

    def statuses(self, model_name: str) -> list[VersionStatus]:
        """Every version that was ever asked for, highest first; empty for an unknown model."""
        with self._lock:
            model = self._models.get(model_name)
            history = dict(model.history) if model else {}
        return [history[number] for number in sorted(history, reverse=True)]

    def knows(self, model_name: str) -> bool:
        """Whether the server was ever told to serve that model."""
        return model_name in self._models

    def available_versions(self, model_name: str) -> frozenset[int]:
        """The versions that answer now."""
        return frozenset(s.version for s in self.statuses(model_name) if s.state is State.AVAILABLE)

    def wait_until_available(self, model_name: str, timeout_seconds: float | None = None) -> bool:
        """Wait for any AVAILABLE version; False when the time is up or the server stops."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._stopping.is_set() or bool(self.available_versions(model_name)),
                timeout_seconds,
            ) and bool(self.available_versions(model_name))

    def wait_until_loaded(
        self, model_name: str, versions: Iterable[int], timeout_seconds: float | None = None
    ) -> None:
        """Wait until none of these versions is about to load or loading."""
        wanted = frozenset(versions)

        def is_loaded() -> bool:
            statuses = self.statuses(model_name)
            return not any(s.version in wanted and s.state in _BEFORE_AVAILABLE for s in statuses)

        with self._changed:
            self._changed.wait_for(lambda: self._stopping.is_set() or is_loaded(), timeout_seconds)

    def cancel(self) -> None:
        """Begin to stop: no further action, no retry, and whoever waits for a version gives up."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()

    def stop(self) -> None:
        """Cancel, wait for actions under way, and free every version."""
        self.cancel()
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join()
        with self._lock:
            versions = [held for model in self._models.values() for held in model.held.values()]
        for held in versions:
            self._free(held)

    def _wait_unless_stopping(self, seconds: float) -> bool:
        return self._stopping.wait(seconds)

    def _find_available(self, model_name: str, version: int | None) -> tuple[_Version, Servable]:
        model = self._models.get(model_name)
        held = model.held if model else {}
        numbers = sorted(held, reverse=True) if version is None else [version]
        for number in numbers:
            found = held.get(number)
            if found and found.state is State.AVAILABLE and found.servable is not None:
                return found, found.servable
        request = (
            f"Latest({model_name})" if version is None else f"Specific({model_name}, {version})"
        )
        raise ServingError(Code.NOT_FOUND, f"Servable not found for request: {request}")

    def _reconcile(self, model_name: str) -> None:
        """Bring what is held in line with what is aspired, then start the next action."""
        model = self._models[model_name]
        while True:
            self._mark(model)
            action = None if self._stopping.is_set() else policy.next_action(_snapshot(model))
            if not isinstance(action, policy.ForgetVersion):
                break
            held = model.held.pop(action.version)
            if held.state is State.START:
                del model.history[held.number]
        if isinstance(action, policy.LoadVersion):
            self._start(self._run_load, model_name, model.held[action.version], State.LOADING)
        elif isinstance(action, policy.UnloadVersion):
            self._start(self._run_unload, model_name, model.held[action.version], State.UNLOADING)

    def _mark(self, model: _Model) -> None:
        for held in model.held.values():
            # A version that is going away stays unaspired; it comes back as a new one afterwards.
            if held.state is not State.UNLOADING and (
                held.is_aspired or held.state is not State.END
            ):
                held.is_aspired = held.number in model.aspired
        for number, path in model.aspired.items():
            if number not in model.held:
                held = model.held[number] = _Version(number, path)
                self._enter(model, held, State.START)

    def _enter(
        self,
        model: _Model,
        held: _Version,
        state: State,
        error: ServingError | None = None,
    ) -> None:
        held.state = state
        code, message = (error.code, error.message) if error else (Code.OK, "")
        model.history[held.number] = VersionStatus(held.number, state, code, message)
        self._changed.notify_all()

    def _start(
        self,
        run: _Action,
        model_name: str,
        held: _Version,
        state: State,
    ) -> None:
        """Enter `state` at once and do the work on a thread of its own."""
        self._enter(self._models[model_name], held, state)
        _log.info("%s: version %d of model %s", state.name, held.number, model_name)

        def work() -> None:
            try:
                run(model_name, held)
            finally:
                with self._lock:
                    self._threads.discard(threading.current_thread())
                    self._reconcile(model_name)

        thread = threading.Thread(target=work, name=f"{state.name.lower()}-{model_name}")
        self._threads.add(thread)
        thread.start()

    def _run_load(self, model_name: str, held: _Version) -> None:
        def attempt() -> Servable:
            with self._load_slots:
                return self._load(model_name, held.number, held.path)

        error = None
        try:
            servable = load_with_retries(attempt, self._retry, self._pause)
        except ServingError as raised:
            error = raised
        except Exception as raised:  # noqa: BLE001 - see below
            # The engine's own failure is this version's error, not the end of the model's life.
            _log.exception("loading version %d of model %s", held.number, model_name)
            error = ServingError(Code.INTERNAL, str(raised))
        with self._lock:
            if error is None:
                held.servable = servable
            state = State.END if error else State.AVAILABLE
            self._enter(self._models[model_name], held, state, error)
        if error:
            _log.error("version %d of model %s: %s", held.number, model_name, error)
        else:
            _log.info("AVAILABLE: version %d of model %s", held.number, model_name)

    def _run_unload(self, model_name: str, held: _Version) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not held.leases or self._stopping.is_set())
        with self._unload_slots:
            self._free(held)
        with self._lock:
            self._enter(self._models[model_name], held, State.END)
        _log.info("END: version %d of model %s", held.number, model_name)

    def _free(self, held: _Version) -> None:
        with self._lock:
            # Only a drain that ran out of time leaves leases here; the process ends anyway.
            servable, held.servable = (None if held.leases else held.servable), None
        if servable is None:
            return
        try:
            servable.close()
        except Exception:  # noqa: BLE001 - see below
            # Its requests are over and it will not be used again: the model goes on.
            _log.exception("freeing version %d", held.number)


def _snapshot(model: _Model) -> list[policy.VersionSnapshot]:
    return [
        policy.VersionSnapshot(held.number, held.state, held.is_aspired)
        for held in model.held.values()
    ]
