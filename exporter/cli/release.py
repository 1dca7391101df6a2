"""What the commands after publishing share: the config file, the model server, what they say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from exporter.cli.output import say
from exporter.cli.quiet import talking
from exporter.errors import UsageError
from exporter.proof.model_server import connect
from exporter.release import models_config
from exporter.release.config_file import ConfigFile
from exporter.release.models_config import Entry
from exporter.release.moves import Moved
from exporter.release.plan import Step
from exporter.release.watch import Watch
from exporter.store.version_numbers import versions

_STATUS_TIMEOUT_SECONDS = 5.0


@contextmanager
def watching(url: str | None, name: str, timeout_seconds: float) -> Iterator[Watch | None]:
    """A watch over the model at the URL, if there is one.

    Raises:
        UsageError: the URL is none.
    """
    if url is None:
        yield None
        return
    with connect(url, _STATUS_TIMEOUT_SECONDS) as client:
        yield Watch(client, name, timeout_seconds)


def entry_of(text: str, name: str, path: Path) -> Entry:
    """What the file says about the model.

    Raises:
        UsageError: nothing.
    """
    entry = models_config.find(text, name)
    if entry is None:
        raise UsageError(f"{path} does not name a model {name}; --config FILE names another file")
    return entry


def visible_folder(entry: Entry, name: str, base_path: Path | None) -> Path | None:
    """The model's versions, where this machine sees those that the model server serves.

    The file's path is the model server's, which may be a container's: then only `--base-path` says.
    """
    folder = Path(entry.base_path) if base_path is None else base_path / name
    return folder if versions(folder) else None


def served_versions(entry: Entry, folder: Path | None, watch: Watch | None) -> frozenset[int]:
    """The versions that the policy stands for now.

    Raises:
        UsageError: the policy does not name them, and there is nobody to ask.
        FailedError: the model server does not answer.
    """
    if entry.policy.kind == "specific":
        return entry.policy.versions
    if watch is not None:
        return watch.available()
    if folder is None:
        raise UsageError(
            f"the policy is {entry.policy}, and which versions that are cannot be seen from here; "
            "give --model-server URL or --base-path DIR"
        )
    found = versions(folder)
    return frozenset(found if entry.policy.kind == "all" else found[-entry.policy.num_versions :])


def require_versions(folder: Path | None, wanted: frozenset[int]) -> None:
    """Refuse versions that are not there, where that can be seen.

    Raises:
        UsageError: one is not.
    """
    if folder is None:
        return
    existing = versions(folder)
    if missing := wanted - frozenset(existing):
        listed = ", ".join(map(str, existing))
        raise UsageError(f"{folder} has no version {min(missing)}; there are: {listed}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done to a file, for people and programs."""

    file: ConfigFile
    name: str
    moved: Moved
    next_command: str
    """What does the rest, if anything is pending."""
    is_question: bool = False
    """Nothing was wanted but to know."""

    def as_json(self) -> dict[str, Any]:
        """Facts by name."""
        entry = entry_of(self.file.read(), self.name, self.file.path)
        return {
            "model": self.name,
            "config": str(self.file.path),
            "policy": str(entry.policy),
            "labels": dict(sorted(entry.labels.items())),
            "done": [_as_json(step) for step in self.moved.done],
            "pending": [_as_json(step) for step in self.moved.pending],
            "is_complete": not self.moved.pending,
            "at": datetime.now(UTC).isoformat(),
        }

    def show(self, *, as_json: bool) -> None:
        """Print it."""
        facts = self.as_json()
        if as_json:
            typer.echo(json.dumps(facts, indent=2))
            return
        labels = ", ".join(f"{label}={version}" for label, version in facts["labels"].items())
        lines = [f"{self.name} in {self.file.path}: {facts['policy']}; labels: {labels or 'none'}"]
        if not (self.moved.done or self.is_question):
            lines.append("nothing to do: it says so already")
        if self.moved.pending:
            rest = "; then ".join(map(str, self.moved.pending))
            lines += [
                f"not yet: {rest}",
                (
                    "the model server takes the file up at its next look (ten seconds); when the "
                    f"versions are AVAILABLE, go on with: {self.next_command}"
                ),
            ]
        say(talking(), *lines)


def _as_json(step: Step) -> dict[str, Any]:
    return {"step": step.kind, "versions": sorted(step.versions)}
