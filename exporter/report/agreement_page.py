"""Agreement as one HTML file: the figures, and the pictures that two versions call differently.

Labels and file names are other people's text: they are escaped, and the page runs no script and
loads nothing, whatever stands in it.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Final

from exporter.accuracy.agreement import Agreement, Changed, Choice, VersionAnswers, shown
from exporter.report.pictures import of_file

MAX_PICTURES: Final = 200
"""About 8 kB each."""

_SIDE: Final = 192
_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: .2rem 1rem .2rem 0 }
th { text-align: left; font-weight: 600 } td { font-variant-numeric: tabular-nums }
ul { list-style: none; padding: 0; display: grid; gap: 1rem }
ul { grid-template-columns: repeat(auto-fill, minmax(12rem, 1fr)) }
figure { margin: 0 } img { width: 100%; border: 1px solid #ccc } figcaption { font-size: 13px }
code { overflow-wrap: anywhere } @media (prefers-color-scheme: dark) {
body { background: #16181c; color: #e6e6e6 } img { border-color: #444 } }
"""
_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'sha256-{digest}'">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>{style}</style>
<h1>{title}</h1>
<table>
{rows}
</table>
<h2>Called differently</h2>
{pictures}
</html>
"""


def page(
    a: VersionAnswers, b: VersionAnswers, agreement: Agreement, folder: Path, at: datetime
) -> str:
    """The page; pictures beyond `MAX_PICTURES` are counted and not shown."""
    names = _title(a), _title(b)
    facts = {
        "Pictures": f"{agreement.n} in {folder}",
        "Same most probable class": f"{agreement.agreeing} ({agreement.top_1_agreement:.2%})",
        "Largest difference of a probability": f"{agreement.max_abs_difference:.3g}",
        "Mean difference": f"{agreement.mean_abs_difference:.3g}",
        "Files that are no images": str(len(agreement.broken)),
        f"Labels of {names[0]} only": ", ".join(agreement.labels_only_in_a) or "none",
        f"Labels of {names[1]} only": ", ".join(agreement.labels_only_in_b) or "none",
        "Compared": at.isoformat(timespec="seconds"),
    }
    rows = (f"<tr><th>{escape(key)}<td>{escape(value)}" for key, value in facts.items())
    return _PAGE.format(
        title=escape(f"{names[0]} and {names[1]}"),
        digest=base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode(),
        style=_STYLE,
        rows="\n".join(rows),
        pictures=_pictures(agreement, folder, names),
    )


def _title(answers: VersionAnswers) -> str:
    return f"{answers.name} version {answers.version}"


def _pictures(agreement: Agreement, folder: Path, names: tuple[str, str]) -> str:
    shown = agreement.changed[:MAX_PICTURES]
    if not shown:
        return "<p>None."
    items = "\n".join(_picture(each, folder, names) for each in shown)
    hidden = len(agreement.changed) - len(shown)
    return f"<ul>\n{items}\n</ul>" + (f"\n<p>And {hidden} more." if hidden else "")


def _picture(changed: Changed, folder: Path, names: tuple[str, str]) -> str:
    source = of_file(changed.file, _SIDE) or ""
    return (
        f'<li><figure><img alt="" src="{source}"><figcaption>'
        f"{_said(names[0], changed.a)}<br>{_said(names[1], changed.b)}<br>"
        f"<code>{escape(shown(changed.file, folder))}</code></figcaption></figure>"
    )


def _said(name: str, choice: Choice) -> str:
    return f"{escape(name)}: <b>{escape(choice.label)}</b> {choice.probability:.3f}"
