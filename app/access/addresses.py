"""Whose address a request comes from: the peer's, or what trusted proxies say about theirs.

A proxy adds the address it was called from at the right end of a list; what stands further left
was written by whoever called it. So the list is read from the right, for as long as the address
just read is a proxy that we trust. Nothing else in it means anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Literal

from app.text import comma_separated

Network = IPv4Network | IPv6Network
ForwardingHeader = Literal["X-Forwarded-For", "Forwarded"]

_REMEMBERED_ADDRESSES: Final = 4096
_IPV6_CLIENT_BITS: Final = 64
"""A provider gives each customer at least this much: all of it is one client."""


def parse_networks(value: str | Sequence[Network]) -> tuple[Network, ...]:
    """Read CIDRs and addresses, separated by commas.

    Raises:
        ValueError: one of them is neither.
    """
    if not isinstance(value, str):
        return tuple(value)
    return tuple(_network(part) for part in comma_separated(value))


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no network such as 10.0.0.0/8 or 2001:db8::/32") from error


def share_of(address: str) -> str:
    """The client that an address belongs to: an IPv4 address, or the /64 of an IPv6 address."""
    if ":" not in address:
        return address
    try:
        parsed = IPv6Address(address.partition("%")[0])  # without the interface of a link-local one
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((int(parsed) >> 64 << 64, _IPV6_CLIENT_BITS)))


class TrustedProxies:
    """Networks whose word about where a request comes from is taken, in one header and no other.

    Two headers would be a hole: a proxy writes one, and passes on the other as a client sent it.
    """

    def __init__(self, networks: Iterable[Network], header: ForwardingHeader) -> None:
        self.header: Final = header
        self._networks = tuple(networks)
        # Proxies are few, and ask again and again: 1 instead of 5 microseconds each time.
        self._is_trusted = lru_cache(_REMEMBERED_ADDRESSES)(self._is_in_a_network)
        self._hops = _HOPS[header]

    def client_address(self, peer: str, values: Sequence[str]) -> str:
        """The nearest address that is no trusted proxy.

        Args:
            peer: the other end of the connection; empty on a UNIX socket.
            values: the header's lines; may be anything that a client can invent.
        """
        address, rest = peer, self._hops(values)
        while self._is_trusted(address) and (hop := next(rest, None)) is not None:
            said = _address_in(hop)
            if said is None:  # "unknown", or nonsense: the proxy itself is all that is known
                break
            address = said
        return address

    def share_of(self, peer: str) -> str:
        """The client that a connection belongs to; nobody, "", where it is a proxy's for many."""
        return "" if self._is_trusted(peer) else share_of(peer)

    def _is_in_a_network(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        mapped = getattr(parsed, "ipv4_mapped", None)
        found = mapped if mapped is not None else parsed
        return any(found in network for network in self._networks)


def _hops_of_x_forwarded_for(values: Sequence[str]) -> Iterator[str]:
    """The addresses in the header's lines, nearest first."""
    for value in reversed(values):
        yield from reversed(value.split(","))


def _hops_of_forwarded(values: Sequence[str]) -> Iterator[str]:
    """What the `for` parameters of the header's lines say (RFC 7239), nearest first."""
    for value in reversed(values):
        for element in _split_from_the_right(value, ","):
            yield _parameter_for(element)


def _parameter_for(element: str) -> str:
    for parameter in _split_from_the_right(element, ";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "for":
            return value
    return ""


def _split_from_the_right(value: str, separator: str) -> Iterator[str]:
    """The parts between separators that stand outside of quotes, last part first.

    From the right, because there stands what the nearest proxy wrote: a quote that a client opened
    further left, and never closed, must not swallow it.
    """
    end, is_quoted = len(value), False
    for index in range(len(value) - 1, -1, -1):
        if value[index] == '"':
            is_quoted ^= not _is_escaped(value, index)
        elif value[index] == separator and not is_quoted:
            yield value[index + 1 : end]
            end = index
    yield value[:end]


def _is_escaped(value: str, index: int) -> bool:
    backslashes = 0
    while backslashes < index and value[index - 1 - backslashes] == "\\":
        backslashes += 1
    return backslashes % 2 == 1


def _address_in(hop: str) -> str | None:
    """The IP address in a hop: bare, quoted, in brackets, with a port or without."""
    text = hop.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ip_address(text))
    except ValueError:
        return None


_HOPS: Final[dict[ForwardingHeader, Callable[[Sequence[str]], Iterator[str]]]] = {
    "X-Forwarded-For": _hops_of_x_forwarded_for,
    "Forwarded": _hops_of_forwarded,
}
