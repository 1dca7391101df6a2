"""What the supervisor hands a worker: which one it is, and the sockets that it inherits."""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass
from typing import Any, Self

from app.settings.gateway import Settings, load_settings
from app.workers.share import share_of


@dataclass(frozen=True, slots=True)
class Part:
    """One worker's, as its only argument."""

    number: int
    """1 to GATEWAY_WORKERS; a worker that replaces another has its number."""
    line: int
    """Descriptor of the socket that leads to the supervisor."""
    ports: list[int]
    """Descriptors of the sockets that clients connect to."""
    admin_ports: list[int]
    debts: int
    """Descriptor of the memory in which rate limits are counted."""
    is_replacement: bool
    """Others are serving: it takes no connection before its models answer."""
    options: dict[str, Any]
    """What the command line said; the environment says the rest."""

    @property
    def descriptors(self) -> tuple[int, ...]:
        """All that the process inherits."""
        return (self.line, self.debts, *self.ports, *self.admin_ports)

    def to_json(self) -> str:
        """The argument."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the argument."""
        return cls(**json.loads(text))

    def settings(self) -> Settings:
        """This worker's.

        Raises:
            SettingsError: they are not what they were when the supervisor read them.
        """
        return share_of(load_settings(**self.options), self.number)


def sockets_of(descriptors: list[int]) -> list[socket.socket]:
    """Inherited sockets."""
    return [socket.socket(fileno=each) for each in descriptors]
