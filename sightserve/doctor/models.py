"""Published versions: readable, with a card, and as large and as digested as when published.

Cheap: sizes of all files, digests of small ones. `exporter inspect` digests everything.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from sightserve.doctor.report import MEGABYTE, Finding, ok, problem, warning
from sightserve.doctor.surroundings import Surroundings

_CARD: Final = Path("assets.extra/model_card.json")
_MANIFEST: Final = "MANIFEST.json"
_CARD_FIELDS: Final = frozenset({"model_name", "classes", "image", "task"})
_MAX_DIGESTED_BYTES: Final = 16 * MEGABYTE
"""A tenth of a second for each file."""
_MAX_MODELS: Final = 200


def published_models(base_path: Path) -> list[str]:
    """Names of models with a version; none where the folder cannot be read."""
    try:
        return [each.name for each in sorted(base_path.iterdir()) if _versions(each)]
    except OSError:
        return []


def check_models(surroundings: Surroundings) -> Iterator[Finding]:
    """The folder, and the highest version of each model in it."""
    base_path = surroundings.base_path
    try:
        folders = sorted(each for each in base_path.iterdir() if not each.name.startswith("."))
        models = [(each, _versions(each)) for each in folders]
    except FileNotFoundError:
        yield warning(
            "models",
            f"there is no folder {base_path}: nothing is published",
            "sightserve serve digits, or say --base-path DIR",
        )
        return
    except OSError as error:
        yield problem(
            "models",
            f"{error.filename or base_path}: {error.strerror}",
            "make it a folder that this user can read (chmod, chown), or say --base-path DIR",
        )
        return
    published = [(folder, numbers[-1]) for folder, numbers in models if numbers]
    if not published:
        yield warning(
            "models", f"{base_path} holds no version", "sightserve serve digits, or --base-path DIR"
        )
    for folder, version in published[:_MAX_MODELS]:
        yield _check_version(folder.name, version, folder / str(version))


def _versions(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    return sorted(
        int(each.name)
        for each in folder.iterdir()
        if each.name.isascii() and each.name.isdigit() and each.is_dir()
    )


def _check_version(name: str, version: int, path: Path) -> Finding:
    fix = f"publish it again, then: python -m exporter quarantine {name} {version}"
    if not (path / "saved_model.pb").is_file():
        return problem("models", f"{path}: no saved_model.pb, so no model server loads it", fix)
    if not (path / _CARD).exists():
        return warning(
            "models",
            f"{path}: no model card, so the gateway does not know its labels",
            "publish it by: python -m exporter export --saved-model DIR",
        )
    try:
        card: Any = json.loads((path / _CARD).read_text(encoding="utf-8"))
        lacking = _CARD_FIELDS - card.keys()
    except (OSError, ValueError, AttributeError) as error:
        return problem("models", f"{path / _CARD} is not readable: {error}", fix)
    if lacking:
        return problem("models", f"{path / _CARD}: without {', '.join(sorted(lacking))}", fix)
    changed = _changed(path)
    if changed is not None:
        return problem("models", f"{path}: {changed}", fix)
    return ok("models", f"{name} version {version}: card and files as published")


def _changed(path: Path) -> str | None:
    """The first file that is not as in the manifest; None: all are."""
    try:
        files = json.loads((path / _MANIFEST).read_text(encoding="utf-8"))["files"]
        for name, entry in files.items():
            if (path / name).stat().st_size != entry["bytes"]:
                return f"{name} has not the size that it was published with"
            if entry["bytes"] <= _MAX_DIGESTED_BYTES and _digest(path / name) != entry["sha256"]:
                return f"{name} has changed since it was published (SHA-256)"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{_MANIFEST} is not readable"
    return None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
