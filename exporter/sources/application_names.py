"""Names of Keras' applications, read from its files: importing Keras takes seconds."""

from __future__ import annotations

import difflib
import importlib.util
import re
from pathlib import Path
from typing import Final

from exporter.errors import UsageError

_CONSTRUCTOR: Final = re.compile(r"^from \S+ import ([A-Z]\w*)", re.MULTILINE)


def require_application(name: str) -> None:
    """Refuse a name that no application has; capital letters do not matter.

    Where Keras' files are not as expected nothing is refused: the build asks Keras itself.

    Raises:
        UsageError: there is none of that name.
    """
    known = {each.lower(): each for each in _names()}
    if not known or name.lower() in known:
        return
    close = difflib.get_close_matches(name.lower(), known, n=3)
    guess = ", ".join(known[each] for each in close)
    hint = f"did you mean: {guess}?" if guess else f"there are: {', '.join(known.values())}"
    raise UsageError(f"there is no Keras application {name!r}; {hint}")


def _names() -> list[str]:
    spec = importlib.util.find_spec("keras")
    if spec is None or spec.origin is None:
        return []
    try:
        file = Path(spec.origin).parent / "applications" / "__init__.py"
        return _CONSTRUCTOR.findall(file.read_text(encoding="utf-8"))
    except OSError:
        return []
