"""The text of labels: where a file's lines end, and which characters no label has.

A label travels through a SavedModel, JSON and gRPC, and is shown on a page. Characters that end
lines elsewhere, or that UTF-8 has no bytes for, are mistakes in every label that has them.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Final

from exporter.errors import UsageError

_UNPRINTABLE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode's categories: controls (NUL, tab, U+0085), lone surrogates, U+2028, U+2029."""
_BLANK: Final = " \t"


def read_text(path: Path, what: str) -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

    Args:
        path: the file.
        what: how messages call it: the option and the file.

    Raises:
        UsageError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{what}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{what}: not UTF-8 text; save it as UTF-8") from error


def split_lines(text: str) -> list[str]:
    r"""The lines of a file that was read with universal newlines (\n, \r\n and \r end them).

    str.splitlines would end them at eight other characters, too, and shift every class index after
    one. Blanks around a line and after the last one are dropped.
    """
    content = text.rstrip(f"{_BLANK}\n")
    return [line.strip(_BLANK) for line in content.split("\n")] if content else []


def require_printable(text: str, where: str) -> str:
    """Give the text without the white space around it, or refuse it.

    Args:
        text: a label, or the outside id of a class.
        where: option, file and line, for the message.

    Raises:
        UsageError: it has a control character, a line separator, half a character or nothing else.
    """
    for position, character in enumerate(text, 1):
        if unicodedata.category(character) in _UNPRINTABLE:
            name = unicodedata.name(character, "a control character")
            name = "half a character" if "\ud800" <= character <= "\udfff" else name.lower()
            raise UsageError(
                f"{where}: character {position} is U+{ord(character):04X} ({name}), "
                "which no label can have; save the file as plain UTF-8 text, one label per line"
            )
    if not text.strip():
        raise UsageError(f"{where} is empty; a class index would slip")
    return text.strip()
