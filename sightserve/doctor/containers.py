"""Docker and Kubernetes: the clients, and whether what they are pointed at answers.

Neither is needed to serve. What the environment names (DOCKER_HOST, KUBECONFIG) has to work,
though: somebody wanted it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

from sightserve.doctor.report import Finding, ok, problem, warning
from sightserve.doctor.services import NoAnswerError, ask_program
from sightserve.doctor.surroundings import Surroundings

_DOCKER_FIX: Final = "start the daemon (systemctl start docker), or correct DOCKER_HOST"
_KUBECTL_FIX: Final = "choose a cluster that runs: kubectl config use-context NAME, or KUBECONFIG"


def check_docker(surroundings: Surroundings) -> Iterator[Finding]:
    """The client, its daemon and compose."""
    if not _is_there(surroundings, "docker"):
        yield warning(
            "docker",
            "not installed: needed only for images and docker compose",
            "https://docs.docker.com/engine/install/",
        )
        return
    try:
        server = _ask(surroundings, ["docker", "version", "--format", "{{.Server.Version}}"])
    except NoAnswerError as error:
        say = problem if surroundings.environment.get("DOCKER_HOST") else warning
        yield say("docker", f"the daemon does not answer: {error}", _DOCKER_FIX)
        return
    compose = _compose(surroundings)
    if compose is None:
        yield warning(
            "docker",
            f"the daemon is {server}; without compose",
            "install the plugin docker-compose-plugin",
        )
        return
    yield ok("docker", f"the daemon is {server}, compose {compose}")


def _compose(surroundings: Surroundings) -> str | None:
    """Its version: of the plugin, else of the program of its own, which takes the same commands."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if _is_there(surroundings, command[0]):
            with suppress(NoAnswerError):
                return _ask(surroundings, [*command, "version", "--short"])
    return None


def check_kubectl(surroundings: Surroundings) -> Iterator[Finding]:
    """The client, and the cluster of its current context."""
    if not _is_there(surroundings, "kubectl"):
        yield warning(
            "kubectl",
            "not installed: needed only for Kubernetes",
            "https://kubernetes.io/docs/tasks/tools/",
        )
        return
    seconds = max(1, int(surroundings.timeout_seconds) - 1)
    command = ["kubectl", "version", "--output", "json", f"--request-timeout={seconds}s"]
    try:
        server = json.loads(_ask(surroundings, command))["serverVersion"]["gitVersion"]
    except (NoAnswerError, ValueError, KeyError, TypeError) as error:
        say = problem if surroundings.environment.get("KUBECONFIG") else warning
        reason = str(error) if isinstance(error, NoAnswerError) else "it names no version"
        yield say("kubectl", f"the cluster does not answer: {reason}", _KUBECTL_FIX)
        return
    yield ok("kubectl", f"the cluster answers: {server}")


def _is_there(surroundings: Surroundings, program: str) -> bool:
    return shutil.which(program, path=surroundings.environment.get("PATH")) is not None


def _ask(surroundings: Surroundings, command: Sequence[str]) -> str:
    program = shutil.which(command[0], path=surroundings.environment.get("PATH"))
    return ask_program(
        [program or command[0], *command[1:]],
        environment=surroundings.environment,
        timeout_seconds=surroundings.timeout_seconds,
    )
