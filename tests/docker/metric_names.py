"""Prometheus' text format and PromQL, as far as our metrics, rules and dashboards use them."""

import re
from collections.abc import Iterator

import httpx

_SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{([^}]*)\})?")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
_FUNCTIONS = {"sum", "count", "max", "rate", "increase", "histogram_quantile", "topk", "vector"}
_WORDS = _FUNCTIONS | {"by", "and", "or", "unless", "offset", "bool"}
_ADDED_BY_PROMETHEUS = {"job", "instance"}


def scrape(url: str) -> list[tuple[str, dict[str, str], float]]:
    """Every sample: name, labels, value."""
    answer = httpx.get(url, timeout=10)
    assert answer.status_code == 200, answer.text
    found = []
    for line in answer.text.splitlines():
        if line and not line.startswith("#"):
            match = _SAMPLE.match(line)
            assert match, line
            found.append((match[1], dict(_LABEL.findall(match[2] or "")), float(match[3])))
    return found


def labels_by_name(samples: list[tuple[str, dict[str, str], float]]) -> dict[str, set[str]]:
    """Metric name → label names."""
    found: dict[str, set[str]] = {}
    for name, labels, _ in samples:
        found.setdefault(name, set(_ADDED_BY_PROMETHEUS)).update(labels)
    return found


def used(expression: str) -> Iterator[tuple[str, set[str]]]:
    """The metrics of an expression, each with the labels that it is selected or grouped by."""
    grouped = {
        label.strip()
        for match in _GROUPING.finditer(expression)
        for label in match[1].split(",")
        if label.strip()
    }
    bare = _GROUPING.sub(" ", re.sub(r"\[[^\]]*\]", " ", expression))
    for match in _SELECTOR.finditer(re.sub(r'"[^"]*"', '""', bare)):
        if match[1] not in _WORDS and not re.fullmatch(r"\d+[smh]|[smh]", match[1]):
            selected = {part.split("=")[0].strip("!~ ") for part in (match[2] or "").split(",")}
            yield match[1], (selected - {""}) | grouped
