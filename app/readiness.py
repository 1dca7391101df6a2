"""Ready means: every required model is AVAILABLE and has really answered a moment ago.

TensorFlow Serving can call a version AVAILABLE whose every Predict fails, so the status alone
proves nothing. Real traffic is the cheapest proof; without any, one grey image is sent. The report
is kept for a second: probes and the page may ask as often as they like.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from app.errors import GatewayError, ModelNotReadyError
from app.model_server.base import Input, ModelServer, Servable

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.catalog import Catalog, ModelVersion

_KEEP_SECONDS: Final = 1.0
_TIMEOUT_SECONDS: Final = 2.0
_GREY: Final = 128


@dataclass(frozen=True, slots=True)
class ModelReadiness:
    """Whether one model answers; `detail` says why not."""

    name: str
    is_ready: bool
    version: int | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Whether the gateway should get traffic."""

    is_draining: bool
    models: Sequence[ModelReadiness]

    @property
    def is_ready(self) -> bool:
        """All models answer and the process is not about to stop."""
        return not self.is_draining and all(model.is_ready for model in self.models)

    @property
    def detail(self) -> str:
        """Why not, in one sentence; empty when ready."""
        if self.is_draining:
            return "the gateway is shutting down"
        return "; ".join(
            f"{model.name}: {model.detail}" for model in self.models if not model.is_ready
        )


class Readiness:
    """Asks the required models, at most once a second."""

    def __init__(
        self,
        server: ModelServer,
        catalog: Catalog,
        models: Sequence[str],
        *,
        clock: Callable[[], float],
        on_change: Callable[[Report], None],
    ) -> None:
        """Create it.

        Args:
            server: who is asked.
            catalog: knows what a model takes.
            models: names of the required models.
            clock: monotonic seconds.
            on_change: told the first report, and each that says something else than the last.
        """
        self._server = server
        self._catalog = catalog
        self._names = models
        self._clock = clock
        self._on_change = on_change
        self._answered: dict[str, tuple[float, int]] = {}
        self._kept: tuple[float, Sequence[ModelReadiness]] | None = None
        self._lock = asyncio.Lock()
        self.is_draining = False

    def note_answer(self, name: str, version: int) -> None:
        """A request was answered by this version just now."""
        if name in self._names:
            self._answered[name] = (self._clock(), version)

    async def report(self) -> Report:
        """The current state, at most a second old."""
        if self.is_draining:
            return Report(is_draining=True, models=())
        async with self._lock:
            if self._kept is None or self._clock() - self._kept[0] >= _KEEP_SECONDS:
                models = await asyncio.gather(*(self._ask(name) for name in self._names))
                before = self._kept[1] if self._kept else None
                self._kept = (self._clock(), models)
                if models != before:
                    self._on_change(Report(is_draining=False, models=models))
        return Report(is_draining=self.is_draining, models=self._kept[1])

    async def _ask(self, name: str) -> ModelReadiness:
        answered_at, version = self._answered.get(name, (float("-inf"), 0))
        if self._clock() - answered_at < _KEEP_SECONDS:
            return ModelReadiness(name, is_ready=True, version=version)
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                version = await self._prove(name)
        except TimeoutError:
            return ModelReadiness(name, is_ready=False, detail="it does not answer in time")
        except GatewayError as error:
            return ModelReadiness(name, is_ready=False, detail=error.detail)
        return ModelReadiness(name, is_ready=True, version=version)

    async def _prove(self, name: str) -> int:
        """Status first, then a real prediction of the version that is served."""
        statuses = await self._server.statuses(name, timeout_seconds=_TIMEOUT_SECONDS)
        if not any(each.state == "AVAILABLE" for each in statuses):
            raise ModelNotReadyError("no version is available")
        model = await self._catalog.resolve(Servable(name), fresh=True)
        await self._predict(model)
        return model.version

    async def _predict(self, model: ModelVersion) -> None:
        interface = model.interface
        shape = (interface.image.height, interface.image.width, 3)
        row = interface.to_row(np.full(shape, _GREY, np.uint8))
        tensor = Input(
            interface.input_name,
            interface.dtype,
            interface.row_shape,
            (self._server.encode_row(row),),
        )
        answer = await self._server.predict(
            Servable(model.name, model.version),
            interface.signature,
            tensor,
            outputs=interface.reader.outputs,
            timeout_seconds=_TIMEOUT_SECONDS,
        )
        interface.reader.read(answer.outputs, 0)
