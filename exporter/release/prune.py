"""Which old versions may go: never the newest few, one with a label, or one that is served."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from exporter.release.models_config import Entry
from protocol.models import State, VersionStatus


@dataclass(frozen=True, slots=True)
class Pruning:
    """What stays and why, and what goes."""

    kept: dict[int, str]
    removed: tuple[int, ...]


def plan(
    versions: Iterable[int],
    keep: int,
    *,
    entry: Entry | None,
    statuses: Iterable[VersionStatus] = (),
) -> Pruning:
    """Decide.

    Args:
        versions: those on disk.
        keep: how many of the newest stay in any case, at least 1.
        entry: what `models.config` says about the model; None: nothing.
        statuses: what the model server says about it.
    """
    newest_first = sorted(versions, reverse=True)
    kept: dict[int, str] = {}
    for status in statuses:
        if status.state is not State.END:
            kept[status.version] = status.state.name
    if entry is not None:
        for label, version in sorted(entry.labels.items()):
            kept.setdefault(version, f"label {label}")
        for version in _in_policy(entry, newest_first):
            kept.setdefault(version, f"policy {entry.policy.kind}")
    for version in newest_first[:keep]:
        kept.setdefault(version, "among the newest")
    present = {version: kept[version] for version in newest_first if version in kept}
    return Pruning(present, tuple(version for version in newest_first if version not in kept))


def _in_policy(entry: Entry, newest_first: list[int]) -> Iterable[int]:
    match entry.policy.kind:
        case "all":
            return newest_first
        case "specific":
            return entry.policy.versions
        case _:
            return newest_first[: entry.policy.num_versions]
