"""What the manager does next, as a table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.models import State
from serving.core.policy import (
    ForgetVersion,
    LoadVersion,
    UnloadVersion,
    VersionPolicy,
    VersionPolicyKind,
    VersionSnapshot,
    aspired_versions,
    next_action,
)

NEW, LOADING, READY, LEAVING, ENDED = (
    State.START,
    State.LOADING,
    State.AVAILABLE,
    State.UNLOADING,
    State.END,
)


def held(*versions):
    """(version, state, is_aspired) for each."""
    return [VersionSnapshot(*version) for version in versions]


@pytest.mark.parametrize(
    ("case", "versions", "expected"),
    [
        ("nothing held", held(), None),
        ("first version", held((1, NEW, True)), LoadVersion(1)),
        ("the highest loads first", held((1, NEW, True), (3, NEW, True)), LoadVersion(3)),
        ("one at a time", held((1, LOADING, True), (2, NEW, True)), None),
        ("old stays while new loads", held((1, READY, False), (2, LOADING, True)), None),
        ("new loads beside old", held((1, READY, False), (2, NEW, True)), LoadVersion(2)),
        ("old goes once new answers", held((1, READY, False), (2, READY, True)), UnloadVersion(1)),
        ("old stays if new failed", held((1, READY, False), (2, ENDED, True)), None),
        ("a failed one is not tried again", held((2, ENDED, True)), None),
        ("nothing aspired any more", held((1, READY, False)), UnloadVersion(1)),
        (
            "the lowest goes first",
            held((1, READY, False), (2, READY, False), (3, READY, True)),
            UnloadVersion(1),
        ),
        (
            "of two old ones one goes before new loads",
            held((1, READY, False), (2, READY, False), (3, NEW, True)),
            UnloadVersion(1),
        ),
        (
            "of two old ones one goes though new failed",
            held((1, READY, False), (2, READY, False), (3, ENDED, True)),
            UnloadVersion(1),
        ),
        ("wait for an unload", held((1, LEAVING, False), (2, NEW, True)), None),
        (
            "unload before another load",
            held((1, READY, False), (2, READY, True), (3, NEW, True)),
            UnloadVersion(1),
        ),
        ("ended and unaspired", held((1, ENDED, False), (2, READY, True)), ForgetVersion(1)),
        (
            "forget even while loading",
            held((1, ENDED, False), (2, LOADING, True)),
            ForgetVersion(1),
        ),
        (
            "unaspired before it loaded",
            held((1, NEW, False), (2, READY, True)),
            ForgetVersion(1),
        ),
    ],
)
def test_next_action(case, versions, expected):
    assert expected == next_action(versions), case


@given(
    st.lists(
        st.builds(
            VersionSnapshot, st.integers(1, 6), st.sampled_from([NEW, READY, ENDED]), st.booleans()
        ),
        max_size=6,
        unique_by=lambda snapshot: snapshot.version,
    )
)
def test_the_last_available_version_goes_only_when_nothing_is_aspired(versions):
    action = next_action(versions)
    if isinstance(action, UnloadVersion):
        left = [v for v in versions if v.state is READY and v.version != action.version]
        assert left or not any(v.is_aspired for v in versions)


@pytest.mark.parametrize(
    ("policy", "on_disk", "expected"),
    [
        (VersionPolicy(), [1, 3, 2], {3}),
        (VersionPolicy(), [], set()),
        (VersionPolicy(), [-4, -7], {-4}),
        (VersionPolicy(num_versions=2), [1, 3, 2], {3, 2}),
        (VersionPolicy(num_versions=9), [1, 3], {1, 3}),
        (VersionPolicy(VersionPolicyKind.ALL), [5, 1], {1, 5}),
        (
            VersionPolicy(VersionPolicyKind.SPECIFIC, versions=frozenset({1, 9})),
            [1, 2],
            {1},
        ),
    ],
)
def test_aspired_versions(policy, on_disk, expected):
    assert expected == aspired_versions(policy, on_disk)
