"""In which order a model's entry in `models.config` has to change: pure functions.

TensorFlow Serving refuses a config as a whole if one of its labels names a version that is not
AVAILABLE, and a version that goes while its label still points there takes answers with it:

    load ──all wanted are AVAILABLE──► label ──labels have moved──► unload
    policy, with new versions          labels                       policy, less what lost its label
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from exporter.errors import UsageError
from exporter.release.models_config import Entry, Policy

Kind = Literal["load", "label", "unload"]

Labels = Mapping[str, int | None]
"""New version by label; None takes the label away."""


@dataclass(frozen=True, slots=True)
class Step:
    """One change of the file."""

    kind: Kind
    entry: Entry
    versions: frozenset[int]
    """Those that are loaded or unloaded by it, or named by its labels."""

    def __str__(self) -> str:
        numbers = ", ".join(map(str, sorted(self.versions)))
        if self.kind != "label":
            return f"{self.kind} version {numbers}"
        labels = [f"{label}={version}" for label, version in sorted(self.entry.labels.items())]
        return f"set the labels {', '.join(labels)}" if labels else "take all labels away"


def label_steps(
    entry: Entry,
    served: frozenset[int],
    wanted: Labels,
    *,
    unload: frozenset[int] = frozenset(),
    keeps_loaded: bool = False,
) -> list[Step]:
    """The steps from an entry to one with other labels; none if nothing changes.

    Args:
        entry: as it is.
        served: the versions that its policy stands for now.
        wanted: labels to set, move or take away.
        unload: versions without a label that are to go too.
        keeps_loaded: leave loaded what loses its last label.

    Raises:
        UsageError: one of `unload` has a label, or no version would be left.
    """
    labels = {**entry.labels, **wanted}
    after = {label: version for label, version in labels.items() if version is not None}
    named = frozenset(after.values())
    lost = frozenset() if keeps_loaded else frozenset(entry.labels.values()) - named
    if conflict := unload & named:
        raise UsageError(f"version {min(conflict)} has a label: move the label first")
    policies = _policies(entry, served, named, (lost | unload) & (served | named))
    loading, final = policies
    steps = []
    if loading != entry.policy:
        entry = replace(entry, policy=loading)
        steps.append(Step("load", entry, loading.versions - served))
    if after != entry.labels:
        entry = replace(entry, labels=after)
        steps.append(Step("label", entry, named))
    if final != loading:
        entry = replace(entry, policy=final)
        steps.append(Step("unload", entry, loading.versions - final.versions))
    return steps


def _policies(
    entry: Entry, served: frozenset[int], named: frozenset[int], gone: frozenset[int]
) -> tuple[Policy, Policy]:
    """The policy while labels move, and the one afterwards."""
    is_specific = entry.policy.kind == "specific"
    if entry.policy.kind == "all" or not (is_specific or named):
        return entry.policy, entry.policy  # everything is loaded, or nothing names a version
    # `latest` forgets a version when a newer one is published, and its label would be refused
    loading = (entry.policy.versions if is_specific else served) | named
    kept = loading - gone
    if not kept:
        kept = frozenset({max(loading)})
    return Policy.specific(loading), Policy.specific(kept)


def pinned(entry: Entry, version: int) -> Entry:
    """The entry with that version and none above it, for requests that name no version."""
    kept = {number for number in entry.policy.versions if number < version}
    labelled = {number for number in entry.labels.values() if number > version}
    if labelled:
        raise UsageError(
            f"version {min(labelled)} has a label, and requests that name no version would still "
            "be answered by it: move the label first"
        )
    return replace(entry, policy=Policy.specific(frozenset({*kept, version})))
