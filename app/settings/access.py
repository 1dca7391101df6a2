"""Who may call, and how much (docs/security.md)."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import NoDecode

from app.access.addresses import ForwardingHeader, parse_networks
from app.access.hosts import parse_hosts, parse_origins
from app.access.limits import Rate, parse_rate
from app.settings.room import FileSetting, Room

RateSetting = Annotated[Rate | None, NoDecode, BeforeValidator(parse_rate)]


class AccessSettings(Room):
    """What is checked before routing: see `app.access`."""

    api_keys_file: FileSetting = Field(
        default=None,
        description="File with one `name:sha256` line per API key; with it every call but probes, "
        "the page and the documentation needs one. Read again when it changes. "
        "`python -m app.access.new_key NAME` makes keys.",
    )
    rate_limit_per_key: RateSetting = Field(
        default=None,
        description="Images that each API key may send: `100/s`, `600/m`, `10000/h`, `100000/d`, "
        "all at once if it likes. More is refused with 429.",
    )
    rate_limit_per_address: RateSetting = Field(
        default=None,
        description="The same for each address (IPv6: each /64), with an API key or without.",
    )
    trusted_proxies: Annotated[
        tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(parse_networks)
    ] = Field(
        default=(),
        description="Networks of proxies, such as `10.0.0.0/8`, separated by commas: a request "
        "that comes through them has the address that they name. Others' word counts nothing.",
    )
    forwarding_header: ForwardingHeader = Field(
        default="X-Forwarded-For",
        description="Where trusted proxies write it. The other header is ignored: a proxy that "
        "writes one passes the other on as the client sent it.",
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(parse_hosts)] = Field(
        default=(),
        description="Names that the gateway answers to, separated by commas; `*.example.com` is "
        "every name below. Other Host headers get 421, except on `/livez` and `/readyz`.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(parse_origins)] = Field(
        default=(),
        description="Origins whose pages may call from a browser, such as "
        "`https://app.example.com`, separated by commas; `*` is all.",
    )

    @model_validator(mode="after")
    def _keys_can_be_limited(self) -> Self:
        if self.rate_limit_per_key is not None and self.api_keys_file is None:
            raise ValueError("GATEWAY_RATE_LIMIT_PER_KEY needs GATEWAY_API_KEYS_FILE")
        return self
