"""What a page says of a version."""

from __future__ import annotations

from collections.abc import Sequence

from contract.card import ModelCard
from exporter.report.charts import bar, percent
from exporter.report.content import (
    GateContent,
    GoldenContent,
    LatencyContent,
    ModeContent,
    RegressionContent,
    ReportContent,
)
from exporter.report.elements import Child, Element, element
from exporter.report.page import figures, picture, section, table


def overview(content: ReportContent) -> Element:
    """The card's facts."""
    card, source = content.card, content.card.source
    image = card.image
    more = ", …" if len(card.labels) > 10 else ""  # noqa: PLR2004 - a line's length
    weights = source.weights_sha256 or "-"
    rows: list[tuple[str, Child]] = [
        ("source", f"{source.kind} {source.name}, weights {source.weights or 'inside'}"),
        ("classes", f"{len(card.classes)}, {card.task}: {', '.join(card.labels[:10])}{more}"),
        ("image", f"{image.height} x {image.width}, {image.fit}, {image.filter}"),
        ("preprocess", card.preprocess),
        ("graph", f"{'frozen' if card.is_frozen else 'with variables'}, {card.precision}"),
        (
            "engines",
            ", ".join(
                ["tensorflow", *(f"{each.engine} {each.precision}" for each in card.engines)]
            ),
        ),
        ("made with", ", ".join(f"{name} {text}" for name, text in card.frameworks.items())),
        ("weights' SHA-256", element("code", weights)),
        ("graph's SHA-256", element("code", content.graph_sha256)),
    ]
    return section("Model", table(("", ""), rows))


def gate(lines: Sequence[GateContent]) -> Element:
    """Every check with its figure."""
    rows = [(each.step, each.found, each.bound or "-") for each in lines]
    return section("Passed", table(("check", "found", "allowed"), rows, class_="gate"))


def modes(results: Sequence[ModeContent]) -> Element:
    """Accuracy under every preprocessing."""
    rows = [
        (
            f"{each.mode} (chosen)" if each.is_chosen else each.mode,
            str(each.pictures),
            percent(each.top_1),
            bar(each.top_1),
        )
        for each in results
    ]
    return section("Preprocessing", table(("mode", "pictures", "top-1", ""), rows))


def regression(found: RegressionContent) -> Element:
    """Against the other version."""
    return section(
        f"Against {found.against}",
        figures([
            ("difference", f"{100 * found.difference + 0.0:+.2f} points",
             f"95 %: {100 * found.low:+.2f} to {100 * found.high:+.2f}"),
            ("this", percent(found.top_1), f"only right here: {found.only_new_right}"),
            ("other", percent(found.against_top_1),
             f"only right there: {found.only_against_right}"),
        ]),
        element("p", f"The same {found.pictures} pictures; Newcombe's interval for pairs.",
                class_="faint"),
    )  # fmt: skip


def latency(found: LatencyContent) -> Element:
    """Of one picture."""
    return section(
        "Latency",
        figures([
            ("median", f"{found.p50_ms:.1f} ms", ""),
            ("p95", f"{found.p95_ms:.1f} ms", ""),
            ("p99", f"{found.p99_ms:.1f} ms", ""),
            ("mean", f"{found.mean_ms:.1f} ms", ""),
        ]),
        element("p", f"{found.requests} requests of one picture, one after the other, over gRPC, "
                     "on the machine that exported it.", class_="faint"),
    )  # fmt: skip


def goldens(found: Sequence[GoldenContent], pictures: Sequence[str | None]) -> Element:
    """Images and the source's most probable answers."""
    shown = [
        picture(uri, [part for line in each.predictions for part in _answer(line.label,
                line.probability)], name=each.file)
        for each, uri in zip(found, pictures, strict=True)
    ]  # fmt: skip
    return section(
        "Golden images",
        element("p", "What every copy of this version must answer.", class_="faint"),
        element("div", *shown, class_="gallery"),
    )


def sizes(content: ReportContent) -> Element:
    """Every file."""
    total = sum(file.size_bytes for file in content.files)
    rows = [(file.name, _size(file.size_bytes)) for file in content.files]
    listed = element(
        "details",
        element("summary", f"{len(rows)} files"),
        table(("file", "size"), rows),
    )
    graph = next(file.size_bytes for file in content.files if file.name == "saved_model.pb")
    return section(
        "Size", figures([("all", _size(total), ""), ("graph", _size(graph), "")]), listed
    )


def subtitle(card: ModelCard) -> str:
    """One line under the heading."""
    return (
        f"exported {card.exported_at:%Y-%m-%d %H:%M} UTC; "
        "all of this was found before it was published"
    )


def _answer(label: str, probability: float) -> tuple[Element, Element]:
    line = element("div", element("span", label, title=label),
                   element("span", percent(probability)), class_="answer")  # fmt: skip
    return line, bar(probability)


def _size(size_bytes: int) -> str:
    if size_bytes >= 1_000_000:  # noqa: PLR2004 - a megabyte
        return f"{size_bytes / 1e6:.1f} MB"
    return f"{size_bytes / 1e3:.1f} kB"
