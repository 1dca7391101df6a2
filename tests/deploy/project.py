"""What stands at the top of the repository, and the tool that reads the compose file."""

import re
import shutil
import subprocess
import tomllib
from typing import Any

import yaml

from tests.support.processes import ROOT

COMPOSE = ROOT / "docker-compose.yml"
VARIABLE = re.compile(r"\$\{([A-Z_]+):-([^}]*)\}")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def compose_services() -> dict[str, Any]:
    """The compose file's services, with every variable at its default."""
    return yaml.safe_load(VARIABLE.sub(r"\2", COMPOSE.read_text()))["services"]


def compose_tool() -> list[str] | None:
    """docker-compose 1.29 or the plugin, whichever is here."""
    if path := shutil.which("docker-compose"):
        return [path]
    if shutil.which("docker"):
        done = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
        if done.returncode == 0:
            return ["docker", "compose"]
    return None


def env_example() -> list[str]:
    return (ROOT / ".env.example").read_text().splitlines()
