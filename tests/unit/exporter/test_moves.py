"""Each change of the file waits for what the one before has to bring about."""

import pytest

from exporter.errors import FailedError
from exporter.progress import SilentReporter
from exporter.release import config_file, models_config
from exporter.release.moves import SETTLE_SECONDS, carry_out
from exporter.release.plan import label_steps

TEXT = """model_config_list { config {
  name: "m" base_path: "/m" model_platform: "tensorflow"
  model_version_policy { specific { versions: 1 } }
  version_labels { key: "stable" value: 1 }
} }
"""


class Recorder:
    """Stands for a model server: notes what is waited for, and what the file says meanwhile."""

    def __init__(self, path, broken=()):
        self.path, self.broken, self.seen = path, set(broken), []

    def note(self, what):
        entry = models_config.find(self.path.read_text(), "m")
        self.seen.append((what, sorted(entry.policy.versions), dict(entry.labels)))

    def until_available(self, versions):
        self.note(f"available {sorted(versions)}")
        if self.broken & set(versions):
            raise FailedError("version 2 does not load")

    def until_labelled(self, labels):
        self.note(f"labelled {labels}")

    def until_gone(self, versions):
        self.note(f"gone {sorted(versions)}")

    def sleep(self, seconds):
        self.note(f"sleep {seconds}")


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "models.config"
    file.write_text(TEXT)
    return file


def move(path, watch, **wanted):
    with config_file.locked(path, lambda: None) as file:
        entry = models_config.find(file.read(), "m")
        steps = label_steps(entry, entry.policy.versions, wanted)
        return carry_out(
            file, "m", steps, wanted, watch, SilentReporter(), sleep=getattr(watch, "sleep", None)
        )


def test_the_file_says_at_each_wait_what_that_wait_is_for(path):
    watch = Recorder(path)
    assert not move(path, watch, stable=2).pending
    assert watch.seen == [
        ("available [2]", [1, 2], {"stable": 1}),
        ("available [2]", [1, 2], {"stable": 1}),
        ("labelled {'stable': 2}", [1, 2], {"stable": 2}),
        (f"sleep {SETTLE_SECONDS}", [1, 2], {"stable": 2}),
        ("gone [1]", [2], {"stable": 2}),
    ]


def test_a_label_that_goes_is_waited_for_as_well(path):
    path.write_text(TEXT.replace("versions: 1 ", "versions: 1 versions: 2 ").replace(
        "}\n} }", '}\n  version_labels { key: "canary" value: 2 }\n} }'
    ))  # fmt: skip
    watch = Recorder(path)
    move(path, watch, canary=None)
    assert watch.seen[1] == ("labelled {'canary': None}", [1, 2], {"stable": 1})
    assert watch.seen[-1] == ("gone [2]", [1], {"stable": 1})


def test_a_version_that_does_not_load_leaves_the_file_as_it_was(path):
    with pytest.raises(FailedError, match=r"does not load; .*models\.config is as it was"):
        move(path, Recorder(path, broken=[2]), stable=2)
    assert path.read_text() == TEXT


def test_without_a_model_server_only_the_first_change_is_made(path):
    moved = move(path, None, stable=2)
    assert [step.kind for step in moved.done] == ["load"]
    assert [step.kind for step in moved.pending] == ["label", "unload"]
