"""Whether the gateway answers and is ready, and which models it serves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sightserve.doctor.report import Finding, ok, one_line, problem
from sightserve.doctor.services import NoAnswerError, get_json
from sightserve.doctor.surroundings import Surroundings

_OK: Final = 200


def check_gateway(surroundings: Surroundings) -> Iterator[Finding]:
    """Only with a URL: nobody is asked who was not named."""
    if surroundings.url is None:
        return
    url = surroundings.url.rstrip("/")
    try:
        status, answer = get_json(f"{url}/readyz", timeout_seconds=surroundings.timeout_seconds)
    except NoAnswerError as error:
        yield problem(
            "gateway",
            f"{url}: {error}",
            "start it (sightserve serve digits), or mend --url: http://HOST:8000",
        )
        return
    models = _ready_models(answer) if status == _OK else None
    if models is not None:
        yield ok("gateway", f"{url} is ready: {models or 'no model'}")
    elif _is_problem(answer):
        yield problem(
            "gateway",
            f"{url} is not ready: {one_line(str(answer.get('detail') or answer.get('title')))}",
            "look at its model server: sightserve doctor --model-server http://HOST:8501",
        )
    else:
        yield problem(
            "gateway",
            f"{url} answers status {status}, but not as a gateway of Sightserve",
            "mend --url: http://HOST:8000",
        )


def served_models(surroundings: Surroundings) -> list[str]:
    """Names that the gateway serves; none without one."""
    if surroundings.url is None:
        return []
    try:
        _, answer = get_json(
            f"{surroundings.url.rstrip('/')}/models", timeout_seconds=surroundings.timeout_seconds
        )
        return [str(each["name"]) for each in answer["models"]]
    except (NoAnswerError, KeyError, TypeError):
        return []


def _ready_models(answer: Any) -> str | None:
    """`digits 3, flowers 1`; None: this is no answer of a ready gateway."""
    try:
        if answer["status"] != "ready":
            return None
        return ", ".join(one_line(f"{each['name']} {each['version']}") for each in answer["models"])
    except (KeyError, TypeError):
        return None


def _is_problem(answer: Any) -> bool:
    return isinstance(answer, dict) and {"type", "title", "status"} <= answer.keys()
