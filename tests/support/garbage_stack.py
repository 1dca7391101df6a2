"""A gateway process in front of a model server that can be told to answer nonsense, and healed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import numpy as np

from tests.support.broken_front import Front, front_of
from tests.support.fake_model_server import FakeModelServer, FakeVersion, running_fake
from tests.support.fake_rest import rest_face
from tests.support.garbage_kind import Garbage
from tests.support.gateway import client_for
from tests.support.pictures import encoded
from tests.support.processes import ROOT
from tests.support.stack import Gateway, gateway

PATIENCE_MS = 1500
"""What a request may take; a model server that is silent takes all of it."""
HEALED_SECONDS = 30
"""What is waited for a good answer; more than a second is a figure for the script."""
PAGES = ("/models", "/models/demo", "/readyz", "/healthz")
_NAMED = (502, 503, 504)
_FINE = (200, *_NAMED)
_PROBLEM = "application/problem+json"
_LOOKUPS = ("model_card", "metadata")
_UNSEEN_LOGS = ("internal-error", "never retrieved", "Unhandled", "Exception in")


@dataclass(frozen=True)
class Thrown:
    """What clients got while one kind of garbage was answered, and afterwards."""

    kind: Garbage
    answers: Sequence[tuple[str, int, bool]]
    """Path, status, whether it is a problem document."""
    seconds: float
    """What the photo took."""
    healed_seconds: float
    """From the healing to a photo that is 200."""
    logged: str
    """Of the log since the kind began: what must not be there."""

    @property
    def faults(self) -> list[str]:
        """What is wrong with the answers: nothing may be the gateway's own failure."""
        found = [f"{path} {status}" for path, status, _ in self.answers if status not in _FINE]
        found += [
            f"{path} {status} is no problem document"
            for path, status, is_problem in self.answers
            if status >= 400 and not is_problem
        ]
        _, photo, _ = self.answers[0]
        if self.kind.question != "status" and photo not in _NAMED:
            found.append(f"the photo is {photo}")
        return found + ([f"logged: {self.logged}"] if self.logged else [])


@dataclass
class GarbageStack:
    """The gateway, what it asks, and what breaks on the way."""

    fake: FakeModelServer
    front: Front
    made: Gateway
    client: httpx.Client
    protocol: str
    photo: bytes

    def classify(self) -> httpx.Response:
        headers = {"Content-Type": "image/png", "X-Request-Timeout-Ms": str(PATIENCE_MS)}
        return self.client.post("/classify", content=self.photo, headers=headers)

    def throw(self, kind: Garbage, pages: Sequence[str] = PAGES) -> Thrown:
        """Answer garbage, ask for a photo and the pages, heal, and wait for a good answer."""
        seen = len(self.made.process.output)
        self._begin(kind)
        started_at = time.monotonic()
        answers = [_noted("/classify", self.classify)]
        seconds = time.monotonic() - started_at
        answers += [_noted(path, partial(self.client.get, path)) for path in pages]
        self._heal()
        healed_at = time.monotonic()
        while _noted("/classify", self.classify)[1] != 200 and not self._is_late(healed_at):
            time.sleep(0.05)
        healed_seconds = time.monotonic() - healed_at
        lines = self.made.process.output[seen:].splitlines()
        logged = [_short(line) for line in lines if any(each in line for each in _UNSEEN_LOGS)]
        if self._is_late(healed_at):
            logged.append(f"(nothing: the photo is not 200 within {HEALED_SECONDS} s)")
        return Thrown(kind, answers, seconds, healed_seconds, "\n".join(logged)[:2000])

    @staticmethod
    def _is_late(healed_at: float) -> bool:
        return time.monotonic() - healed_at > HEALED_SECONDS

    def _begin(self, kind: Garbage) -> None:
        if kind.question in _LOOKUPS:  # what is known already is not asked for again
            self.fake.models["demo"] = {max(self.fake.models["demo"]) + 1: FakeVersion()}
        self.fake.garbage = kind
        how = kind.grpc_break if self.protocol == "grpc" else kind.rest_break
        if how is not None:
            self.front.break_with(how)

    def _heal(self) -> None:
        self.fake.garbage = None
        if self.front.is_broken:
            self.front.break_with(None)


def _short(line: str) -> str:
    """The event, and the last line of the traceback."""
    try:
        event = json.loads(line)
    except ValueError:
        return line
    return f"{event.get('problem')} {event.get('exception', '').strip().rpartition(chr(10))[2]}"


def _noted(path: str, ask: Callable[[], httpx.Response]) -> tuple[str, int, bool]:
    """The status, 0 where there is no answer at all."""
    try:
        response = ask()
    except httpx.TransportError:
        return path, 0, False
    is_problem = response.headers.get("Content-Type", "").startswith(_PROBLEM)
    return path, response.status_code, is_problem


@contextmanager
def garbage_stack(
    protocol: str, log: Path, *, tree: Path = ROOT, is_pair: bool = False
) -> Iterator[GarbageStack]:
    """A stack over "grpc" or "rest" with the gateway of `tree`.

    One of a pair of addresses has no front: it is not broken with the other.
    """
    with running_fake(demo={1: FakeVersion()}) as fake, rest_face(fake) as rest_url:
        port = fake.port if protocol == "grpc" else int(rest_url.rpartition(":")[2])
        scheme = "grpc" if protocol == "grpc" else "http"
        with front_of(port) as front:
            ports = (front.port, port) if is_pair else (front.port,)
            url = ",".join(f"{scheme}://127.0.0.1:{each}" for each in ports)
            environment = {"GATEWAY_LOG_FORMAT": "json", "GATEWAY_HOST": "127.0.0.1"}
            with (
                gateway(url, "demo", log, folder=tree, **environment) as made,
                client_for(made.url) as client,
            ):
                photo = encoded(np.full((60, 80, 3), 200, np.uint8))
                yield GarbageStack(fake, front, made, client, protocol, photo)
