"""Whose request it is, by its headers alone: the address behind proxies, and the API key's owner.

The gate asks before routing and the guard inside, so both mean the same client: what one holds
counts against nobody else.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from typing import Final

from app.access.addresses import TrustedProxies, share_of
from app.access.keys import KeyRing
from app.errors import RequestError, UnauthorizedError

RawHeaders = Iterable[tuple[bytes, bytes]]
"""Names in lower case, as ASGI has them."""

_BEARER: Final = b"bearer "


class Callers:
    """Who calls, as far as it is configured who may."""

    def __init__(
        self,
        *,
        proxies: TrustedProxies | None = None,
        keys: Callable[[], KeyRing] | None = None,
    ) -> None:
        """Create it.

        Args:
            proxies: whose word about a request's address is taken.
            keys: the keys in force at the moment.
        """
        self._proxies = proxies
        self._keys = keys

    @property
    def have_keys(self) -> bool:
        """Whether a key is needed."""
        return self._keys is not None

    def address(self, headers: RawHeaders, peer: str) -> str:
        """The client that the address belongs to: the peer's, or what trusted proxies say."""
        if self._proxies is None or not peer:
            return share_of(peer)
        name = self._proxies.header.lower().encode()
        said = [value.decode("latin-1") for key, value in headers if key == name]
        return share_of(self._proxies.client_address(peer, said))

    def owner(self, headers: RawHeaders) -> str:
        """Whose key the request shows.

        Raises:
            UnauthorizedError: nobody's, or none.
            RequestError: several.
        """
        keys = _keys_in(headers)
        if not keys:
            raise UnauthorizedError(
                "send an API key: 'Authorization: Bearer KEY' or 'X-API-Key: KEY'",
                is_key_wrong=False,
            )
        if not all(hmac.compare_digest(keys[0], other) for other in keys[1:]):
            raise RequestError("the request shows several API keys, and they differ")
        owner = self._keys().owner(keys[0]) if self._keys else None
        if owner is None:
            raise UnauthorizedError("the API key is not one of ours", is_key_wrong=True)
        return owner

    def client(self, headers: RawHeaders, peer: str) -> str | None:
        """Whose fair share the request takes; None: nobody's, for it shows no key and needs one."""
        if self._keys is None:
            return self.address(headers, peer)
        try:
            return self.owner(headers)
        except RequestError:
            return None


def _keys_in(headers: RawHeaders) -> list[bytes]:
    """Every key in either header; an Authorization of another scheme is somebody else's."""
    found = []
    for name, value in headers:
        if name == b"x-api-key":
            found.append(value.strip(b" \t"))
        elif name == b"authorization" and value[: len(_BEARER)].lower() == _BEARER:
            found.append(value[len(_BEARER) :].strip(b" \t"))
    return [key for key in found if key]
