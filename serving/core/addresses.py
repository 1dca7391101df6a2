"""How an address is written, whichever transport listens on it."""

from __future__ import annotations


def host_and_port(host: str, port: int) -> str:
    """`host:port`; an IPv6 address gets the brackets that its colons need."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
