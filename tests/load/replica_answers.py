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
    late: int
    """200 by a version for which the label had stood, and did nowhere when it was asked."""
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
        late=kinds["late"],
        not_ready=kinds["not ready"],
        probes=len(seen.readyz),
        p99_ms=round(1000 * percentile([each.seconds for each in answers], 99), 1),
        changes=dict(plant.done),
        troubles=troubles,
    )


def _verdict(asked: Asked, plant: Plant) -> tuple[str, str]:
    """What is wrong, "lost", "mixed" or "late", and a sentence; empty if nothing is."""
    answer, wanted = asked.answer, asked.ask.version
    if answer.status == 200:
        return _fault(asked, _body(answer), plant)
    if wanted is None:
        return "lost", _text(answer)
    stays = [
        stay
        for replica in plant.replicas
        for stay in replica.stays
        if stay.artifact.number == wanted and stay.may_answer(answer.due, answer.done)
    ]
    outcome = _outcome(answer)
    is_coming = bool(stays) and outcome == "503 model-not-ready"
    must_answer = any(stay.must_answer(answer.due, answer.done) for stay in stays)
    if not must_answer and (is_coming or outcome == "404 model-version-not-found"):
        return "", ""
    return "lost", _text(answer)


def _fault(asked: Asked, body: dict[str, Any], plant: Plant) -> tuple[str, str]:
    """What an answer has that no server could say at that time."""
    artifact = plant.artifacts.answering(body) if body.get("predictions") else None
    if artifact is None:
        return "mixed", f"nobody's labels: {asked.answer.body[:200]!r}"
    mistake = artifact.mistake(body, asked.banner) or _absence(asked, artifact, plant)
    if mistake:
        return "mixed", mistake
    return _lateness(asked, artifact, plant)


def _absence(asked: Asked, artifact: Artifact, plant: Plant) -> str | None:
    """Why nobody can have asked this artifact."""
    since, until = asked.answer.due, asked.answer.done
    if asked.ask.version not in {None, artifact.number}:
        return f"{artifact.stamp} answered instead of version {asked.ask.version}"
    if any(
        stay.artifact == artifact and stay.may_answer(since, until)
        for replica in plant.replicas
        for stay in replica.stays
    ):
        return None
    return f"{artifact.stamp} answered, which no server had"


def _lateness(asked: Asked, artifact: Artifact, plant: Plant) -> tuple[str, str]:
    """A label may have been looked up a moment ago, but never have stood for something else."""
    label, since, until = asked.ask.label, asked.answer.due, asked.answer.done
    signs = [
        sign
        for replica in plant.replicas
        for sign in replica.signs
        if (sign.label, sign.number) == (label, artifact.number) and sign.begun <= until
    ]
    if label is None or any(since <= sign.ended for sign in signs):
        return "", ""
    if not signs:
        return "mixed", f"{artifact.stamp} answered for {label}, which never stood for it"
    age = since - max(sign.ended for sign in signs)
    return "late", f"{artifact.stamp} answered for {label} {age:.1f} s after it moved"


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
