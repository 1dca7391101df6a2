"""Ready means: every required model is AVAILABLE and has really answered a moment ago.

TensorFlow Serving can call a version AVAILABLE whose every Predict fails, so the status alone
proves nothing. Real traffic is the cheapest proof; without any, one grey image is sent. The report
is kept for a second: probes and the page may ask as often as they like.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from app.classify.catalog import Catalog, ModelVersion
from app.errors import GatewayError, ModelNotReadyError
from app.model_server.pool import ModelServerPool
from protocol.models import ModelSpec, State

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
        server: ModelServerPool,
        catalog: Catalog,
        models: Sequence[str],
        *,
        clock: Callable[[], float],
        on_change: Callable[[Report], None],
    ) -> None:
        """Create it.

        Args:
            server: who is asked.
            catalog: knows what a model takes, and when it last answered.
            models: names of the required models.
            clock: monotonic seconds.
            on_change: told the first report, and each that says something else than the last.
        """
        self._server = server
        self._catalog = catalog
        self._names = models
        self._clock = clock
        self._on_change = on_change
        self._kept: tuple[float, Sequence[ModelReadiness]] | None = None
        self._lock = asyncio.Lock()
        self.is_draining = False

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
        version, answered_at = self._catalog.last_answer(name)
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
        if not any(each.state is State.AVAILABLE for each in statuses):
            raise ModelNotReadyError("no version is available")
        model = await self._catalog.resolve(ModelSpec(name), fresh=True)
        await self._predict(model)
        return model.version

    async def _predict(self, model: ModelVersion) -> None:
        signature = model.signature
        shape = (signature.image.height, signature.image.width, 3)
        row = self._server.encode_row(signature.to_row(np.full(shape, _GREY, np.uint8)))
        spec = ModelSpec(model.name, model.version)
        answer = await signature.question.ask(
            self._server, spec, (row,), timeout_seconds=_TIMEOUT_SECONDS
        )
        signature.reader.read(answer.outputs, 0)
