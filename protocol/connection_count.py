"""How often a gRPC channel was connected: gRPC does it by itself, and tells those who watch."""

from __future__ import annotations

import asyncio

import grpc
import grpc.aio


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
        self._task = asyncio.get_running_loop().create_task(self._watch(channel))

    async def finish(self) -> None:
        """Wait for the end of a channel that has been closed.

        Nobody cancels the count: gRPC would tell a loop that is closed by then of the last change.
        """
        await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self, channel: grpc.aio.Channel) -> None:
        while (state := channel.get_state()) is not grpc.ChannelConnectivity.SHUTDOWN:
            if state is grpc.ChannelConnectivity.READY:
                self.connections += 1
            await channel.wait_for_state_change(state)
