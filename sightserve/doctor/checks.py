"""All checks, run side by side; none is waited for after its deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from sightserve.doctor.containers import check_docker, check_kubectl
from sightserve.doctor.gateway import check_gateway
from sightserve.doctor.machine import check_disk, check_memory, check_processor
from sightserve.doctor.model_server import check_model_servers
from sightserve.doctor.models import check_models
from sightserve.doctor.ports import check_ports
from sightserve.doctor.python import check_interpreter, check_packages
from sightserve.doctor.report import Finding, one_line, warning
from sightserve.doctor.surroundings import Surroundings
from sightserve.doctor.weights_cache import check_weights

Check = Callable[[Surroundings], Iterator[Finding]]

CHECKS: Final[Sequence[Check]] = (
    check_interpreter,
    check_packages,
    check_processor,
    check_memory,
    check_disk,
    check_ports,
    check_gateway,
    check_model_servers,
    check_models,
    check_weights,
    check_docker,
    check_kubectl,
)

_DEADLINE_FACTOR: Final = 3
"""Of the time for one question: a check asks several, and a server may trickle."""


def diagnose(surroundings: Surroundings, checks: Sequence[Check] = CHECKS) -> list[Finding]:
    """The findings, in the order of the checks. Takes three times the timeout at most."""
    results: list[list[Finding] | None] = [None] * len(checks)

    def run(place: int, check: Check) -> None:
        results[place] = _findings(check, surroundings)

    # Daemons: what hangs in the kernel (a dead network folder) must not hold up the exit.
    threads = [
        threading.Thread(target=run, args=(place, check), daemon=True)
        for place, check in enumerate(checks)
    ]
    for thread in threads:
        thread.start()
    ends = time.monotonic() + _DEADLINE_FACTOR * surroundings.timeout_seconds
    for thread in threads:
        thread.join(max(0.0, ends - time.monotonic()))
    return [
        finding
        for check, found in zip(checks, results, strict=True)
        for finding in (found if found is not None else [_unanswered(check)])
    ]


def _findings(check: Check, surroundings: Surroundings) -> list[Finding]:
    try:
        return list(check(surroundings))
    except Exception as error:  # noqa: BLE001 - one check that fails must not hide the others
        what = one_line(f"{type(error).__name__}: {error}")
        return [warning(_name(check), f"could not be checked: {what}", "please report this")]


def _unanswered(check: Check) -> Finding:
    return warning(
        _name(check),
        "could not be checked in time",
        "say --timeout-seconds 30; a network folder or server may hang",
    )


def _name(check: Check) -> str:
    return check.__name__.removeprefix("check_").replace("_", " ")
