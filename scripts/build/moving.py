"""Moves our packages below `sightserve`, and the imports of each other with them.

`from exporter.store import manifest` becomes `from sightserve.exporter.store import manifest`, on
the same line. A form that this does not know is an error and not a wheel that breaks later.
"""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

TOP = "sightserve"
MOVED = ("app", "contract", "exporter", "protocol", "serving")
_IMPORTERS = {"import_module", "__import__", "run_module", "find_spec", "files"}
_NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.pyc")


class MovingError(Exception):
    """A form of import that cannot be moved: file, line, and what it is."""


def move(source: Path, destination: Path) -> None:
    """Copy `sightserve` and the others below it, rewritten.

    Raises:
        MovingError: a module imports in a form that is not known here.
    """
    shutil.copytree(source / TOP, destination / TOP, ignore=_NOT_COPIED)
    for name in MOVED:
        shutil.copytree(source / name, destination / TOP / name, ignore=_NOT_COPIED)
    for path in sorted((destination / TOP).rglob("*.py*")):
        if path.suffix in {".py", ".pyi"}:
            text = path.read_text(encoding="utf-8")
            path.write_text(rewritten(text, str(path.relative_to(destination))), encoding="utf-8")


def rewritten(text: str, where: str) -> str:
    """A module's text with its imports moved; everything else, line numbers too, stays.

    Raises:
        MovingError: as `move`.
    """
    lines = text.split("\n")  # as the parser counts them: it knows no other line ends
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and _is_ours(node.module):
            line = lines[node.lineno - 1]
            # col_offset counts bytes of UTF-8; what stands before an import is white space.
            start, rest = line[: node.col_offset], line[node.col_offset :]
            if not rest.startswith(f"from {node.module}"):
                raise MovingError(
                    f"{where}:{node.lineno}: write `from {node.module} import …` plainly"
                )
            lines[node.lineno - 1] = f"{start}from {TOP}.{rest.removeprefix('from ')}"
        elif (unknown := _unknown(node)) is not None:
            raise MovingError(f"{where}:{node.lineno}: {unknown} cannot be moved below {TOP}")  # type: ignore[attr-defined]  # all of these have lines
    return "\n".join(lines)


def _unknown(node: ast.AST) -> str | None:
    """An import of ours in a form that is not rewritten."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names if _is_ours(alias.name)]
        return f"import {names[0]}" if names else None
    if isinstance(node, ast.Call):
        called = (
            node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        )
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        names = [text for each in given if _is_ours(text := _start(each))]
        if called in _IMPORTERS and names:
            return f"{called}({names[0]!r})"
    if isinstance(node, ast.List | ast.Tuple):
        for option, name in zip(node.elts, node.elts[1:], strict=False):
            if _text(option) == "-m" and _is_ours(_text(name)):
                return f"-m {_text(name)}"
    return None


def _start(node: ast.AST) -> str | None:
    """A string, or how one with values in it begins."""
    return _text(node.values[0]) if isinstance(node, ast.JoinedStr) and node.values else _text(node)


def _text(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _is_ours(name: str | None) -> bool:
    return name is not None and name.split(".", 1)[0] in MOVED
