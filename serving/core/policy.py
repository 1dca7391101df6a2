"""What to do next with one model's versions: pure functions over a snapshot.

The availability-preserving rule: an old version goes only when a new one answers, when nothing is
aspired any more, or when another old one still answers. At most one action per model is under way,
so a version that keeps failing to load holds back every other change of its model until its retries
are spent (as TensorFlow Serving does with its default settings).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum

from protocol.models import State


@dataclass(frozen=True, slots=True)
class VersionSnapshot:
    """One version that the manager holds. `is_aspired`: its source still wants it served."""

    version: int
    state: State
    is_aspired: bool


@dataclass(frozen=True, slots=True)
class LoadVersion:
    """Start loading this version."""

    version: int


@dataclass(frozen=True, slots=True)
class UnloadVersion:
    """Stop giving this version out; free it once no request holds it."""

    version: int


@dataclass(frozen=True, slots=True)
class ForgetVersion:
    """Drop a version that is no longer aspired and ended, or never began to load.

    It may come back as a new one.
    """

    version: int


Action = LoadVersion | UnloadVersion | ForgetVersion

_BUSY = frozenset({State.LOADING, State.UNLOADING})
_IDLE = frozenset({State.START, State.END})


def next_action(versions: Collection[VersionSnapshot]) -> Action | None:
    """The one action that this snapshot calls for, or None when nothing is to be done now."""
    for snapshot in versions:
        if snapshot.state in _IDLE and not snapshot.is_aspired:
            return ForgetVersion(snapshot.version)
    if any(snapshot.state in _BUSY for snapshot in versions):
        return None
    return _unload(versions) or _load(versions)


def _unload(versions: Collection[VersionSnapshot]) -> Action | None:
    aspired = [snapshot for snapshot in versions if snapshot.is_aspired]
    is_covered = any(snapshot.state is State.AVAILABLE for snapshot in aspired)
    leaving = [
        snapshot.version
        for snapshot in versions
        if not snapshot.is_aspired and snapshot.state is State.AVAILABLE
    ]
    is_last = len(leaving) == 1 and aspired and not is_covered
    return UnloadVersion(min(leaving)) if leaving and not is_last else None


def _load(versions: Collection[VersionSnapshot]) -> Action | None:
    new = [
        snapshot.version
        for snapshot in versions
        if snapshot.is_aspired and snapshot.state is State.START
    ]
    return LoadVersion(max(new)) if new else None


class VersionPolicyKind(Enum):
    """Which versions on disk a model config asks for."""

    LATEST = "latest"
    ALL = "all"
    SPECIFIC = "specific"


@dataclass(frozen=True, slots=True)
class VersionPolicy:
    """`ServableVersionPolicy` of a model config; the default serves the single highest version."""

    kind: VersionPolicyKind = VersionPolicyKind.LATEST
    num_versions: int = 1
    versions: frozenset[int] = frozenset()


def aspired_versions(policy: VersionPolicy, on_disk: Iterable[int]) -> frozenset[int]:
    """The versions, of those on disk, that `policy` wants served."""
    present = sorted(set(on_disk), reverse=True)
    if policy.kind is VersionPolicyKind.ALL:
        return frozenset(present)
    if policy.kind is VersionPolicyKind.SPECIFIC:
        return policy.versions.intersection(present)
    return frozenset(present[: policy.num_versions])
