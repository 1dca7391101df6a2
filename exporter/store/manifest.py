"""`MANIFEST.json`: the SHA-256 of every file of a version, to find copies that went wrong.

It lies beside `saved_model.pb`. Model servers read `saved_model.pb`, `variables/`, `assets/` and
`assets.extra/` and ignore other names.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from exporter.errors import FailedError

FILE: Final = "MANIFEST.json"
SIGNATURE_FILE: Final = "model.sig"
"""Written after publishing, over everything but the next one."""
REPUBLISHED_FILE: Final = "republished.json"
"""Says of a version that was published again which one it is."""

_LATER: Final = frozenset({FILE, SIGNATURE_FILE, REPUBLISHED_FILE})
_SCHEMA_VERSION: Final = 1


def write(version: Path) -> None:
    """Digest all files of a staged version."""
    content = {"schema_version": _SCHEMA_VERSION, "files": _digest_all(version)}
    (version / FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read(version: Path) -> dict[str, dict[str, Any]]:
    """Files by relative path: {"sha256": …, "bytes": …}.

    Raises:
        FailedError: there is none, or it is damaged.
    """
    try:
        content = json.loads((version / FILE).read_text(encoding="utf-8"))
        files: dict[str, dict[str, Any]] = content["files"]
    except (OSError, ValueError, KeyError) as error:
        raise FailedError(f"{version}: no readable {FILE}; was it exported by us?") from error
    return files


def differences(version: Path) -> list[str]:
    """What is not as it was published: changed, missing or added files, one line each."""
    expected = read(version)
    found = _digest_all(version)
    return [
        *(f"missing: {name}" for name in sorted(expected.keys() - found.keys())),
        *(f"added: {name}" for name in sorted(found.keys() - expected.keys())),
        *(
            f"changed: {name}"
            for name in sorted(expected.keys() & found.keys())
            if expected[name] != found[name]
        ),
    ]


def _digest_all(version: Path) -> dict[str, dict[str, Any]]:
    files = sorted(path for path in version.rglob("*") if path.is_file())
    return {
        path.relative_to(version).as_posix(): {
            "sha256": _digest(path),
            "bytes": path.stat().st_size,
        }
        for path in files
        if path.relative_to(version).as_posix() not in _LATER
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
