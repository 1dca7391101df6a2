"""Kubernetes' variables about Services, which may have our prefix and are none of our settings.

A pod is told of each Service in its namespace (unless enableServiceLinks is false): one that is
named `gateway` gives GATEWAY_SERVICE_HOST, GATEWAY_PORT=tcp://10.0.0.1:80, GATEWAY_PORT_80_TCP_ADDR
and so on (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
"""

from __future__ import annotations

import re
from typing import Any, Final

_NAME: Final = re.compile(
    r"\w+_(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)
_URL: Final = re.compile(r"(?:tcp|udp|sctp)://")


def is_of_service(variable: str, value: str) -> bool:
    """Whether the variable, in capitals, describes a Service."""
    return bool(_NAME.fullmatch(variable)) or (variable.endswith("_PORT") and is_service_url(value))


def is_service_url(value: Any) -> bool:
    """Whether it is where a Service listens, such as tcp://10.0.0.1:80, and no port of ours."""
    return isinstance(value, str) and _URL.match(value) is not None
