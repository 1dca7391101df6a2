"""What a page says of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from exporter.report import charts
from exporter.report.charts import bar, percent
from exporter.report.content import ClassContent, EvaluationContent
from exporter.report.elements import Element, element
from exporter.report.page import figures, picture, section, table

_SHOWN_CLASSES: Final = 20
_SHOWN_FILES: Final = 200


def sections(evaluation: EvaluationContent, pictures: Sequence[str | None]) -> list[Element]:
    """Accuracy, confusion, classes, mistakes, and what was not counted.

    Args:
        evaluation: the figures.
        pictures: those of its mistakes, in order.
    """
    made = [_accuracy(evaluation), _confusion(evaluation), _classes(evaluation.classes)]
    if evaluation.mistakes:
        made.append(_mistakes(evaluation, pictures))
    if evaluation.broken or evaluation.unknown:
        made.append(_left_out(evaluation))
    return made


def _accuracy(evaluation: EvaluationContent) -> Element:
    top_5 = "-" if evaluation.top_5 is None else percent(evaluation.top_5)
    wrong = round(evaluation.pictures * (1 - evaluation.top_1))
    return section(
        "Accuracy",
        element("p", f"{evaluation.pictures} pictures of {evaluation.dataset}", class_="faint"),
        figures([
            ("top-1", percent(evaluation.top_1),
             f"95 %: {percent(evaluation.top_1_low)} to {percent(evaluation.top_1_high)}"),
            ("top-5", top_5, ""),
            ("wrong", str(wrong), f"of {evaluation.pictures}"),
            ("calibration error", f"{evaluation.ece:.3f}", "mean of 15 bins"),
        ]),
        element("h3", "Calibration"),
        element("p", "Right answers among those of a confidence: on the dashed line a probability "
                     "means what it says. Larger dots stand for more pictures.", class_="faint"),
        charts.calibration(evaluation.bins),
    )  # fmt: skip


def _confusion(evaluation: EvaluationContent) -> Element:
    return section("Confusion", charts.confusion(evaluation.classes, evaluation.confusion))


def _classes(classes: Sequence[ClassContent]) -> Element:
    worst_first = sorted(classes, key=lambda each: (each.recall is None, each.recall))
    shown = _class_table(worst_first[:_SHOWN_CLASSES])
    rest = worst_first[_SHOWN_CLASSES:]
    if not rest:
        return section("Classes, the least often found first", shown)
    more = element("details", element("summary", f"{len(rest)} more"), _class_table(rest))
    return section("Classes, the least often found first", shown, more)


def _class_table(classes: Sequence[ClassContent]) -> Element:
    rows = [
        (
            str(each.class_index),
            each.label,
            str(each.pictures),
            "-" if each.precision is None else percent(each.precision),
            "-" if each.recall is None else percent(each.recall),
            bar(each.recall or 0.0),
        )
        for each in classes
    ]
    return table(("index", "class", "pictures", "precision", "recall", ""), rows, class_="classes")


def _mistakes(evaluation: EvaluationContent, pictures: Sequence[str | None]) -> Element:
    shown = [
        picture(
            uri,
            [
                element("b", each.truth),
                element("br"),
                element("span", f"taken for {each.predicted}", class_="bad"),
                f" {percent(each.probability)}",
                element("div", each.file, class_="faint"),
            ],
            name=f"{each.truth} taken for {each.predicted}",
        )
        for each, uri in zip(evaluation.mistakes, pictures, strict=True)
    ]
    return section("Worst mistakes", element("div", *shown, class_="gallery"))


def _left_out(evaluation: EvaluationContent) -> Element:
    parts: list[Element] = []
    if evaluation.unknown:
        rows = [(each.label, str(each.pictures), each.hint) for each in evaluation.unknown]
        parts += [
            element("h3", f"{len(rows)} labels that the model does not have"),
            table(("label", "pictures", "hint"), rows),
        ]
    if evaluation.broken:
        files = [(each.file, each.reason) for each in evaluation.broken[:_SHOWN_FILES]]
        parts += [
            element("h3", f"{len(evaluation.broken)} broken files"),
            table(("file", "reason"), files),
        ]
    return section("Left out", *parts)
