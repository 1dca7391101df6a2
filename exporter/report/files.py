"""Writing reports: `report.html` and `report.json` of a version, one page of an evaluation.

They lie beside `saved_model.pb`, where model servers ignore names that they do not know.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from contract.card import ModelCard
from exporter.accuracy import mistakes
from exporter.accuracy.evaluation import Evaluation
from exporter.proof.goldens import Goldens
from exporter.report import evaluation_sections, pictures, version_sections
from exporter.report.content import EvaluationContent, ReportContent
from exporter.report.description import Findings, describe, describe_evaluation
from exporter.report.elements import Element
from exporter.report.page import page

HTML: Final = "report.html"
JSON: Final = "report.json"


def write(version: Path, card: ModelCard, kept: Goldens, findings: Findings) -> ReportContent:
    """Put both beside a staged version, whose goldens are written already."""
    worst = mistakes.worst(findings.evaluation) if findings.evaluation else []
    content = describe(version, card, kept, findings, worst)
    text = page(
        f"{card.model_name}: model report",
        version_sections.subtitle(card),
        _sections(content, pictures.of_mistakes(worst), kept),
    )
    (version / JSON).write_text(content.model_dump_json(indent=2) + "\n", encoding="utf-8")
    (version / HTML).write_text(text, encoding="utf-8")
    return content


def write_evaluation(file: Path, evaluation: Evaluation) -> EvaluationContent:
    """One page about an evaluation."""
    worst = mistakes.worst(evaluation)
    content = describe_evaluation(evaluation, worst)
    shown = evaluation_sections.sections(content, pictures.of_mistakes(worst))
    title = f"{content.target}: evaluation"
    file.write_text(page(title, f"on {content.dataset}", shown), encoding="utf-8")
    return content


def _sections(content: ReportContent, wrong: list[str | None], kept: Goldens) -> list[Element]:
    shown = [version_sections.overview(content), version_sections.gate(content.gate)]
    if content.evaluation:
        shown += evaluation_sections.sections(content.evaluation, wrong)
    if content.regression:
        shown.append(version_sections.regression(content.regression))
    if content.modes:
        shown.append(version_sections.modes(content.modes))
    if content.latency:
        shown.append(version_sections.latency(content.latency))
    thumbnails = [pictures.thumbnail(data) for data in kept.files]
    shown += [
        version_sections.goldens(content.goldens, thumbnails),
        version_sections.sizes(content),
    ]
    return shown
