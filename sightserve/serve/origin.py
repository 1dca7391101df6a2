"""From what a version was made, so that a file is published once."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

SOURCE_FILE: Final = ".published-from.json"
"""In a model's folder, where model servers look for numbers only."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A source, and what was said about it."""

    sha256: str
    """Of all files of the source: names, sizes and bytes."""
    options: Mapping[str, str]
    """Only those that were said; of a labels file the digest."""

    @classmethod
    def of(cls, source: Path, **options: str) -> Self:
        """Read the source, and the files that options name; empty options were not said."""
        said = {name: value for name, value in options.items() if value}
        labels = said.get("labels", "")
        if os.path.isfile(labels):  # noqa: PTH113 - a list of labels may be no possible path
            said["labels"] = _digest(Path(labels))
        return cls(_digest(source), said)

    def is_that_of(self, version: int, known: Mapping[str, Any]) -> bool:
        """Whether this version came from the same source, and nothing else is said of it now.

        What is not said stays as it was: a second run without `--labels` takes none away.
        """
        return (
            known.get("version") == version
            and known.get("sha256") == self.sha256
            and isinstance(before := known.get("options"), dict)
            and self.options.items() <= before.items()
        )


def recorded(folder: Path) -> Mapping[str, Any]:
    """What is known of a model's newest version; nothing if that cannot be read."""
    try:
        known = json.loads((folder / SOURCE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def record(folder: Path, version: int, origin: Origin) -> None:
    """Note it, whole or not at all."""
    draft = folder / f"{SOURCE_FILE}.{os.getpid()}"
    draft.write_text(json.dumps({"version": version, **asdict(origin)}), encoding="utf-8")
    draft.replace(folder / SOURCE_FILE)


def _digest(source: Path) -> str:
    inside = sorted(each for each in source.rglob("*") if each.is_file()) if source.is_dir() else []
    digest = hashlib.sha256()
    for path in inside or [source]:
        name = path.relative_to(source) if inside else ""  # a file that was renamed is the same
        digest.update(f"{name} {path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
