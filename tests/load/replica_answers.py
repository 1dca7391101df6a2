"""What came of the requests of `replicas.py`, held against what the servers can have answered."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tests.load.client import Answer, percentile
from tests.load.replica_scenes import Ask, Plant
from tests.support.colour_versions import Artifact, Banner


@dataclass(frozen=True)
class Asked:
    """A request and what came of it."""

    ask: Ask
    banner: Banner
    answer: Answer


@dataclass
class Seen:
    """What one gateway did."""

    asked: list[Asked] = field(default_factory=list)
    readyz: list[Answer] = field(default_factory=list)


@dataclass(frozen=True)
class Trouble:
    """A request that was not answered as it must be, as a line for people."""

    at_seconds: float
    kind: str
    asked: str
    text: str


@dataclass(frozen=True)
class Result:
    """One scene through one gateway."""

    scene: str
    protocol: str
    requests: int
    outcomes: Mapping[str, int]
    versions: int
    """How many different ones answered."""
    lost: int
    """Not the status that it must have."""
    mixed: int
    """200, and not what a version that was served at that time says."""
    not_ready: int
    """Of the answers of /readyz."""
    probes: int
    p99_ms: float
    changes: Mapping[str, int]
    troubles: Sequence[Trouble]


def judged(scene: str, protocol: str, seen: Seen, plant: Plant, start: float) -> Result:
    """What is reported; `start` is the time that troubles are counted from."""
    answers = [each.answer for each in seen.asked]
    not_ready = [each for each in seen.readyz if each.status != 200]
    found = [(each.answer, each.ask.path, *_verdict(each, plant)) for each in seen.asked]
    found += [(each, "/readyz", "not ready", _text(each)) for each in not_ready]
    troubles = [
        Trouble(round(answer.due - start, 2), kind, path, text)
        for answer, path, kind, text in sorted(found, key=lambda each: each[0].due)
        if kind
    ]
    kinds = Counter(each.kind for each in troubles)
    return Result(
        scene=scene,
        protocol=protocol,
        requests=len(answers),
        outcomes=dict(Counter(_outcome(each) for each in answers)),
        versions=len({str(_body(each).get("model")) for each in answers if each.status == 200}),
        lost=kinds["lost"],
        mixed=kinds["mixed"],
        not_ready=kinds["not ready"],
        probes=len(seen.readyz),
        p99_ms=round(1000 * percentile([each.seconds for each in answers], 99), 1),
        changes=dict(plant.done),
        troubles=troubles,
    )


def _verdict(asked: Asked, plant: Plant) -> tuple[str, str]:
    """What is wrong, "lost" or "mixed", and a sentence; empty if nothing is."""
    answer, wanted = asked.answer, asked.ask.version
    if answer.status == 200:
        mistake = _mistake(asked, _body(answer), plant)
        return ("mixed", mistake) if mistake else ("", "")
    must_answer = any(
        stay.artifact.number == wanted and stay.must_answer(answer.due, answer.done)
        for replica in plant.replicas
        for stay in replica.stays
    )
    if answer.status == 404 and wanted is not None and not must_answer:
        return "", ""
    return "lost", _text(answer)


def _mistake(asked: Asked, body: dict[str, Any], plant: Plant) -> str | None:
    """What an answer has that no server could say at that time."""
    artifact = plant.artifacts.answering(body) if body.get("predictions") else None
    if artifact is None:
        return f"nobody's labels: {asked.answer.body[:200]!r}"
    return artifact.mistake(body, asked.banner) or _stranger(asked, artifact, plant)


def _stranger(asked: Asked, artifact: Artifact, plant: Plant) -> str | None:
    """Why this artifact could not be asked."""
    since, until = asked.answer.due, asked.answer.done
    if asked.ask.version not in {None, artifact.number}:
        return f"{artifact.stamp} answered instead of version {asked.ask.version}"
    if not any(
        stay.artifact == artifact and stay.may_answer(since, until)
        for replica in plant.replicas
        for stay in replica.stays
    ):
        return f"{artifact.stamp} answered, which no server had"
    if asked.ask.label is not None and not any(
        (sign.label, sign.number) == (asked.ask.label, artifact.number)
        and sign.may_hold(since, until)
        for replica in plant.replicas
        for sign in replica.signs
    ):
        return f"{artifact.stamp} answered for {asked.ask.label}, which stood for it nowhere"
    return None


def _outcome(answer: Answer) -> str:
    """The status with the problem's type."""
    if answer.status == 200:
        return answer.outcome
    kind = str(_body(answer).get("type", "")).rpartition("/")[2]
    return f"{answer.outcome} {kind}".strip()


def _text(answer: Answer) -> str:
    detail = _body(answer).get("detail", answer.body.decode(errors="replace"))
    return f"{_outcome(answer)}: {str(detail)[:200]}"


def _body(answer: Answer) -> dict[str, Any]:
    """As JSON; empty if it is none."""
    with suppress(ValueError):
        found = json.loads(answer.body)
        if isinstance(found, dict):
            return found
    return {}
