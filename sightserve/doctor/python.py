"""The interpreter, and what is installed in it."""

from __future__ import annotations

import importlib.metadata
import re
import struct
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from sightserve.doctor.report import Finding, ok, problem, warning
from sightserve.doctor.surroundings import Surroundings

_OLDEST: Final = (3, 11)
_NEWEST: Final = (3, 13)
_BITS: Final = 64
_PROTOBUF_MAJOR: Final = 6
_TENSORFLOW: Final = "2.20"
_OPENVINO: Final = "openvino"

EXTRAS: Final[Mapping[str, tuple[str, ...]]] = {
    "gateway": (
        "fastapi",
        "grpcio",
        "numpy",
        "pillow",
        "pydantic-settings",
        "structlog",
        "uvicorn",
    ),
    "serving": ("grpcio", "numpy", "tensorflow"),
    "openvino": ("grpcio", "numpy", "openvino", "pillow"),
    "exporter": ("grpcio", "h5py", "keras", "numpy", "pillow", "scikit-learn", "tensorflow"),
}
"""By extra, what makes the difference: packages of `pyproject.toml`."""

_TENSORFLOWS: Final = frozenset(
    {"tensorflow", "tensorflow-cpu", "tensorflow-intel", "tensorflow-gpu", "tf-nightly"}
)


def check_interpreter(_: Surroundings) -> Iterator[Finding]:
    """Version, width, and whether it is the system's own."""
    version = ".".join(map(str, sys.version_info[:3]))
    bits = 8 * struct.calcsize("P")
    found = f"Python {version}, {bits} bit, {sys.prefix}"
    fix = "make an environment of a supported one: python3.13 -m venv .venv"
    if not _OLDEST <= sys.version_info[:2] <= _NEWEST:
        yield problem("python", f"{found}: TensorFlow needs 3.11 to 3.13", fix)
    elif bits != _BITS:
        yield problem("python", f"{found}: TensorFlow has no 32-bit wheels", fix)
    elif sys.prefix == sys.base_prefix and _is_managed():
        yield warning(
            "python",
            f"{found}: the system's own, into which pip does not install",
            "python3 -m venv .venv && . .venv/bin/activate",
        )
    else:
        yield ok("python", found)


def _is_managed() -> bool:
    return (Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED").exists()


def check_packages(surroundings: Surroundings) -> Iterator[Finding]:
    """The extras, and packages that do not go together."""
    installed = _installed(surroundings.package_paths)
    several = sorted(_TENSORFLOWS & installed.keys())
    for extra, names in EXTRAS.items():
        missing = [
            name
            for name in names
            if name not in installed and not (name == "tensorflow" and several)
        ]
        if missing:
            yield warning(
                extra,
                f"the extra is not installed: without {', '.join(missing)}",
                f"pip install 'sightserve[{extra}]'",
            )
        else:
            yield ok(extra, f"the extra is installed{_engine(extra, installed)}")
    yield from _check_tensorflow(installed, several)


def _engine(extra: str, installed: Mapping[str, str]) -> str:
    if extra != _OPENVINO:
        return ""
    return f": the engine OpenVINO {installed[_OPENVINO]}, which serve --engine=auto may choose"


def _check_tensorflow(installed: Mapping[str, str], several: list[str]) -> Iterator[Finding]:
    if not several:
        yield warning(
            "tensorflow",
            "not installed: this Python cannot export, train, or serve models by itself",
            "pip install 'sightserve[exporter]'; gateway and client do not need it",
        )
        return
    named = ", ".join(f"{name} {installed[name]}" for name in several)
    protobuf = installed.get("protobuf", "")
    major = re.match(r"\d+", protobuf)
    if len(several) > 1:
        yield problem(
            "tensorflow",
            f"{named}: both write the folder tensorflow/, so that neither is whole",
            f"pip uninstall -y {' '.join(several)} && pip install 'sightserve[exporter]'",
        )
    elif major is None or int(major[0]) != _PROTOBUF_MAJOR:
        yield problem(
            "tensorflow",
            f"{named} with protobuf {protobuf or '(none)'}: it loads with protobuf 6 only",
            "pip install 'protobuf>=6.33.5,<7'",
        )
    elif not installed[several[0]].startswith(f"{_TENSORFLOW}."):
        yield warning(
            "tensorflow",
            f"{named}: tried is {_TENSORFLOW}",
            f"pip install 'tensorflow=={_TENSORFLOW}.*'",
        )
    else:
        yield ok("tensorflow", f"{named}, protobuf {protobuf}")


def _installed(paths: tuple[str, ...]) -> dict[str, str]:
    """Versions by normalised name; the first on the path wins, as at import."""
    found: dict[str, str] = {}
    for each in importlib.metadata.distributions(path=list(paths)):
        name = each.metadata["Name"]
        if name:
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), each.version)
    return found
