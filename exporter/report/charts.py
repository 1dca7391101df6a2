"""The plots, as SVG and tables: bars, the confusion matrix, the diagram of calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from exporter.report.content import BinContent, ClassContent, ConfusionContent
from exporter.report.elements import Element, element

LARGEST_MATRIX: Final = 24
"""Classes that still fit; of more, the most frequent confusions are listed."""

_LISTED: Final = 30
_SHADES: Final = 9
_SIDE: Final = 220
_MARGIN: Final = 34


def bar(share: float) -> Element:
    """A bar of its cell's width; `share` in 0..1."""
    width = f"{100 * min(max(share, 0.0), 1.0):.2f}"
    return element(
        "svg",
        element("rect", class_="track", width="100", height="4"),
        element("rect", class_="fill", width=width, height="4"),
        class_="bar",
        viewBox="0 0 100 4",
        preserveAspectRatio="none",
        aria_hidden="true",
    )


def confusion(classes: Sequence[ClassContent], cells: Sequence[ConfusionContent]) -> Element:
    """A matrix of few classes, of many the list of what is confused most."""
    if len(classes) <= LARGEST_MATRIX:
        return _matrix(classes, cells)
    return _most_confused(classes, cells)


def _matrix(classes: Sequence[ClassContent], cells: Sequence[ConfusionContent]) -> Element:
    pictures = {(cell.truth, cell.predicted): cell.pictures for cell in cells}
    head = element(
        "tr",
        element("th", "true \\ answered", scope="col"),
        *(element("th", str(each.class_index), scope="col", title=each.label) for each in classes),
    )
    rows = [
        element(
            "tr",
            element("th", f"{truth.class_index} ", element("span", truth.label), scope="row"),
            *(_cell(pictures.get((truth.class_index, each.class_index), 0), truth, each)
              for each in classes),
        )
        for truth in classes
    ]  # fmt: skip
    return element(
        "div", element("table", head, *rows, class_="matrix"), class_="wide", tabindex="0"
    )


def _cell(pictures: int, truth: ClassContent, predicted: ClassContent) -> Element:
    if not pictures:
        return element("td")
    shade = max(1, round(_SHADES * pictures / max(truth.pictures, 1)))
    kind = "hit" if truth.class_index == predicted.class_index else "miss"
    title = f"{truth.label} answered as {predicted.label}: {pictures}"
    return element("td", str(pictures), class_=f"{kind} shade-{shade}", title=title)


def _most_confused(classes: Sequence[ClassContent], cells: Sequence[ConfusionContent]) -> Element:
    labels = {each.class_index: each for each in classes}
    wrong = [cell for cell in cells if cell.truth != cell.predicted]
    worst = sorted(wrong, key=lambda cell: -cell.pictures)[:_LISTED]
    rows = [
        element(
            "tr",
            element("td", labels[cell.truth].label),
            element("td", labels[cell.predicted].label),
            element("td", str(cell.pictures), class_="number"),
            element("td", percent(cell.pictures / labels[cell.truth].pictures), class_="number"),
        )
        for cell in worst
    ]
    head = [element("th", text, scope="col") for text in ("true", "answered", "pictures", "of it")]
    return element(
        "div",
        element("p", f"{len(classes)} classes: the {len(worst)} most frequent confusions.",
                class_="faint"),
        element("div", element("table", element("tr", *head), *rows), class_="wide"),
    )  # fmt: skip


def calibration(bins: Sequence[BinContent]) -> Element:
    """Accuracy over confidence: on the diagonal a probability means what it says."""
    bars = [
        element(
            "rect",
            element("title", f"{each.low:.2f} to {each.high:.2f}: {each.pictures} pictures, "
                             f"{percent(each.accuracy)} right"),
            class_="fill",
            x=f"{_MARGIN + each.low * _SIDE + 1:.1f}",
            y=f"{_y(each.accuracy):.1f}",
            width=f"{(each.high - each.low) * _SIDE - 2:.1f}",
            height=f"{max(each.accuracy * _SIDE, 1):.1f}",
        )
        for each in bins
    ]  # fmt: skip
    dots = [
        element("circle", class_="dot", cx=f"{_MARGIN + each.confidence * _SIDE:.1f}",
                cy=f"{_y(each.accuracy):.1f}", r=f"{2 + 4 * _share(each, bins):.1f}")
        for each in bins
    ]  # fmt: skip
    ticks = [mark for value in (0.0, 0.5, 1.0) for mark in _ticks(value)]
    size = _SIDE + _MARGIN
    return element(
        "svg",
        element("rect", class_="frame", x=str(_MARGIN), y="8", width=str(_SIDE), height=str(_SIDE)),
        *bars,
        element("line", class_="ideal", x1=str(_MARGIN), y1=str(8 + _SIDE), x2=str(size), y2="8"),
        *dots,
        *ticks,
        element("text", "confidence", x=str(_MARGIN + _SIDE / 2), y=str(_SIDE + 40), class_="mid"),
        element("text", "accuracy", x="-118", y="10", transform="rotate(-90)", class_="mid"),
        class_="plot",
        viewBox=f"0 0 {size + 12} {_SIDE + 46}",
        role="img",
        aria_label="Accuracy by confidence",
    )


def percent(share: float) -> str:
    """One digit after the point."""
    return f"{100 * share:.1f} %"


def _y(share: float) -> float:
    return 8 + (1 - share) * _SIDE


def _share(one: BinContent, bins: Sequence[BinContent]) -> float:
    return one.pictures / max(each.pictures for each in bins)


def _ticks(value: float) -> tuple[Element, Element]:
    return (
        element("text", f"{value:g}", x=f"{_MARGIN + value * _SIDE}", y=str(_SIDE + 23),
                class_="mid"),
        element("text", f"{value:g}", x=str(_MARGIN - 5), y=f"{_y(value) + 4}", class_="end"),
    )  # fmt: skip
