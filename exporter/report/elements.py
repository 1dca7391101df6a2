"""HTML as a tree: labels and file names are anybody's, and a tree escapes what it writes."""

from __future__ import annotations

import re
from typing import Final
from xml.etree import ElementTree as ET

Element = ET.Element
Child = Element | str

_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def element(name: str, /, *children: Child, **attributes: object) -> Element:
    """One element; `class_` is class, and `aria_label` aria-label."""
    made = Element(
        name,
        {key.rstrip("_").replace("_", "-"): _clean(str(v)) for key, v in attributes.items()},
    )
    last: Element | None = None
    for child in children:
        if isinstance(child, Element):
            made.append(child)
            last = child
        elif last is None:
            made.text = (made.text or "") + _clean(child)
        else:
            last.tail = (last.tail or "") + _clean(child)
    return made


def to_html(root: Element) -> str:
    """The document. Only `style` is written as it is, and no foreign text goes there."""
    return "<!doctype html>\n" + ET.tostring(root, encoding="unicode", method="html")


def _clean(text: str) -> str:
    """Controls and lone surrogates are no characters of HTML."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)
