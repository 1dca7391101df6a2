"""The names of Keras' applications, read from Keras' files: importing Keras takes seconds."""

from __future__ import annotations

import ast
import difflib
from importlib.util import find_spec
from pathlib import Path

from exporter.errors import UsageError


def application_names() -> list[str]:
    """Every constructor that keras.applications has, in alphabetical order.

    Empty where Keras is not installed, or its files are not as expected.
    """
    spec = find_spec("keras")
    if spec is None or spec.origin is None:
        return []
    listing = Path(spec.origin).parent / "applications" / "__init__.py"
    if not listing.is_file():
        return []
    tree = ast.parse(listing.read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    names = {alias.name for node in imports for alias in node.names}
    return sorted(name for name in names if name[0].isupper())  # modules are in lower case


def spelled(name: str) -> str:
    """An application's own spelling; capital letters do not matter.

    Where no names are known nothing is refused: the build asks Keras itself.

    Raises:
        UsageError: there is none of that name.
    """
    by_lower = {known.lower(): known for known in application_names()}
    if not by_lower or name.lower() in by_lower:
        return by_lower.get(name.lower(), name)
    close = difflib.get_close_matches(name.lower(), by_lower, n=3)
    guess = ", ".join(by_lower[match] for match in close)
    hint = f"did you mean: {guess}?" if guess else f"there are: {', '.join(by_lower.values())}"
    raise UsageError(f"there is no Keras application {name!r}; {hint}")
