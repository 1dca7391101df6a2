"""Ready means: every required model is AVAILABLE and has really answered a moment ago.

TensorFlow Serving can call a version AVAILABLE whose every Predict fails, so the status alone
proves nothing. Real traffic is the cheapest proof; without any, one grey image is sent, past the
batches that wait here: to one model server first, to the next where it does not answer soon. Any
that answers is enough. While a ready model is being proved, a report waits for a moment only and
then says what is believed (see `trust`): under load a proof may take longer than a probe waits.
The report is kept for a second: probes and the page may ask as often as they like.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import sample
from typing import Final

import numpy as np

from app.classify.catalog import Catalog
from app.classify.predictions import check_rows
from app.classify.trust import Finding, ModelReadiness, Proof, Trust
from app.classify.versions import ModelVersion
from app.errors import (
    DeadlineExceededError,
    GatewayError,
    ModelServerUnavailableError,
    ModelVersionNotFoundError,
    OverloadedError,
)
from app.model_server.pool import ModelServerPool
from app.model_server.replica import Replica
from protocol.models import ModelSpec, State

_KEEP_SECONDS: Final = 1.0
_WATCH_SECONDS: Final = 10.0
"""Between looks of our own at what is ready; as often as a kubelet would."""
_PROOF_SECONDS: Final = 2.0
_PATIENCE_SECONDS: Final = 1.0
"""What a report waits for a proof of a model that was ready within the last..."""
_RECENT_SECONDS: Final = 10.0
"""...so many seconds."""
_HEAD_START_SECONDS: Final = 0.5
"""Before the next model server is asked, too."""
_VERSIONS_ASKED: Final = 4
"""Each may be unloaded before it is asked for the image."""
_GREY: Final = 128


@dataclass(frozen=True, slots=True)
class Report:
    """Whether the gateway should get traffic."""

    is_draining: bool
    models: Sequence[ModelReadiness]
    trouble: str | None = None
    """What keeps the gateway itself from answering."""

    @property
    def is_ready(self) -> bool:
        """All models answer, nothing is wrong here, and the process is not about to stop."""
        is_well = not self.is_draining and self.trouble is None
        return is_well and all(model.is_ready for model in self.models)

    @property
    def detail(self) -> str:
        """Why not, in one sentence; empty when ready."""
        if self.is_draining:
            return "the gateway is shutting down"
        reasons = [f"{model.name}: {model.detail}" for model in self.models if not model.is_ready]
        if self.trouble is not None:
            reasons.append(self.trouble)
        return "; ".join(reasons)


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
        trouble: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Create it.

        Args:
            server: who is asked.
            catalog: knows what a model takes, and when it last answered.
            models: names of the required models.
            clock: monotonic seconds.
            on_change: told the first report, and each that says something else than the last.
            trouble: why the gateway itself cannot answer, if it cannot.
        """
        self._server = server
        self._catalog = catalog
        self._trusts = [Trust(name) for name in models]
        self._clock = clock
        self._on_change = on_change
        self._trouble = trouble
        self._said: object = None
        self._proofs: dict[str, asyncio.Task[None]] = {}
        self.is_draining = False

    async def report(self) -> Report:
        """The current state, at most a second old unless a proof takes longer."""
        if self.is_draining:
            return Report(is_draining=True, models=())
        await asyncio.gather(*(self._look_at(trust) for trust in self._trusts))
        models = [trust.readiness for trust in self._trusts]
        versions = [tuple(sorted(self._catalog.current(model.name))) for model in models]
        report = Report(is_draining=False, models=models, trouble=self._trouble())
        said = (report.is_ready, report.detail, versions)
        if said != self._said:
            self._said = said
            self._on_change(report)
        return report

    async def watch(self, on_report: Callable[[Report], None]) -> None:
        """Report for ever, so that a change is noticed where nobody probes, and soon at a start."""
        while True:
            report = await self.report()
            on_report(report)
            await asyncio.sleep(_WATCH_SECONDS if report.is_ready else _KEEP_SECONDS)

    async def prove(self, replica: Replica) -> None:
        """Ask one model server for a prediction of each model, whatever is thought of it."""
        for trust in self._trusts:
            await self._proof_at(replica, trust.readiness.name)

    async def aclose(self) -> None:
        """Cancel proofs that are under way."""
        for task in self._proofs.values():
            task.cancel()
        await asyncio.gather(*self._proofs.values(), return_exceptions=True)

    async def _look_at(self, trust: Trust) -> None:
        """Bring what is believed of a model up to date."""
        name, now = trust.readiness.name, self._clock()
        version, answered_at = self._catalog.last_answer(name)
        if now - answered_at < _KEEP_SECONDS:
            trust.answered(version, answered_at)
            return
        if now - trust.proved_at < _KEEP_SECONDS:
            return
        proof = self._proofs.get(name)
        if proof is None:
            proof = self._proofs[name] = asyncio.create_task(self._prove(trust))
            proof.add_done_callback(lambda _: self._proofs.pop(name))
        is_known = trust.readiness.is_ready and now - trust.seen_at < _RECENT_SECONDS
        await asyncio.wait((proof,), timeout=_PATIENCE_SECONDS if is_known else None)

    async def _prove(self, trust: Trust) -> None:
        """Ask one model server after the other; whoever answers first has proved it."""
        name = trust.readiness.name
        self._catalog.look_again(name)
        waiting = sample(replicas := self._server.usable, len(replicas))
        proofs: set[asyncio.Task[Proof]] = set()
        proof = Proof(Finding.REFUTED, detail=self._server.nobody().detail)
        try:
            while (waiting or proofs) and proof.finding is not Finding.ANSWERED:
                if waiting:
                    proofs.add(asyncio.create_task(self._proof_at(waiting.pop(), name)))
                done, proofs = await asyncio.wait(
                    proofs,
                    timeout=_HEAD_START_SECONDS if waiting else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                proof = min((*(task.result() for task in done), proof), key=_rank)
        finally:
            for task in proofs:
                task.cancel()
        trust.note(proof, self._clock())

    async def _proof_at(self, replica: Replica, name: str) -> Proof:
        try:
            async with asyncio.timeout(_PROOF_SECONDS):
                return await self._proof(replica, name)
        except TimeoutError:
            return Proof(Finding.SLOW, detail="it does not answer in time")
        except (DeadlineExceededError, OverloadedError) as error:
            return Proof(Finding.SLOW, detail=error.detail)
        except GatewayError as error:
            return Proof(Finding.REFUTED, detail=error.detail)

    async def _proof(self, replica: Replica, name: str) -> Proof:
        """Status first, then a real prediction of the version that is served."""
        statuses = await replica.statuses(name, timeout_seconds=_PROOF_SECONDS)
        if not any(each.state is State.AVAILABLE for each in statuses):
            return Proof(Finding.REFUTED, detail="no version is available")
        for _ in range(_VERSIONS_ASKED):
            try:
                model = await self._catalog.resolve_at(replica, name)
                await self._predict(replica, model)
            except ModelVersionNotFoundError:  # unloaded since: what is served now?
                continue
            except ModelServerUnavailableError as error:  # it talks: its queue may be full
                return Proof(Finding.SLOW, detail=error.detail)
            return Proof(Finding.ANSWERED, model.version)
        return Proof(Finding.REFUTED, detail="what it says it serves is not served")

    async def _predict(self, replica: Replica, model: ModelVersion) -> None:
        signature = model.signature
        shape = (signature.image.height, signature.image.width, 3)
        row = signature.plan(self._server.row_encoding).row(np.full(shape, _GREY, np.uint8))
        spec = ModelSpec(model.name, model.version)
        answer = await signature.question.ask(
            replica, spec, (row,), timeout_seconds=_PROOF_SECONDS, is_telling=False
        )
        check_rows(answer.outputs, 1)
        signature.reader.read(answer.outputs, 0)


def _rank(proof: Proof) -> int:
    """An answer first, then what patience may help with."""
    return (Finding.ANSWERED, Finding.SLOW, Finding.REFUTED).index(proof.finding)
