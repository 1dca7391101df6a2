"""The order of the changes, what may be pruned, and which version was before."""

import json

import pytest

from exporter.errors import RefusedError, UsageError
from exporter.release import prune, republish
from exporter.release.models_config import Entry, Policy
from exporter.release.plan import label_steps, pinned
from exporter.store import manifest, publish, version_numbers
from protocol.codes import Code
from protocol.models import State, VersionStatus

LATEST = Policy()


def specific(*versions):
    return Policy.specific(frozenset(versions))


def steps(entry, wanted, served=(), **options):
    found = label_steps(entry, frozenset(served or entry.policy.versions), wanted, **options)
    return [(step.kind, step.entry.policy, dict(step.entry.labels)) for step in found]


def test_a_canary_is_loaded_before_its_label_is_written():
    entry = Entry(specific(3), {"stable": 3})
    both = specific(3, 4)
    assert steps(entry, {"canary": 4}) == [
        ("load", both, {"stable": 3}),
        ("label", both, {"stable": 3, "canary": 4}),
    ]


def test_a_version_goes_after_its_label():
    entry = Entry(specific(3, 4), {"stable": 3, "canary": 4})
    assert steps(entry, {"canary": None}) == [
        ("label", specific(3, 4), {"stable": 3}),
        ("unload", specific(3), {"stable": 3}),
    ]
    assert steps(entry, {"stable": 4})[-1] == ("unload", specific(4), {"stable": 4, "canary": 4})
    assert [kind for kind, *_ in steps(entry, {"stable": 4}, keeps_loaded=True)] == ["label"]


def test_a_move_to_an_unloaded_version_takes_all_three_steps():
    entry = Entry(specific(3, 4), {"stable": 4})
    assert steps(entry, {"stable": 2}) == [
        ("load", specific(2, 3, 4), {"stable": 4}),
        ("label", specific(2, 3, 4), {"stable": 2}),
        ("unload", specific(2, 3), {"stable": 2}),
    ]


def test_latest_becomes_specific_with_what_it_serves():
    # a label on a version that `latest` has dropped would have the whole config refused
    assert steps(Entry(LATEST, {}), {"stable": 3}, served=[4]) == [
        ("load", specific(3, 4), {}),
        ("label", specific(3, 4), {"stable": 3}),
    ]
    assert steps(Entry(LATEST, {}), {"stable": 4}, served=[4])[0] == ("load", specific(4), {})


def test_all_needs_no_other_policy():
    entry = Entry(Policy("all"), {"stable": 1})
    assert steps(entry, {"stable": 2}, served=[1, 2]) == [("label", Policy("all"), {"stable": 2})]


def test_nothing_changes_where_it_says_so_already():
    assert steps(Entry(specific(3), {"stable": 3}), {"stable": 3}) == []
    assert steps(Entry(specific(3), {"stable": 3}), {"canary": None}) == []
    assert steps(Entry(LATEST, {}), {"canary": None}, served=[4]) == []


def test_the_last_version_stays_when_its_label_goes():
    entry = Entry(specific(3), {"stable": 3})
    assert steps(entry, {"stable": None}) == [("label", specific(3), {})]


def test_a_version_without_a_label_is_unloaded_when_asked():
    entry = Entry(specific(2, 3), {"stable": 3})
    assert steps(entry, {}, unload=frozenset({2})) == [("unload", specific(3), {"stable": 3})]
    with pytest.raises(UsageError, match="version 3 has a label"):
        steps(entry, {}, unload=frozenset({3}))


def test_a_pin_takes_away_what_is_above_and_nothing_that_has_a_label():
    assert pinned(Entry(specific(1, 3, 4), {}), 3).policy == specific(1, 3)
    assert pinned(Entry(LATEST, {}), 3).policy == specific(3)
    with pytest.raises(UsageError, match="version 4 has a label"):
        pinned(Entry(specific(3, 4), {"canary": 4}), 3)


def status(version, state):
    return VersionStatus(version, state, Code.OK, "")


def test_prune_keeps_what_is_new_labelled_pinned_or_served():
    entry = Entry(specific(2, 9), {"stable": 1})
    served = [status(4, State.LOADING), status(5, State.END), status(77, State.AVAILABLE)]
    found = prune.plan([7, 5, 1, 2, 3, 4, 6], 2, entry=entry, statuses=served)
    assert found.removed == (5, 3)
    assert found.kept == {
        7: "among the newest",
        6: "among the newest",
        4: "LOADING",
        2: "policy specific",
        1: "label stable",
    }


@pytest.mark.parametrize(
    ("policy", "removed"), [(None, (3, 2, 1)), (Policy("latest", 3), (1,)), (Policy("all"), ())]
)
def test_prune_keeps_what_the_policy_may_ask_for(policy, removed):
    entry = None if policy is None else Entry(policy, {})
    assert prune.plan([1, 2, 3, 4], 1, entry=entry).removed == removed


def published(model_path, content):
    with publish.staging(model_path) as staged:
        (staged.version_path / "assets.extra").mkdir(parents=True)
        (staged.version_path / "saved_model.pb").write_text(content)
        manifest.write(staged.version_path)
        return staged.publish()


@pytest.fixture
def model_path(tmp_path):
    for content in ("one", "two", "three"):
        published(tmp_path / "m", content)
    return tmp_path / "m"


def test_an_old_version_is_published_again_as_the_same_files(model_path):
    assert republish.before(model_path, 3) == 2
    new = republish.republish(model_path, 2)
    assert new.name == "4"
    graph, old = new / "saved_model.pb", model_path / "2" / "saved_model.pb"
    assert graph.read_text() == "two"
    assert graph.stat().st_ino == old.stat().st_ino
    assert manifest.differences(new) == manifest.differences(model_path / "2") == []
    assert json.loads((new / manifest.REPUBLISHED_FILE).read_text())["republished_version"] == 2
    assert not (model_path / "2" / manifest.REPUBLISHED_FILE).exists()


def test_the_version_before_a_copy_is_the_one_before_its_original(model_path):
    republish.republish(model_path, 2)
    assert republish.before(model_path, 4) == 1
    republish.republish(model_path, 4)  # a copy of the copy
    assert republish.origin(model_path, 5) == 2
    assert json.loads((model_path / "4" / manifest.REPUBLISHED_FILE).read_text()) != json.loads(
        (model_path / "5" / manifest.REPUBLISHED_FILE).read_text()
    )
    with pytest.raises(UsageError, match="no version of m before 1"):
        republish.before(model_path, 1)


def test_files_are_copied_where_links_are_not_possible(model_path, monkeypatch):
    def refuse(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    new = republish.republish(model_path, 1)
    assert (new / "saved_model.pb").read_text() == "one"


def test_a_changed_version_is_not_gone_back_to(model_path):
    (model_path / "2" / "saved_model.pb").write_text("TWO")
    with pytest.raises(RefusedError, match=r"changed: saved_model\.pb") as refused:
        republish.republish(model_path, 2)
    assert refused.value.step == "manifest"
    assert version_numbers.versions(model_path) == [1, 2, 3]


def test_a_removed_version_is_hidden_before_it_is_deleted(model_path, monkeypatch):
    seen = []
    real = publish.shutil.rmtree

    def rmtree(path, *arguments, **options):
        seen.append((path.name[0], version_numbers.versions(model_path)))
        real(path, *arguments, **options)

    (model_path / ".removed-of-a-dead-process").mkdir()
    monkeypatch.setattr(publish.shutil, "rmtree", rmtree)
    publish.remove(model_path, 2)
    assert seen == [(".", [1, 3])] * 2
    assert sorted(path.name for path in model_path.iterdir()) == ["1", "3"]
    with pytest.raises(UsageError, match="no version 2"):
        publish.remove(model_path, 2)
