"""Whether each model server answers over REST, and whether all serve the same versions."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import quote, urlsplit

from sightserve.doctor.gateway import served_models
from sightserve.doctor.models import published_models
from sightserve.doctor.report import Finding, ok, one_line, problem, warning
from sightserve.doctor.services import NoAnswerError, get_json
from sightserve.doctor.surroundings import Surroundings

_NOT_FOUND: Final = 404
_MAX_MODELS: Final = 100
_DEFAULT_PORT: Final = 8501
_UNKNOWN: Final = "sightserve-doctor"
"""A name that no model has: its 404 shows that a model server speaks."""

Served = dict[str, tuple[int, ...]]
"""AVAILABLE versions by model."""


def check_model_servers(surroundings: Surroundings) -> Iterator[Finding]:
    """One finding an address, and one a model whose versions differ."""
    if not surroundings.model_servers:
        return
    names = list(surroundings.models) or sorted(
        {*served_models(surroundings), *published_models(surroundings.base_path)}
    )
    addresses = [each for url in surroundings.model_servers for each in _addresses(url)]
    with ThreadPoolExecutor(max_workers=max(1, len(addresses))) as pool:
        answers = list(
            pool.map(lambda each: _ask(each, names[:_MAX_MODELS], surroundings), addresses)
        )
    served: dict[str, Served] = {}
    for (url, host), answer in zip(addresses, answers, strict=True):
        shown = url if urlsplit(url).netloc == host else f"{url} ({host})"
        if isinstance(answer, Finding):
            yield answer
            continue
        served[url] = answer
        listed = "; ".join(
            f"{name} {', '.join(map(str, versions))}" for name, versions in answer.items()
        )
        if listed or not names:
            yield ok("model server", f"{shown} serves {listed or '(no model was named: --model)'}")
        else:
            yield warning(
                "model server",
                f"{shown} answers, and serves none of: {', '.join(names)}",
                "give it the models: models.config, --model_base_path, or sightserve serve",
            )
    yield from _check_differences(names, served)


def _check_differences(names: Sequence[str], served: dict[str, Served]) -> Iterator[Finding]:
    if len(served) < 2:  # noqa: PLR2004 - to differ takes two
        return
    differ = False
    for name in names:
        versions = {url: answer.get(name, ()) for url, answer in served.items()}
        if len(set(versions.values())) > 1:
            differ = True
            listed = "; ".join(
                f"{url} {', '.join(map(str, numbers)) or 'none'}"
                for url, numbers in versions.items()
            )
            yield problem(
                "versions",
                f"{name} differs: {listed}",
                "give all of them the same folder and models.config; wait until each has loaded",
            )
    if not differ:
        yield ok("versions", f"the same at {len(served)} addresses")


def _addresses(url: str) -> list[tuple[str, str]]:
    """Each address behind a name, as (URL, host that was named); a headless service has several."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else None)
    if parts.scheme == "https" or host == "localhost":  # certificates name hosts, not addresses
        return [(url.rstrip("/"), parts.netloc)]
    try:
        found = socket.getaddrinfo(host, port or _DEFAULT_PORT, type=socket.SOCK_STREAM)
    except OSError:
        return [(url.rstrip("/"), parts.netloc)]  # asked all the same, for the reason
    hosts = dict.fromkeys(str(each[4][0]) for each in found)
    if len(hosts) == 1:
        return [(url.rstrip("/"), parts.netloc)]
    suffix = f":{port}" if port else ""
    return [
        (f"http://{f'[{each}]' if ':' in each else each}{suffix}", parts.netloc) for each in hosts
    ]


def _ask(
    address: tuple[str, str], names: Sequence[str], surroundings: Surroundings
) -> Served | Finding:
    url, host = address
    served: Served = {}
    try:
        for name in [_UNKNOWN, *names]:
            status, answer = get_json(
                f"{url}/v1/models/{quote(name, safe='')}",
                timeout_seconds=surroundings.timeout_seconds,
                headers={"Host": host},
            )
            if versions := _available(status, answer):
                served[name] = versions
    except NoAnswerError as error:
        return problem(
            "model server",
            one_line(f"{url}: {error}"),
            "start it (sightserve serve NAME), or mend --model-server: http://HOST:8501, its REST "
            "port",
        )
    return served


def _available(status: int, answer: Any) -> tuple[int, ...]:
    """AVAILABLE versions, highest first.

    Raises:
        NoAnswerError: no model server says this.
    """
    if status == _NOT_FOUND and isinstance(answer, dict) and "error" in answer:
        return ()
    try:
        found = [
            int(each["version"])
            for each in answer["model_version_status"]
            if each["state"] == "AVAILABLE"
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise NoAnswerError(f"status {status}, but not as a model server answers") from error
    return tuple(sorted(found, reverse=True))
