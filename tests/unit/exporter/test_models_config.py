"""One model's entry changes; what else a person wrote into the file stays."""

import os
import subprocess
import sys
from contextlib import suppress

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import FailedError, UsageError
from exporter.release import config_file, models_config
from exporter.release.models_config import Entry, Policy
from protocol.messages import config_pb2
from tests.support.processes import ROOT, wait_until

OURS = (ROOT / "models.config").read_text()
TWO = """\
# Ours.
model_config_list: {  # both
  config {
    name: "first" base_path: "/models/first"   model_platform: 'tensorflow'
    version_labels { key: "stable" value: 1 }
  };
  config {
    # the one that matters
    name: "second"
    base_path: "/models/second"
    model_platform: "tensorflow"
    model_version_policy { specific { versions: 3 versions: 4 } }  # two at a time
    version_labels { key: "stable" value: 3 }  # the good one
    version_labels < value: 4, key: 'canary' >
    a_field_of_tomorrow { depth: 2 [an.extension] { x: 1 } }
  }
}
"""


def specific(*versions):
    return Policy.specific(frozenset(versions))


def changed(text, name, policy, **labels):
    new = models_config.change(text, name, Entry(policy, labels))
    found = models_config.find(new, name)
    assert (found.policy, found.labels) == (policy, labels)
    return new


def test_an_entry_is_read_as_the_model_server_reads_it():
    assert models_config.find(TWO, "first") == Entry(Policy(), {"stable": 1}, "/models/first")
    second = models_config.find(TWO, "second")
    assert second == Entry(specific(3, 4), {"stable": 3, "canary": 4}, "/models/second")
    assert models_config.find(TWO, "third") is None
    assert models_config.find(OURS, "classifier").policy == Policy("latest", 1)


def test_only_the_changed_words_change():
    new = changed(TWO, "second", specific(4, 5), stable=4, canary=5)
    expected = (
        TWO.replace("specific { versions: 3 versions: 4 }", "specific { versions: 4 versions: 5 }")
        .replace('key: "stable" value: 3', 'key: "stable" value: 4')
        .replace("value: 4, key: 'canary'", "value: 5, key: 'canary'")
    )
    assert new == expected


def test_labels_come_and_go_with_their_lines():
    without = changed(TWO, "second", specific(3, 4), stable=3)
    assert without == TWO.replace("    version_labels < value: 4, key: 'canary' >\n", "")
    again = changed(without, "second", specific(3, 4), stable=3, canary=4)
    line = "    version_labels { key: 'canary' value: 4 }\n"
    assert again == without.replace("  # the good one\n", f"  # the good one\n{line}")


def test_a_first_label_and_policy_stand_below_the_rest():
    new = changed(OURS, "classifier", specific(1, 2), stable=1)
    policy = "    model_version_policy { specific { versions: 1 versions: 2 } }\n"
    assert policy + "    version_labels { key: 'stable' value: 1 }\n  }\n}\n" in new
    assert [line for line in OURS.splitlines() if "#" in line] == [
        line for line in new.splitlines() if "#" in line
    ]
    first = changed(TWO, "first", specific(1), stable=1)
    assert "value: 1 }\n    model_version_policy { specific { versions: 1 } }\n  };" in first


def test_a_file_on_one_line_stays_on_one_line():
    text = 'model_config_list { config { name: "m" base_path: "/m" model_platform: "tensorflow" } }'
    new = changed(text, "m", specific(1, 2), stable=1, canary=2)
    assert "\n" not in new
    assert changed(new, "m", Policy()).count("version_labels") == 0


def test_a_list_in_brackets_is_written_anew_below_its_header():
    text = """# Mine.
model_config_list { config: [ { name: "m" base_path: "/m" model_platform: "tensorflow" } ] }"""
    new = changed(text, "m", specific(2), stable=2)
    assert new.startswith("# Mine.\nmodel_config_list {\n")
    with pytest.raises(UsageError, match="not known here"):
        models_config.change(text.replace("name:", "novelty: 1 name:"), "m", Entry(specific(2)))


def test_text_that_is_no_config_is_a_failure():
    with pytest.raises(FailedError, match="no ModelServerConfig"):
        models_config.find("model_config_list {", "m")


LABELS = st.dictionaries(st.sampled_from(["stable", "canary", "a.b-c"]), st.integers(0, 2**60))
POLICIES = st.one_of(
    st.just(Policy("all")),
    st.builds(lambda n: Policy("latest", n), st.integers(1, 9)),
    st.frozensets(st.integers(1, 2**60), min_size=1).map(Policy.specific),
)
SEPARATORS = st.lists(st.sampled_from([" ", "\n", "  # } { note\n", "\t", "\n\n    "]), min_size=12)


@given(POLICIES, LABELS, POLICIES, LABELS, SEPARATORS)
def test_any_entry_becomes_any_other(policy, labels, new_policy, new_labels, spaces):
    pieces = [
        "model_config_list {", "config { name: 'other' version_labels { key: 'x' value: 9 } }",
        "config {", "name: 'm'", "base_path:", "'/m'", f"model_version_policy {{ {policy} }}",
        *(f"version_labels {{ key: '{key}' value: {number} }}" for key, number in labels.items()),
        "}", "}",
    ]  # fmt: skip
    text = "".join(
        piece + spaces[index % len(spaces)] + "\n" * (spaces[index % len(spaces)] == "")
        for index, piece in enumerate(pieces)
    )
    new = changed(text, "m", new_policy, **new_labels)
    assert new.count("# } { note") >= text.count("# } { note") - len(labels)
    other = text_format.Parse(new, config_pb2.ModelServerConfig()).model_config_list.config[0]
    assert dict(other.version_labels) == {"x": 9}


def locked(path):
    return config_file.locked(path, lambda: None)


def test_a_file_is_changed_in_place_through_links_and_keeps_its_mode(tmp_path):
    path, link = tmp_path / "models.config", tmp_path / "link"
    path.write_text(OURS)
    path.chmod(0o640)
    link.symlink_to(path)
    before = path.stat()
    for text in (OURS + "# longer, ö\n", "# short\n", "# short\n"):
        with locked(link) as file:
            file.write(text)
            assert file.read() == text
        assert path.read_text() == text
    after = path.stat()
    assert (before.st_ino, before.st_mode) == (after.st_ino, after.st_mode)


@pytest.mark.parametrize(
    ("call", "number"), [("pwrite", 1), ("pwrite", 5), ("pwrite", 20), ("ftruncate", 1)]
)
@pytest.mark.parametrize("names", [("long name of a model", "m"), ("m", "long name of a model")])
def test_whatever_dies_in_the_middle_leaves_the_old_or_the_new_text(
    tmp_path, monkeypatch, call, number, names
):
    old, new = (f'model_config_list {{ config {{ name: "{name}" }} }}\n' for name in names)
    path = tmp_path / "models.config"
    path.write_text(old)
    real, calls = getattr(os, call), []

    def dies(*arguments):
        calls.append(arguments)
        if len(calls) == number:
            raise KeyboardInterrupt
        return real(*arguments)

    with locked(path) as file:
        monkeypatch.setattr(os, call, dies)
        with suppress(KeyboardInterrupt):
            file.write(new)
        monkeypatch.undo()
    assert path.read_text().rstrip("\n") + "\n" in {old, new}


def test_a_full_disk_costs_nothing(tmp_path):
    path = tmp_path / "models.config"
    path.write_text(OURS)
    with locked(path) as file:
        resource_limit = len(OURS) + 10
        code = (
            "import os, resource, signal, sys; from pathlib import Path\n"
            "from exporter.release import config_file\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            f"resource.setrlimit(resource.RLIMIT_FSIZE, ({resource_limit}, {resource_limit}))\n"
            "path = Path(sys.argv[1])\n"
            "file = config_file.ConfigFile(path, os.open(path, os.O_RDWR))\n"
            "file.write('#' * 5000)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert "FailedError: cannot write" in done.stderr
        assert file.read() == OURS


def test_a_second_command_waits_for_the_first(tmp_path):
    path = tmp_path / "models.config"
    path.write_text("one")
    code = (
        "import sys; from pathlib import Path; from exporter.release import config_file\n"
        "with config_file.locked(Path(sys.argv[1]), lambda: print('waits', flush=True)) as file:\n"
        "    file.write(file.read() + ' three')\n"
    )
    with locked(path) as file:
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        with child.stdout as said:
            assert said.readline() == "waits\n"
            file.write("one two")
    assert child.wait(60) == 0
    wait_until(lambda: path.read_text() == "one two three")


def test_a_missing_file_says_which_option_names_another(tmp_path):
    with pytest.raises(UsageError, match="--config FILE"), locked(tmp_path / "none"):
        pass
    assert config_file.read(tmp_path / "none") is None
