"""`training.html` of a version: curves, split, and what the held-out pictures said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from exporter.accuracy import mistakes
from exporter.accuracy.evaluation import Evaluation
from exporter.report import evaluation_sections, pictures
from exporter.report.charts import percent
from exporter.report.description import describe_evaluation
from exporter.report.elements import Element, element
from exporter.report.page import figures, page, section, table
from exporter.training.history import Epoch, History, Stage
from exporter.training.plan import Plan

_WIDTH: Final = 300
_HEIGHT: Final = 160
_LEFT: Final = 40
_TOP: Final = 10


def training_page(title: str, plan: Plan, history: History, evaluation: Evaluation | None) -> str:
    """The whole document as text."""
    shown = [_overview(plan, history), *(_curves(stage) for stage in history.stages)]
    if evaluation:
        worst = mistakes.worst(evaluation)
        content = describe_evaluation(evaluation, worst)
        shown += evaluation_sections.sections(content, pictures.of_mistakes(worst))
    shown.append(_split(plan))
    if history.notes:
        notes = element("ul", *(element("li", note) for note in history.notes))
        shown.append(section("Notes", notes))
    return page(title, f"{history.network} trained on {plan.name}", shown)


def _overview(plan: Plan, history: History) -> Element:
    copies = history.augmented_copies
    augmented = "new copies in every epoch" if copies is None else f"{copies} copies of each"
    return section(
        "Training",
        figures([
            ("network", history.network, f"from {history.weights}"),
            ("classes", str(len(plan.labels)), f"augmented: {augmented}"),
            ("pixels", f"{history.image_width} x {history.image_height}", plan.image.fit),
            ("parameters", f"{history.parameters / 1e6:.2f} M", ""),
            ("seed", str(history.seed), ""),
        ]),
    )  # fmt: skip


def _curves(stage: Stage) -> Element:
    kept = (
        f"The weights of epoch {stage.best} of {len(stage.epochs)} were kept."
        if stage.best
        else "No epoch was better than before: the weights are those from before."
    )
    losses = [each.loss for each in stage.epochs] + [each.validation_loss for each in stage.epochs]
    return section(
        f"Curves: {stage.name}",
        element("p", f"Solid: training pictures, as augmented. Dots: validation. {kept}",
                class_="faint"),
        element("h3", "Accuracy"),
        _plot(
            "Accuracy by epoch",
            [each.accuracy for each in stage.epochs],
            [each.validation_accuracy for each in stage.epochs],
            1.0,
        ),
        element("h3", "Loss"),
        _plot(
            "Loss by epoch",
            [each.loss for each in stage.epochs],
            [each.validation_loss for each in stage.epochs],
            max(losses),
        ),
        element("details", element("summary", "figures"), _figures(stage.epochs)),
    )  # fmt: skip


def _plot(
    name: str, training: Sequence[float], validation: Sequence[float], highest: float
) -> Element:
    def place(number: int, value: float) -> tuple[float, float]:
        share = value / highest if highest > 0 else 0.0
        x = _LEFT + _WIDTH * (number + 0.5) / len(training)
        return x, _TOP + _HEIGHT * (1 - min(max(share, 0.0), 1.0))

    points = " ".join("{:.1f},{:.1f}".format(*place(i, v)) for i, v in enumerate(training))
    dots = []
    for number, value in enumerate(validation):
        x, y = place(number, value)
        told = element("title", f"epoch {number + 1}: {value:.4f}")
        dots.append(element("circle", told, class_="dot", cx=f"{x:.1f}", cy=f"{y:.1f}", r="3"))
    bottom = _TOP + _HEIGHT
    return element(
        "svg",
        element("rect", class_="frame", x=_LEFT, y=_TOP, width=_WIDTH, height=_HEIGHT),
        element("polyline", points=points, fill="none", stroke="currentColor"),
        *dots,
        element("text", f"{highest:.3g}", x=_LEFT - 5, y=_TOP + 9, class_="end"),
        element("text", "0", x=_LEFT - 5, y=bottom, class_="end"),
        element("text", f"{len(training)} epochs", x=_LEFT + _WIDTH / 2, y=bottom + 16,
                class_="mid"),
        class_="plot",
        viewBox=f"0 0 {_LEFT + _WIDTH + 10} {bottom + 22}",
        role="img",
        aria_label=name,
    )  # fmt: skip


def _figures(epochs: Sequence[Epoch]) -> Element:
    rows = [
        (str(number), f"{each.loss:.4f}", percent(each.accuracy), f"{each.validation_loss:.4f}",
         percent(each.validation_accuracy))
        for number, each in enumerate(epochs, start=1)
    ]  # fmt: skip
    headings = ("epoch", "loss", "accuracy", "validation loss", "validation accuracy")
    return table(headings, rows)


def _split(plan: Plan) -> Element:
    rows = [(label, *map(str, counts)) for label, *counts in plan.counts]
    return section("Pictures", table(("class", "training", "validation", "test"), rows))
