"""A torch.export archive looked at before PyTorch opens it, because PyTorch would run it.

`torch.export.load` unpickles weights, constants and example inputs with everything that a pickle
may do, and evaluates expressions that it finds in JSON. The child is told to unpickle tensors
only; what that setting does not reach is refused here. It narrows what a hostile file can do and is
no promise: PyTorch's own word is never to load one.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from exporter.errors import UsageError

ONLY_TENSORS: Final = {"TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1"}
"""PyTorch's own switch, which wins over what its loader asks for."""

# Of PyTorch's archives since 2.8, and of those before.
_MARKS: Final = ("archive_format", "serialized_exported_program.json")
_CUSTOM_OBJECT: Final = re.compile(r"custom_obj|script_obj", re.IGNORECASE)
# Numbers, names and quoted names, comparisons and calls of SymPy's classes, which are capitalised;
# no attribute, index or dunder, and no call of a function.
_EXPRESSION: Final = re.compile(
    r"(?:[A-Z]\w*|[a-z]\w*(?!\w|\s*\()|'[A-Za-z]\w*'|\d+(?:\.\d+)?|[-+*/%(),<>=!&|~ ])*"
)
_MAX_JSON_BYTES: Final = 1 << 28


def inspect_archive(path: Path) -> None:
    """Refuse what is no torch.export archive, or holds more than tensors and a graph.

    Raises:
        UsageError: it does.
    """
    if not path.is_file():
        raise UsageError(f"--torch {path}: there is no such file")
    if not zipfile.is_zipfile(path):
        raise UsageError(f"--torch {path}: {_NOT_EXPORTED}")
    with zipfile.ZipFile(path) as archive:
        names = [entry.filename for entry in archive.infolist()]
        if not any(name.endswith(_MARKS) for name in names):
            raise UsageError(f"--torch {path}: {_NOT_EXPORTED}")
        for name in names:
            if _CUSTOM_OBJECT.search(name):
                raise UsageError(f"--torch {path}: holds an object that is code ({name})")
            if name.endswith(".json"):
                _require_plain(path, name, _read(archive, path, name))


_NOT_EXPORTED: Final = (
    "no torch.export archive (weights or TorchScript, perhaps); save the model with "
    "torch.export.save(torch.export.export(model.eval(), …), FILE.pt2)"
)


def _read(archive: zipfile.ZipFile, path: Path, name: str) -> Any:
    if archive.getinfo(name).file_size > _MAX_JSON_BYTES:
        raise UsageError(f"--torch {path}: {name} is too large")
    try:
        return json.loads(archive.read(name))
    except (ValueError, zipfile.BadZipFile, RecursionError) as error:
        raise UsageError(f"--torch {path}: {name} is damaged") from error


def _require_plain(path: Path, name: str, content: Any) -> None:
    for text in _expressions(content):
        if "__" in text or not _EXPRESSION.fullmatch(text):
            raise UsageError(f"--torch {path}: {name} holds code where a size belongs: {text[:60]}")


def _expressions(content: Any) -> Iterator[str]:
    waiting = [content]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            text = part.get("expr_str")
            if isinstance(text, str):
                yield text
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
