"""What was measured on this machine before: choices kept in a file, so that a start is fast."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import threading
from pathlib import Path
from typing import Final

_FILE: Final = "choices.json"
_MOST: Final = 1000
_LOCK: Final = threading.Lock()


def key_of(*parts: object) -> str:
    """One key of everything that a choice depends on."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


def recall(cache_dir: str, key: str) -> str | None:
    """What was chosen under a key; None if nothing was, or the file is damaged."""
    found = _read(cache_dir).get(key) if cache_dir else None
    return found if isinstance(found, str) else None


def remember(cache_dir: str, key: str, choice: str) -> None:
    """Keep a choice, the last thousand of them; a folder that takes no files is no failure."""
    if not cache_dir:
        return
    with _LOCK, contextlib.suppress(OSError):
        kept = {**_read(cache_dir), key: choice}
        latest = dict(list(kept.items())[-_MOST:])
        staged = Path(cache_dir, f".{_FILE}.{os.getpid()}.{secrets.token_hex(4)}")
        staged.parent.mkdir(parents=True, exist_ok=True)
        staged.write_text(json.dumps(latest), encoding="utf-8")
        staged.replace(Path(cache_dir, _FILE))


def _read(cache_dir: str) -> dict[str, object]:
    try:
        found = json.loads(Path(cache_dir, _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
