"""Which engine computes: what was asked for, what is installed, what a model server has chosen."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from sightserve.serve import wording
from sightserve.serve.errors import TargetError

AUTO: Final = "auto"
TENSORFLOW: Final = "tensorflow"
OPENVINO: Final = "openvino"
ENGINES: Final = (AUTO, TENSORFLOW, OPENVINO)

_INSTALL: Final = "pip install 'sightserve[openvino]'"
_CHOSEN: Final = re.compile(r"([^\s/\"]+)/\d+: engine (\w+) \(([^)]*)\)")
"""As the model server logs it: folder of the version, engine, why."""
_RUNS: Final = re.compile(r"([^\s/\"]+)/\d+ runs on OpenVINO \S+ in (\w+)")
"""As above: folder of the version, precision."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What the model server is told."""

    name: str = TENSORFLOW
    """One of ENGINES."""
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.reason})" if self.reason else self.name


def find(asked: str) -> Engine:
    """The engine for what was asked for.

    Raises:
        TargetError: there is no such engine, or it is not installed.
    """
    option = f"ENGINE={asked}" if wording.is_make() else f"--engine {asked}"
    if asked not in ENGINES:
        raise TargetError(f"{option}: there is no such engine; choose {', '.join(ENGINES)}")
    if asked == TENSORFLOW or find_spec(OPENVINO) is not None:
        return Engine(asked, "measured for each model, once" if asked == AUTO else "")
    if asked == OPENVINO:
        raise TargetError(f"{option}: OpenVINO is not installed: {_INSTALL}")
    return Engine(TENSORFLOW, f"for OpenVINO: {_INSTALL}")


def chosen(log: str) -> dict[str, Engine]:
    """By model, what a model server has said last that it runs, where it was to choose."""
    found = {model: Engine(engine, reason) for model, engine, reason in _CHOSEN.findall(log)}
    for model, precision in _RUNS.findall(log):
        reason = found[model].reason if model in found else ""
        found[model] = Engine(OPENVINO, "; ".join(filter(None, [precision, reason])))
    return found
