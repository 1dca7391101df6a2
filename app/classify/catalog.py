"""Which version answers a request, where several model servers may serve different ones.

What is current is known for each address by itself (see `view`). A request that names no version is
answered by whatever version the address serves whose turn it is, and the answer says which; one
that names a version or a label is sent only to addresses that have it.

        request ──turn──► address ──► its version ──► decode ──► batch of that version
                                                                   └──► any address that serves it
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from random import choice, shuffle
from types import MappingProxyType
from typing import Final

from app.classify.versions import LOOKUP_SECONDS, ModelVersion, Versions
from app.classify.view import Moment, View
from app.errors import (
    GatewayError,
    ModelError,
    ModelNotFoundError,
    ModelNotReadyError,
    ModelVersionNotFoundError,
)
from app.model_server.pool import ModelServerPool
from app.model_server.replica import Replica
from app.models_file import ModelSettings
from protocol.models import ModelSpec, State, VersionStatus

_MOMENT_SECONDS: Final = 0.1
"""What one address may take to say what it serves before the next one is asked, too."""


class Catalog:
    """Resolves specs to versions through the model servers."""

    def __init__(
        self,
        server: ModelServerPool,
        settings: Mapping[str, ModelSettings],
        *,
        clock: Callable[[], float],
        first_labels: Mapping[str, str] = MappingProxyType({}),
        quorum: int = 1,
    ) -> None:
        """Create it.

        Args:
            server: who is asked.
            settings: of SavedModels that our exporter did not write, by model.
            clock: monotonic seconds.
            first_labels: the first one of those that answer requests which name none, for the
                models whose traffic is split.
            quorum: a version that fewer addresses serve gets no request that names none, as long
                as so many serve another one.
        """
        self._server = server
        self._versions = Versions(
            settings, row_encoding=server.row_encoding, prefers_strings=server.prefers_strings
        )
        self._clock = clock
        self._first_labels = first_labels
        self._quorum = quorum
        self._views: dict[Replica, View] = {}
        self._answered: dict[str, tuple[int, float]] = {}
        server.when_gone(self._forget)

    async def resolve(self, spec: ModelSpec) -> ModelVersion:
        """A version that the spec stands for at one of the addresses.

        Args:
            spec: by number, by label, or the served one.

        Raises:
            ModelError: no such model, version or label anywhere.
            ModelServerError: no model server answers, or no version is ready.
        """
        return await self._locate(spec, fresh=False)

    async def confirm(self, spec: ModelSpec) -> ModelVersion:
        """As `resolve`, asked for at this moment."""
        return await self._locate(spec, fresh=True)

    async def resolve_at(self, replica: Replica, name: str) -> ModelVersion:
        """The version that has to answer requests which name none there, asked at this moment.

        Raises:
            GatewayError: as `resolve`.
        """
        view = self._view(replica)
        if (label := self._first_labels.get(name)) is not None:
            with suppress(ModelVersionNotFoundError, ModelNotReadyError):  # the served one then
                return await view.resolve_again(ModelSpec(name, version_label=label))
        return await view.resolve_again(ModelSpec(name))

    async def version(self, name: str, number: int) -> ModelVersion:
        """That very version, from whoever has it.

        Raises:
            GatewayError: as `resolve`.
        """
        return await self.resolve(ModelSpec(name, version=number))

    def serving(self, spec: ModelSpec, model: ModelVersion) -> list[Replica]:
        """Who is to be asked for the spec when it is to be this version that answers."""
        return [
            replica for replica in self._server.usable if self._view(replica).serves(spec, model)
        ]

    def moment(self, replica: Replica) -> Moment:
        """Now: when a question to the replica begins."""
        return self._view(replica).moment

    def asked(self, spec: ModelSpec, model: ModelVersion) -> ModelSpec:
        """What to ask for: by number where the answer will not say which version it is of."""
        return spec if self._server.reports_version else ModelSpec(model.name, model.version)

    async def answered(
        self,
        replica: Replica,
        spec: ModelSpec,
        model: ModelVersion,
        *,
        number: int | None,
        asked: Moment,
    ) -> ModelVersion:
        """The version that answered a question: `model` if it was not another.

        Args:
            replica: who answered.
            spec: what was asked for.
            model: which version that was believed to be.
            number: of the one that answered; None if the answer does not say.
            asked: when.

        Raises:
            GatewayError: it cannot be read any more.
        """
        view = self._view(replica)
        if self._server.reports_version and number is not None:
            view.answered(spec, number, asked=asked)
        if number in {None, model.version} and asked.connections == replica.connections:
            return model
        return await view.version(model.name, model.version if number is None else number)

    async def has_moved(self, replica: Replica, spec: ModelSpec, model: ModelVersion) -> bool:
        """Whether the spec does not stand for that version any more there; it is asked now."""
        try:
            return await self._view(replica).resolve_again(spec) is not model
        except GatewayError:
            return True

    async def missed(self, replica: Replica, spec: ModelSpec) -> None:
        """It was not found there: ask what is, before anybody else is sent there for it."""
        view = self._view(replica)
        view.doubt(spec)
        with suppress(GatewayError):
            await view.resolve_again(spec)

    def note_answer(self, spec: ModelSpec, model: ModelVersion) -> None:
        """A request for the spec was answered, by this version and with good numbers."""
        if spec.version is None and spec.version_label in {None, self._first_labels.get(spec.name)}:
            self._answered[model.name] = (model.version, self._clock())

    def last_answer(self, name: str) -> tuple[int, float]:
        """Which version of the served model answered last, and when (long ago: never)."""
        return self._answered.get(name, (0, float("-inf")))

    def current(self, name: str) -> Counter[int]:
        """How many addresses in use answer with which version where a request names none."""
        spec = ModelSpec(name)
        in_use = (view for view in self._views.values() if view.replica.is_in_use)
        known = (view.last_known(spec) for view in in_use)
        return Counter(model.version for model in known if model is not None)

    def look_again(self, name: str) -> None:
        """Ask every address in passing which version of the model it serves."""
        for replica in self._server.usable:
            self._view(replica).believed(ModelSpec(name))

    async def statuses(self, name: str) -> list[list[VersionStatus]]:
        """What each model server that answers says about the model's versions.

        Raises:
            GatewayError: none does.
        """
        replicas = self._server.usable
        if not replicas:
            raise self._server.nobody()
        asked = (each.statuses(name, timeout_seconds=LOOKUP_SECONDS) for each in replicas)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        found = [each for each in answers if not isinstance(each, BaseException)]
        if not found:
            raise _gravest([each for each in answers if isinstance(each, BaseException)])
        return found

    async def explain(self, error: ModelError, spec: ModelSpec) -> GatewayError:
        """Say why a spec was not found: wrong model, wrong version, or not ready yet."""
        try:
            answers = await self.statuses(spec.name)
        except ModelNotFoundError as unknown:
            return unknown
        except GatewayError:
            return error
        statuses = [each for answer in answers for each in answer]
        wanted = [each for each in statuses if spec.version in {None, each.version}]
        if any(each.state in {State.START, State.LOADING} for each in wanted):
            return ModelNotReadyError(f"{spec} is still loading", reason=error.reason)
        if not spec.is_pinned:
            return ModelNotReadyError(f"{spec} has no available version", reason=error.reason)
        return ModelVersionNotFoundError(f"{spec} is not served", reason=error.reason)

    async def aclose(self) -> None:
        """Cancel lookups in flight."""
        for view in self._views.values():
            await view.aclose()

    async def _locate(self, spec: ModelSpec, *, fresh: bool) -> ModelVersion:
        views = [self._view(replica) for replica in self._server.usable]
        if not views:
            raise self._server.nobody()
        if not fresh and (found := self._believed(spec, views)) is not None:
            return found
        shuffle(views)
        try:
            return await _first(spec, views, fresh=fresh)
        except (ModelNotFoundError, ModelVersionNotFoundError) as error:
            if len(views) < len(self._server.replicas):
                raise ModelNotReadyError(
                    f"{spec} is not served by the model servers that answer; others do not answer",
                    reason=error.reason,
                ) from error
            raise await self.explain(error, spec) from error

    def _believed(self, spec: ModelSpec, views: Sequence[View]) -> ModelVersion | None:
        """What one of the addresses says that are known to have it, each as often as the others."""
        known = [model for view in views if (model := view.believed(spec)) is not None]
        if not known:
            return None
        if self._quorum > 1 and not spec.is_pinned:
            counts = Counter(known)
            known = [model for model in known if counts[model] >= self._quorum] or known
        return choice(known)  # noqa: S311 - whose turn it is is no secret

    def _view(self, replica: Replica) -> View:
        view = self._views.get(replica)
        if view is None:
            view = View(replica, self._versions, clock=self._clock)
            if replica in self._server.replicas:  # one that is gone may still answer a last call
                self._views[replica] = view
        return view

    def _forget(self, replica: Replica) -> None:
        self._views.pop(replica, None)


async def _first(spec: ModelSpec, views: Sequence[View], *, fresh: bool) -> ModelVersion:
    """The answer of the first who has it; who is slow to say keeps nobody from asking the next.

    Raises:
        GatewayError: nobody has it.
    """
    waiting = list(views)
    pending: set[asyncio.Task[ModelVersion]] = set()
    errors: list[BaseException] = []
    try:
        while waiting or pending:
            if waiting:
                task = asyncio.create_task(waiting.pop().resolve(spec, fresh=fresh))
                task.add_done_callback(_hear)
                pending.add(task)
            done, pending = await asyncio.wait(
                pending,
                timeout=_MOMENT_SECONDS if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            failures = {task: task.exception() for task in done}
            for task, failure in failures.items():
                if failure is None:
                    return task.result()
                errors.append(failure)
    finally:
        for task in pending:
            task.cancel()
    raise _gravest(errors)


def _hear(task: asyncio.Task[ModelVersion]) -> None:
    """Whoever waited may have given up: a failure that nobody looks at would be logged."""
    if not task.cancelled():
        task.exception()


def _gravest(errors: Sequence[BaseException]) -> BaseException:
    """What to say where all failed: who did not answer may have what the others have not."""
    not_found = (ModelNotFoundError, ModelVersionNotFoundError)
    return next((each for each in errors if not isinstance(each, not_found)), errors[0])
