"""The page around a report's sections: one file, readable without network, day and night.

Its policy forbids scripts, and everything from outside: a label that is HTML stays text, and would
do nothing if it did not.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from typing import Final

from exporter.report.elements import Child, Element, element, to_html

_FIGURE: Final = re.compile(r"-|[+-]?[0-9][0-9.,]*( (%|ms|MB|kB|B))?")

_SHADES: Final = "".join(
    f".{kind}.shade-{n} {{ background: color-mix(in srgb, var({colour}) {part}%, var(--card)); }}\n"
    for n in range(1, 10)
    for kind, colour, part in (("hit", "--good", 10 * n), ("miss", "--bad", 10 + 9 * n))
)

_STYLE: Final = (
    """
:root { color-scheme: light dark; --ink: #1f2328; --faint: #5b6570; --paper: #fff; --card: #f5f7fa;
  --line: #d3dae2; --accent: #1967d2; --good: #7db8f5; --bad: #e5533d; --wrong: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --faint: #9aa7b4; --paper: #14181d;
  --card: #1d232a; --line: #37414c; --accent: #7ab0ff; --good: #2a62a8; --bad: #b8402f;
  --wrong: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; margin: 0; }
h2 { font-size: 1.1rem; margin: 0 0 .6rem; }
h3 { font-size: .95rem; margin: 1.2rem 0 .4rem; }
p { margin: 0 0 .5rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: 1rem; margin-top: 1rem; }
.faint { color: var(--faint); font-size: .875rem; }
.figures { display: flex; flex-wrap: wrap; gap: .5rem 2rem; margin: 0 0 .5rem; }
.figures div { min-width: 6rem; }
.figures dt { color: var(--faint); font-size: .8rem; }
.figures dd { margin: 0; font-size: 1.35rem; font-weight: 600; }
.figures dd span { display: block; font-size: .75rem; font-weight: 400; color: var(--faint); }
table { border-collapse: collapse; font-size: .875rem; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem .25rem 0;
  border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums; }
th { font-weight: 600; color: var(--faint); overflow-wrap: normal; }
td > .bar { margin-top: .5rem; min-width: 3rem; }
td.number, th.number { text-align: right; white-space: nowrap; }
td.text { min-width: 6rem; }
.wide { overflow-x: auto; }
.gate td:last-child { min-width: 5rem; }
.gate td:first-child { white-space: nowrap; font-weight: 600; }
.gate td:first-child::before { content: "\\2713\\00A0"; color: var(--accent); }
.matrix { width: auto; }
.matrix th, .matrix td { padding: .25rem .4rem; text-align: center; border: 1px solid var(--line);
  min-width: 2rem; overflow-wrap: normal; }
.matrix th[scope=row] { text-align: left; white-space: nowrap; max-width: 11rem; overflow: hidden;
  text-overflow: ellipsis; }
.matrix tr:first-child th:first-child { font-weight: 400; white-space: nowrap; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr));
  gap: .8rem; }
figure { margin: 0; min-width: 0; font-size: .8rem; }
figure img, figure .gone { display: block; width: 7rem; height: 7rem; border-radius: .3rem;
  border: 1px solid var(--line); margin-bottom: .3rem; }
.answer { display: flex; justify-content: space-between; gap: .5rem; }
.answer span:last-child { white-space: nowrap; }
.answer span:first-child { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.bar { display: block; width: 100%; height: .3rem; margin-bottom: .2rem; border-radius: .15rem; }
.track { fill: var(--line); }
.fill { fill: var(--accent); }
.plot { width: 100%; max-width: 20rem; font-size: 11px; }
.plot .fill { fill-opacity: .35; }
.plot .dot { fill: var(--accent); }
.plot .frame { fill: none; stroke: var(--line); }
.plot .ideal { stroke: var(--faint); stroke-dasharray: 4 3; }
.plot text { fill: var(--faint); }
.mid { text-anchor: middle; }
.end { text-anchor: end; }
.bad { color: var(--wrong); }
code { font-size: .8rem; }
summary { cursor: pointer; color: var(--accent); margin: .4rem 0; }
"""
    + _SHADES
)


def page(title: str, subtitle: str, sections: Sequence[Element]) -> str:
    """The whole document as text."""
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", _STYLE),
    )
    header = element("header", element("h1", title), element("p", subtitle, class_="faint"))
    body = element("body", header, *sections)
    return to_html(element("html", head, body, lang="en"))


def section(title: str, *children: Child) -> Element:
    """A card with a heading."""
    return element("section", element("h2", title), *children)


def table(headings: Sequence[str], rows: Sequence[Sequence[Child]], *, class_: str = "") -> Element:
    """A table that scrolls by itself where the page is narrow; figures stand to the right."""
    numbers = {
        column
        for column in range(len(headings))
        if rows and all(_is_figure(row[column]) for row in rows)
    }
    kinds = ["number" if column in numbers else "text" for column in range(len(headings))]
    head = [
        element("th", text, scope="col", class_=kind)
        for text, kind in zip(headings, kinds, strict=True)
    ]
    body = [
        element("tr", *(element("td", each, class_=k) for each, k in zip(row, kinds, strict=True)))
        for row in rows
    ]
    heading = [element("tr", *head)] if any(headings) else []
    inside = element("table", *heading, *body, class_=class_)
    return element("div", inside, class_="wide")


def figures(pairs: Sequence[tuple[str, str, str]]) -> Element:
    """A few large numbers: name, value, what to add in small."""
    return element(
        "dl",
        *(
            element("div", element("dt", name), element("dd", value, element("span", small)))
            for name, value, small in pairs
        ),
        class_="figures",
    )


def picture(uri: str | None, caption: Sequence[Child], *, name: str) -> Element:
    """A thumbnail with what belongs under it."""
    image = (
        element("img", src=uri, alt=name, width=112, height=112)
        if uri
        else element("div", "no picture", class_="gone")
    )
    return element("figure", image, element("figcaption", *caption))


def _is_figure(text: Child) -> bool:
    return isinstance(text, str) and bool(_FIGURE.fullmatch(text))
