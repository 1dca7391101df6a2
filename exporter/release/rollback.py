"""Which way back there is for a model, and which version lies there.

models.config names a label `stable`            move the label
models.config names versions (specific)         pin: those above go out of the policy
the highest number is served (latest, no file)  publish the old version again, as the highest
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from exporter.errors import ExporterError, FailedError, UsageError
from exporter.progress import Reporter
from exporter.release import republish
from exporter.release.config_file import ConfigFile
from exporter.release.models_config import Entry, Policy
from exporter.release.moves import carry_out, write_entry
from exporter.release.plan import Step, label_steps, pinned
from exporter.release.watch import Watch
from exporter.store.version_numbers import versions

Way = Literal["label", "policy", "republish"]

STABLE: Final = "stable"


@dataclass(frozen=True, slots=True)
class RolledBack:
    """What was done."""

    way: Way
    current: int
    """The version that was not wanted any more."""
    target: int
    version: int
    """The number under which the target is served: another one where it was published again."""
    pending: tuple[Step, ...] = ()
    """What has to wait for a model server that nobody named."""


@dataclass(frozen=True, slots=True)
class Governed:
    """A model that `models.config` decides about."""

    file: ConfigFile
    name: str
    entry: Entry
    folder: Path | None
    """Its versions, where this machine sees those that the model server serves."""
    served: frozenset[int]
    """The versions that its policy stands for."""


def way_of(entry: Entry | None, *, pins: bool) -> Way:
    """How a model is governed; `pins`: by the file, even if it says `latest` so far."""
    if entry is None:
        return "republish"
    if STABLE in entry.labels:
        return "label"
    return "policy" if pins or entry.policy.kind == "specific" or entry.labels else "republish"


def by_republishing(
    folder: Path, to: int | None, watch: Watch | None, report: Reporter
) -> RolledBack:
    """Publish the old version again, as the highest; wait for it where somebody can be asked.

    Raises:
        UsageError: there is no such version, or none before.
        RefusedError: its files are not as they were published.
        FailedError: it cannot be written, or does not load.
    """
    existing = versions(folder)
    if not existing:
        raise UsageError(
            f"there is no version below {folder}; name the folder of the models with --base-path, "
            "or pin by the model server's file: --pin --config FILE"
        )
    current = existing[-1]
    target = _target(folder, frozenset(existing), current, to)
    report.step(f"publishing version {target} again")
    version = int(republish.republish(folder, target).name)
    if watch is not None:
        report.step(f"waiting for version {version}")
        watch.until_available([version])
    return RolledBack("republish", current, target, version)


def by_label(model: Governed, to: int | None, watch: Watch | None, report: Reporter) -> RolledBack:
    """Move the label stable.

    Raises:
        ExporterError: as `by_republishing`.
    """
    current = model.entry.labels[STABLE]
    target = _target(model.folder, model.served, current, to)
    wanted = {STABLE: target}
    steps = label_steps(model.entry, model.served, wanted)
    moved = carry_out(model.file, model.name, steps, wanted, watch, report)
    return RolledBack("label", current, target, target, moved.pending)


def by_policy(model: Governed, to: int | None, watch: Watch | None, report: Reporter) -> RolledBack:
    """Pin the version: one change, as a model server drops the last one only for another.

    Raises:
        ExporterError: as `by_republishing`.
    """
    file, served = model.file, model.served
    if not served:
        raise UsageError("no version is served: there is nothing to roll back from")
    current = max(served)
    target = _target(model.folder, served, current, to)
    before = file.read()
    after = pinned(model.entry, target)
    report.step(f"pinning version {target}")
    write_entry(file, model.name, after)
    if watch is not None:
        report.step(f"waiting for version {target}")
        try:
            watch.until_available([target])
        except ExporterError as error:
            file.write(before)
            raise FailedError(f"{error}; {file.path} is as it was") from error
        watch.until_gone(served - after.policy.versions)
    return RolledBack("policy", current, target, target)


def unpin(file: ConfigFile, name: str, entry: Entry) -> None:
    """Serve the highest version again, whichever it is.

    Raises:
        UsageError: labels name versions, which `latest` would forget.
    """
    if entry.labels:
        raise UsageError("--to latest: labels name versions; take them away first: label NAME L=")
    write_entry(file, name, replace(entry, policy=Policy()))


def _target(folder: Path | None, served: frozenset[int], current: int, to: int | None) -> int:
    target = _before(folder, served, current) if to is None else to
    if target == current:
        raise UsageError(f"version {current} is the present one already")
    if folder is not None:
        republish.require_unchanged(folder, target)
    return target


def _before(folder: Path | None, served: frozenset[int], current: int) -> int:
    if folder is not None:
        return republish.before(folder, current)
    older = [number for number in served if number < current]
    if not older:
        raise UsageError(
            f"which version was before {current} cannot be seen from here; say --to VERSION"
        )
    return max(older)
