"""Builds the images under test, from the real base or from the stand-in.

python -m tests.docker.building     builds them ahead of the tests, which then find them
"""

import os
import subprocess
import sys

import docker
import docker.errors

from tests.deploy.project import VERSION
from tests.support.processes import ROOT

BASE = "python:3.13-slim-trixie"
STAND_IN = f"sightserve-test/{BASE}"
TARGETS = ("gateway", "serving-openvino", "serving", "exporter")
_MARK = {"org.sightserve.test": "true"}


def base_image(client: docker.DockerClient) -> str:
    """The base if it is here or to be had; else a stand-in, made once and kept by its tag."""
    for name in (BASE, STAND_IN):
        if _is_here(client, name):
            return name
    try:
        client.images.pull(BASE)
    except docker.errors.APIError:
        subprocess.run([ROOT / "tests/docker/base_image.sh", STAND_IN], check=True, timeout=600)
        return STAND_IN
    return BASE


def _is_here(client: docker.DockerClient, name: str) -> bool:
    try:
        client.images.get(name)
    except docker.errors.ImageNotFound:
        return False
    return True


def build_arguments() -> dict[str, str]:
    """What whoever builds says: the version, and this machine's package index if it has its own."""
    index = os.environ.get("PIP_INDEX_URL")
    return {"VERSION": VERSION, **({"PIP_INDEX_URL": index} if index else {})}


def build(
    client: docker.DockerClient,
    base: str,
    targets: tuple[str, ...] = TARGETS,
    variant: str = "latest",
    **further: str,
) -> dict[str, str]:
    """Build the targets with the engine's classic builder: target → tag.

    Args:
        client: the engine.
        base: the image that they are built on.
        targets: of the Dockerfile.
        variant: the tag's second half.
        further: build arguments that are not the defaults.
    """
    arguments = {"PYTHON_IMAGE": base, **build_arguments(), **further}
    tags = {target: f"sightserve-test/{target}:{variant}" for target in targets}
    for target, tag in tags.items():
        try:
            client.images.build(
                path=str(ROOT),
                target=target,
                tag=tag,
                buildargs=arguments,
                labels=_MARK,
                rm=True,
                forcerm=True,
            )
        except docker.errors.BuildError as error:
            lines = [str(line.get("stream") or line.get("error") or "") for line in error.build_log]
            sys.stderr.write("".join(lines[-40:]))
            raise
    # Yesterday's images, which today's tags have left.
    client.images.prune({"dangling": True, "label": [f"{key}={_MARK[key]}" for key in _MARK]})
    return tags


if __name__ == "__main__":
    engine = docker.from_env(timeout=900)
    sys.stdout.write("\n".join(build(engine, base_image(engine)).values()) + "\n")
