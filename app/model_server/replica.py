"""One model server at one address: its calls, and what they say about it.

    IN_USE ──unreachable──────────────────────────► EJECTED ──it says anything at all──► IN_USE
       └─────no answer in time, and signs of why─────► SUSPECTED ──a prediction─────────► IN_USE

Who is ejected fails every call at once, so trying costs nothing. Who is suspected costs each call
its whole deadline, so calls are refused instead, all but a trial now and then.

Here the protocol's errors become the gateway's: everybody above sees GatewayErrors only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import Final, TypeVar

from app.errors import DeadlineExceededError, GatewayError, ModelServerUnavailableError
from app.model_server.addresses import Address
from app.model_server.failures import translate
from protocol.client import Client, Headers, Input, Prediction, ProtocolError
from protocol.models import Metadata, ModelSpec, VersionStatus

_T = TypeVar("_T")

_TALK_SECONDS: Final = 1.0
_TIMEOUTS_UNTIL_SUSPECTED: Final = 3
"""One slow answer proves nothing; three in a row from one address are a hung process, or too much
work."""
_TELLING_TIMEOUT_SECONDS: Final = 1.0
"""Missing a shorter deadline, which clients choose, says nothing about the address."""
_SILENT_SECONDS: Final = 5.0
"""Who still talks is believed to be busy, until nothing was answered for so long."""
_TRIAL_SECONDS: Final = 0.5
"""Between two calls that are let through to an address that is suspected: a wrong guess must never
take the service down by itself, and one that has healed is to be found within a second."""

_NOBODY: Final = ModelSpec("no-such-model")
"""Talking is asking for a model's status; any answer, NOT_FOUND too, proves that it listens."""


class Standing(Enum):
    """What is thought of an address."""

    IN_USE = "in_use"
    SUSPECTED = "suspected"
    EJECTED = "ejected"


class Replica:
    """Calls of one model server as in `protocol.client.Client`, which raise GatewayErrors."""

    def __init__(
        self,
        address: Address,
        client: Client,
        *,
        on_fall: Callable[[Replica], None],
        on_rise: Callable[[Replica], None],
    ) -> None:
        """Create it, in use; lazily: nobody is connected yet.

        Args:
            address: where it is.
            client: connects to it.
            on_fall: told when it is not in use any more.
            on_rise: told when it is in use again.
        """
        self.address = address
        self.standing = Standing.IN_USE
        self.in_flight = 0
        self.last_call = 0
        """When it was last asked, counted in calls."""
        self.talks = True
        """Whether it answered when it was last asked anything at all."""
        self._client = client
        self._on_fall = on_fall
        self._on_rise = on_rise
        self._timeouts = 0
        self._loop = asyncio.get_running_loop()
        self._predicted_at = self._loop.time()
        self._tried_at = float("-inf")
        self._is_retired = False
        self._idle = asyncio.Event()
        self._inquiry: asyncio.Task[None] | None = None

    @property
    def is_in_use(self) -> bool:
        """Whether it is thought well of."""
        return self.standing is Standing.IN_USE

    @property
    def connections(self) -> int:
        """How often it was connected to: behind a new connection may be another process."""
        return self._client.connections

    @property
    def is_worth_a_call(self) -> bool:
        """Whether a call may be made now."""
        if self.standing is not Standing.SUSPECTED:
            return True
        return self.talks and self._loop.time() - self._tried_at >= _TRIAL_SECONDS

    async def predict(
        self,
        spec: ModelSpec,
        tensor: Input,
        *,
        outputs: Sequence[str],
        timeout_seconds: float,
        headers: Headers = (),
        is_telling: bool = True,
    ) -> Prediction:
        """See `Client.predict`.

        Unless the call is telling, missing its deadline is not held against the address: a version
        that is only tried out may hang while those that are served do not.
        """
        call = self._client.predict(
            spec, tensor, outputs=outputs, timeout_seconds=timeout_seconds, headers=headers
        )
        is_telling = is_telling and timeout_seconds >= _TELLING_TIMEOUT_SECONDS
        if is_telling:
            self._tried_at = self._loop.time()
        try:
            answer = await self._attempt(call, spec, is_telling=is_telling)
        except DeadlineExceededError:
            self._timeouts += is_telling
            raise
        self._timeouts = 0
        self._predicted_at = self._loop.time()
        self._rise()
        return answer

    async def metadata(self, spec: ModelSpec, *, timeout_seconds: float) -> Metadata:
        """See `Client.metadata`."""
        call = self._client.metadata(spec, timeout_seconds=timeout_seconds)
        is_telling = timeout_seconds >= _TELLING_TIMEOUT_SECONDS
        return await self._attempt(call, spec, is_telling=is_telling)

    async def statuses(self, name: str, *, timeout_seconds: float) -> list[VersionStatus]:
        """See `Client.statuses`."""
        call = self._client.statuses(name, timeout_seconds=timeout_seconds)
        is_telling = timeout_seconds >= _TELLING_TIMEOUT_SECONDS
        return await self._attempt(call, ModelSpec(name), is_telling=is_telling)

    async def talk(self) -> None:
        """Find out whether the server says anything at all; who was ejected is in use then."""
        try:
            await self._client.statuses(_NOBODY.name, timeout_seconds=_TALK_SECONDS)
        except ProtocolError as error:
            silence = (ModelServerUnavailableError, DeadlineExceededError)
            self.talks = not isinstance(translate(error, _NOBODY), silence)
            if not self.talks:
                return
        self._talked()

    async def retire(self) -> None:
        """The address is gone: close the connections after the last call."""
        self._is_retired = True
        if self.in_flight:
            await self._idle.wait()
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection; calls in flight fail."""
        if self._inquiry is not None:
            self._inquiry.cancel()
            await asyncio.gather(self._inquiry, return_exceptions=True)
        await self._client.aclose()

    def __str__(self) -> str:
        return str(self.address)

    async def _attempt(self, call: Awaitable[_T], spec: ModelSpec, *, is_telling: bool) -> _T:
        self.in_flight += 1
        try:
            answer = await call
        except ProtocolError as error:
            ours = translate(error, spec)
            self._judge(ours, is_telling=is_telling)
            raise ours from error
        else:
            self._talked()
            return answer
        finally:
            self.in_flight -= 1
            if self._is_retired and not self.in_flight:
                self._idle.set()

    def _judge(self, error: GatewayError, *, is_telling: bool) -> None:
        """What a failure says about the address that answered it, or did not."""
        if isinstance(error, ModelServerUnavailableError):
            self.talks = False
            self._fall(Standing.EJECTED)
        elif is_telling and isinstance(error, DeadlineExceededError) and self._inquiry is None:
            self._inquiry = asyncio.create_task(self._inquire())

    @property
    def _is_often_late(self) -> bool:
        return self._timeouts >= _TIMEOUTS_UNTIL_SUSPECTED

    @property
    def _is_silent(self) -> bool:
        return self._loop.time() - self._predicted_at >= _SILENT_SECONDS

    async def _inquire(self) -> None:
        """Tell a hung process from one that has too much to do: two of three signs are enough."""
        await self.talk()
        self._inquiry = None
        if self._is_often_late + self._is_silent + (not self.talks) > 1:
            self._fall(Standing.SUSPECTED)

    def _talked(self) -> None:
        """It answered something; a prediction it need not be able to make."""
        self.talks = True
        if self.standing is Standing.EJECTED:
            self._rise()

    def _fall(self, standing: Standing) -> None:
        was_in_use = self.is_in_use
        self.standing = standing
        if was_in_use and not self._is_retired:
            self._on_fall(self)

    def _rise(self) -> None:
        if not self.is_in_use:
            self.standing = Standing.IN_USE
            self._timeouts = 0
            self._on_rise(self)
