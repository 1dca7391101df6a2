"""The compose file that people get, driven by the compose tool, looked at through the engine."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import docker
import httpx
from docker.models.containers import Container

from tests.deploy.project import env_example
from tests.support.processes import ROOT, wait_until

SEVEN = (ROOT / "samples/seven.png").read_bytes()
TMPFS = {"/tmp": ""}  # noqa: S108 - the container's own, empty
ENGLISH = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
"""The labels of version 1, the digits."""
GERMAN = ["null", "eins", "zwei", "drei", "vier", "fuenf", "sechs", "sieben", "acht", "neun"]
"""The labels of version 2."""


class Stack:
    """One compose project; every setting comes from the environment, as for its users."""

    def __init__(
        self, client: docker.DockerClient, tool: list[str], project: str, **settings: str
    ) -> None:
        self.client = client
        self.project = project
        self._tool = tool
        self._settings = settings

    def compose(
        self,
        *arguments: str,
        files: tuple[str, ...] = (),
        seconds: float = 300,
        check: bool = True,
        **settings: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run the compose tool in the repository; `settings` win over the stack's own."""
        names = ["docker-compose.yml", *files]
        options = [word for name in names for word in ("-f", name)]
        done = subprocess.run(
            [*self._tool, "--project-name", self.project, *options, *arguments],
            cwd=ROOT,
            env={**_clean_environment(), **self._settings, **settings},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert not check or done.returncode == 0, f"{arguments}:\n{done.stdout}\n{done.stderr}"
        return done

    @property
    def environment(self) -> dict[str, str]:
        """What a shell needs to work on this project with the commands of the docs."""
        return {
            **_clean_environment(),
            **self._settings,
            "COMPOSE_PROJECT_NAME": self.project,
            "COMPOSE_TOOL": " ".join(self._tool),
        }

    def up(self, *arguments: str, files: tuple[str, ...] = ()) -> None:
        """Start what is not running, and wait until the gateways are healthy."""
        self.compose("up", "-d", "--no-build", *arguments, files=files)
        for each in self.containers("gateway"):
            self.wait_healthy(each)

    def wait_healthy(self, container: Container, seconds: float = 60) -> None:
        wait_until(
            lambda: health(container) == "healthy",
            seconds=seconds,
            what=f"health of {container.name}",
        )

    def containers(self, service: str, *, is_running: bool = True) -> list[Container]:
        """Of one service, by number; `run` makes none of these."""
        labels = [
            f"com.docker.compose.project={self.project}",
            f"com.docker.compose.service={service}",
        ]
        found = self.client.containers.list(all=not is_running, filters={"label": labels})
        proper = [
            each
            for each in found
            if each.labels.get("com.docker.compose.oneoff", "False") == "False"
        ]
        return sorted(
            proper, key=lambda each: int(each.labels["com.docker.compose.container-number"])
        )

    def container(self, service: str, *, is_running: bool = True) -> Container:
        (found,) = self.containers(service, is_running=is_running)
        return found

    def url(self, service: str = "gateway", port: int = 8000) -> str:
        return url_of(self.container(service), port)

    def versions(self, name: str = "classifier") -> list[str]:
        """What lies in the volume below a model's name, hidden files too."""
        return listing(
            self.client, f"{self.project}_models", name, self._settings["EXPORTER_IMAGE"]
        )


def _clean_environment() -> dict[str, str]:
    """Without settings of ours that the developer's shell may hold."""
    known = {line.partition("=")[0].lstrip("# ") for line in env_example() if "=" in line}
    return {key: value for key, value in os.environ.items() if key not in known}


def health(container: Container) -> str:
    container.reload()
    return container.attrs["State"].get("Health", {}).get("Status", "none")


def url_of(container: Container, port: int) -> str:
    container.reload()
    (binding, *_) = container.ports[f"{port}/tcp"]
    return f"http://127.0.0.1:{binding['HostPort']}"


def addresses(container: Container) -> set[str]:
    container.reload()
    networks = container.attrs["NetworkSettings"]["Networks"].values()
    return {each["IPAddress"] for each in networks}


def listing(client: docker.DockerClient, volume: str, name: str, image: str) -> list[str]:
    """The names below /models/NAME in a volume."""
    output = client.containers.run(
        image,
        ["-c", f"ls -A /models/{name} 2>/dev/null || true"],
        entrypoint="sh",
        volumes={volume: {"bind": "/models", "mode": "rw"}},
        remove=True,
    )
    return sorted(output.decode().split())


def ran(client: docker.DockerClient, image: str, *command: str, **options: Any) -> tuple[int, str]:
    """Run a container to its end; exit code and all that it said."""
    container = client.containers.run(image, list(command), detach=True, **options)
    try:
        code = container.wait(timeout=300)["StatusCode"]
        return code, container.logs().decode()
    finally:
        container.remove(force=True)


def classify(url: str, png: bytes, **options: Any) -> httpx.Response:
    return httpx.post(
        f"{url}/classify", files={"file": ("digit.png", png, "image/png")}, timeout=30, **options
    )


@contextmanager
def volume(client: docker.DockerClient, name: str) -> Iterator[str]:
    """An empty volume, gone afterwards."""
    made = client.volumes.create(name)
    try:
        yield made.name
    finally:
        made.remove(force=True)
