"""What a search leaves: flags, variables and figures, all of them or none.

tuned/model-server.flags   one flag per line: `python -m serving … $(cat FILE)`
tuned/batching.config      what a flag among them names, if the model server is to batch
tuned/gateway.env          GATEWAY_… lines, for `--env-file` and the like
tuned/tuned.json           every row, and what it was measured on
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Final

from exporter import interruption
from exporter.errors import UsageError
from exporter.tune.configuration import Configuration

FLAGS_FILE: Final = "model-server.flags"
BATCHING_FILE: Final = "batching.config"
GATEWAY_FILE: Final = "gateway.env"
JSON_FILE: Final = "tuned.json"
_OURS: Final = frozenset({FLAGS_FILE, BATCHING_FILE, GATEWAY_FILE, JSON_FILE})


def require_folder(folder: Path) -> None:
    """Before anything long begins.

    Raises:
        UsageError: nothing can be written there, or something of others would be lost.
    """
    if not folder.parent.is_dir():
        raise UsageError(f"--output {folder}: there is no folder {folder.parent}")
    if not os.access(folder.parent, os.W_OK):
        raise UsageError(f"--output {folder}: {folder.parent} cannot be written to")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UsageError(f"--output {folder}: it is a file")
    others = sorted({each.name for each in folder.iterdir()} - _OURS)
    if others:
        raise UsageError(
            f"--output {folder}: {others[0]} in it is none of ours; name a folder of its own"
        )


def contents(best: Configuration, folder: Path, cores: int, figures: Any) -> dict[str, str]:
    """Every file's name and text."""
    lines = [*best.server.flags(str(folder / BATCHING_FILE))]
    variables = [f"{name}={value}" for name, value in best.gateway_environment().items()]
    found = {
        FLAGS_FILE: "".join(f"{line}\n" for line in lines),
        GATEWAY_FILE: "".join(f"{line}\n" for line in variables),
        JSON_FILE: json.dumps(figures, indent=2) + "\n",
    }
    if parameters := best.server.batching_parameters(cores):
        found[BATCHING_FILE] = parameters
    return found


def write(files: dict[str, str], folder: Path) -> None:
    """Put them into the folder in place of what an earlier search left; whole or not at all."""
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    with interruption.held():
        try:
            draft.mkdir()
            for name, text in files.items():
                (draft / name).write_text(text, encoding="utf-8")
            if folder.exists():
                folder.rename(old)
            draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)
    interruption.require_none()
