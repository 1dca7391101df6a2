"""An old version again, under the next number: the way back where the highest number is served.

The files are hard links, so it costs no room, and nothing is built or proven anew: they are, byte
by byte, what has passed the gate. Beside them lies a note of the version that they are.
"""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from exporter.errors import RefusedError, UsageError
from exporter.store import manifest, publish, version_numbers

_OF: Final = "republished_version"


def republish(model_path: Path, version: int) -> Path:
    """Publish the version once more; the new folder.

    Raises:
        UsageError: there is no such version.
        RefusedError: its files are not as they were published.
        FailedError: the folder cannot be written.
    """
    path = require_unchanged(model_path, version)
    with publish.staging(model_path) as staged:
        shutil.copytree(
            path,
            staged.version_path,
            copy_function=_link,
            ignore=shutil.ignore_patterns(manifest.REPUBLISHED_FILE),
        )
        note = {_OF: origin(model_path, version), "at": datetime.now(UTC).isoformat()}
        target = staged.version_path / manifest.REPUBLISHED_FILE
        target.write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")
        return staged.publish()


def require_unchanged(model_path: Path, version: int) -> Path:
    """The folder of a version that is fit to go back to.

    Raises:
        UsageError: there is no such version.
        RefusedError: its files are not as they were published.
    """
    path = version_numbers.version_path(model_path, version)
    if path is None:
        existing = ", ".join(map(str, version_numbers.versions(model_path))) or "none"
        raise UsageError(f"{model_path.name} has no version {version}; there are: {existing}")
    if (path / manifest.FILE).is_file() and (changes := manifest.differences(path)):
        raise RefusedError(
            f"{path} is not as it was published: {'; '.join(changes)}; choose another with --to",
            step="manifest",
        )
    return path


def origin(model_path: Path, version: int) -> int:
    """The version that these files were first published as: itself, unless it is a copy."""
    path = version_numbers.version_path(model_path, version)
    try:
        note = json.loads(((path or model_path) / manifest.REPUBLISHED_FILE).read_bytes())
        number = note[_OF]
    except (OSError, ValueError, KeyError, TypeError):
        return version
    return number if isinstance(number, int) else version


def before(model_path: Path, version: int) -> int:
    """The version before: what was published before this one, or before what this one is a copy of.

    Raises:
        UsageError: there is none.
    """
    first = origin(model_path, version)
    older = [number for number in version_numbers.versions(model_path) if number < first]
    if not older:
        raise UsageError(f"there is no version of {model_path.name} before {first}")
    return older[-1]


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target)
