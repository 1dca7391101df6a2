"""How often a gRPC channel was connected: gRPC does it by itself, and tells those who watch."""

from __future__ import annotations

import asyncio
from typing import Final

import grpc
import grpc.aio

_END_SECONDS: Final = 1.0


class ConnectionCount:
    """Counts the connections of a channel from now on; made in the event loop that uses it.

        channel:  IDLE ──► CONNECTING ──► READY (counted) ──► IDLE ──► ...
                               ▲ │
                               │ ▼
                         TRANSIENT_FAILURE

    Changes come through the same queue as answers and before them: a connection is READY before a
    call is sent over it. What happens between two looks is not missed either: whoever is woken from
    a READY and finds a READY has found another one.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.connections = 0
        state = self._look(channel)
        self._task = asyncio.get_running_loop().create_task(self._watch(channel, state))

    async def finish(self) -> None:
        """Wait for the end of a channel that has been closed.

        It comes at once unless somebody still holds a call. Cancelling is the last resort: of a
        change that nobody awaits any more gRPC tells the loop, which may be closed by then.
        """
        await asyncio.wait({self._task}, timeout=_END_SECONDS)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def _look(self, channel: grpc.aio.Channel) -> grpc.ChannelConnectivity:
        state = channel.get_state()
        self.connections += state is grpc.ChannelConnectivity.READY
        return state

    async def _watch(self, channel: grpc.aio.Channel, state: grpc.ChannelConnectivity) -> None:
        while state is not grpc.ChannelConnectivity.SHUTDOWN:
            await channel.wait_for_state_change(state)
            state = self._look(channel)
