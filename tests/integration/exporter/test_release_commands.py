"""label, rollback and prune on a real model server that reads their file."""

import json
import shutil
from contextlib import ExitStack

import pytest
from typer.testing import CliRunner

from exporter.cli.app import create_app
from exporter.errors import FailedError, UsageError
from exporter.release import models_config, republish
from exporter.store import version_numbers
from tests.support import fixture_models
from tests.support.model_server import running_model_server
from tests.support.processes import free_ports, wait_until

pytestmark = pytest.mark.slow

CONFIG = """# Mine.
model_config_list {{
  config {{
    name: "m"
    base_path: "{path}"
    model_platform: "tensorflow"
    {rest}
  }}
}}
"""
STABLE = """version_labels { key: 'stable' value: 1 }
    model_version_policy { specific { versions: 1 } }"""


def cli(*arguments, **options):
    return CliRunner().invoke(create_app(), [str(argument) for argument in arguments], **options)


def said(*arguments):
    result = cli(*arguments, "--json")
    assert result.exit_code == 0, (result.exception, result.output)
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def built(tmp_path_factory, worker_id):
    return fixture_models.shared(tmp_path_factory, worker_id)


@pytest.fixture
def models(built, tmp_path):
    """Versions 1 and 2 that load, 3 that does not."""
    for number in (1, 2):
        shutil.copytree(built / "m" / str(number), tmp_path / "models" / "m" / str(number))
    (tmp_path / "models" / "m" / "3").mkdir()
    return tmp_path / "models"


@pytest.fixture
def config(models, tmp_path):
    path = tmp_path / "models.config"

    def write(rest):
        path.write_text(CONFIG.format(path=models / "m", rest=rest))
        return path

    return write


def entry(path):
    found = models_config.find(path.read_text(), "m")
    return str(found.policy), dict(found.labels)


@pytest.fixture
def served(tmp_path):
    """Starts a server that looks at the file every second and tries to load once."""
    with ExitStack() as stack:

        def serve(path):
            flags = (
                f"--model_config_file={path}",
                "--model_config_file_poll_wait_seconds=1",
                "--file_system_poll_wait_seconds=1",
                "--max_num_load_retries=0",
            )
            server = stack.enter_context(running_model_server(tmp_path, *flags))
            return server.url("grpc")

        yield serve


def test_a_label_moves_in_three_steps_and_a_broken_version_moves_nothing(config, served):
    path = config(STABLE)
    url = served(path)
    common = ("--config", path, "--model-server", url)
    facts = said("label", "m", "stable=2", "canary=2", *common)
    assert [each["step"] for each in facts["done"]] == ["load", "label", "unload"]
    assert facts["is_complete"]
    assert entry(path) == ("specific { versions: 2 }", {"stable": 2, "canary": 2})
    before = path.read_text()
    assert before.startswith("# Mine.\n")
    result = cli("label", "m", "stable=3", *common)
    assert isinstance(result.exception, FailedError)
    assert "version 3 does not load" in str(result.exception)
    assert path.read_text() == before
    facts = said("rollback", "m", *common)
    assert (facts["way"], facts["from"], facts["to"], facts["version"]) == ("label", 2, 1, 1)
    assert entry(path) == ("specific { versions: 1 versions: 2 }", {"stable": 1, "canary": 2})


def test_a_pin_and_its_end(config, models, served):
    shutil.rmtree(models / "m" / "3")
    path = config("model_version_policy { latest { num_versions: 1 } }")
    url = served(path)
    common = ("--config", path, "--model-server", url)
    facts = said("rollback", "m", "--pin", *common)
    assert (facts["way"], facts["from"], facts["to"]) == ("policy", 2, 1)
    assert entry(path) == ("specific { versions: 1 }", {})
    assert said("rollback", "m", "--to", "latest", *common)["is_complete"]
    assert entry(path) == ("latest { num_versions: 1 }", {})


def test_without_a_model_server_the_first_step_is_taken_and_the_next_is_told(config):
    path = config(STABLE)
    arguments = ("label", "m", "stable=2", "--config", path)
    first = said(*arguments)
    assert ([each["step"] for each in first["done"]], first["is_complete"]) == (["load"], False)
    assert entry(path) == ("specific { versions: 1 versions: 2 }", {"stable": 1})
    second = said(*arguments)
    assert [each["step"] for each in second["pending"]] == ["unload"]
    result = cli("label", "m", "--unload", "1", "--config", path)
    assert "labels: stable=2" in result.stdout
    assert entry(path) == ("specific { versions: 2 }", {"stable": 2})
    text = cli("label", "m", "stable=1", "--config", path).stdout
    assert "go on with: label m stable=1" in text


def test_a_file_that_servers_read_at_their_start_is_changed_at_once(config):
    path = config(STABLE)
    said("label", "m", "stable=2", "--at-once", "--config", path)
    assert entry(path) == ("specific { versions: 2 }", {"stable": 2})


def test_labels_are_shown_when_none_is_given(config):
    path = config("version_labels { key: 'stable' value: 1 }")
    before = path.read_text()
    assert said("label", "m", "--config", path)["labels"] == {"stable": 1}
    shown = cli("label", "m", "--config", path).stdout
    assert shown.endswith("latest { num_versions: 1 }; labels: stable=1\n")
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("label", "m", "stable"), "LABEL=VERSION"),
        (("label", "m", "stable=x"), "LABEL=VERSION"),
        (("label", "m", "a=1", "a=2"), "given twice"),
        (("label", "m", "stable=9"), "has no version 9"),
        (("label", "other", "stable=1"), "does not name a model other"),
        (("rollback", "m", "--to", "x"), "a version's number"),
        (("rollback", "m", "--to", "9"), "no version 9"),
        (("rollback", "m", "--to", "2"), "the present one already"),
        (("rollback", "other"), "does not name a model other"),
    ],
)
def test_what_cannot_be_meant_changes_nothing(config, arguments, words):
    path = config("model_version_policy { specific { versions: 1 versions: 2 } }")
    before = path.read_text()
    result = cli(*arguments, "--config", path)
    assert isinstance(result.exception, UsageError)
    assert words in str(result.exception)
    assert path.read_text() == before


def test_where_the_highest_is_served_the_old_version_is_published_again(
    models, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # without a models.config
    facts = said("rollback", "m", "--base-path", models, "--to", "1")
    assert (facts["way"], facts["version"], facts["to"]) == ("republish", 4, 1)
    assert version_numbers.versions(models / "m") == [1, 2, 3, 4]
    lines = cli("rollback", "m", "--base-path", models, "--to", "2").stdout
    assert "back from version 4 to 2, published again as 5" in lines
    empty = cli("rollback", "none", "--base-path", models).exception
    assert "--pin --config" in str(empty)


def test_prune_spares_what_is_served_and_asks_before_it_deletes(config, models, served):
    shutil.rmtree(models / "m" / "3")
    path = config("model_version_policy { specific { versions: 1 } }")
    url = served(path)
    for _ in range(4):
        republish.republish(models / "m", 1)
    # no server takes this up, as 3 is not loaded
    config(STABLE.replace("1 }", "2 }", 2).replace("value: 2", "value: 3"))
    common = ("prune", "m", "--keep", "1", "--base-path", models, "--config", path)
    common += ("--model-server", url)
    dry = said(*common, "--dry-run")
    assert {row["version"]: row["kept"] for row in dry["versions"]} == {
        6: "among the newest",
        5: None,
        4: None,
        3: "label stable",
        2: "policy specific",
        1: "AVAILABLE",
    }
    assert all(row["size_bytes"] > 1000 for row in dry["versions"])
    assert (dry["removed"], version_numbers.versions(models / "m")) == ([], [1, 2, 3, 4, 5, 6])
    refused = cli(*common).exception
    assert "--yes" in str(refused)
    assert version_numbers.versions(models / "m") == [1, 2, 3, 4, 5, 6]
    assert said(*common, "--yes")["removed"] == [5, 4]
    assert version_numbers.versions(models / "m") == [1, 2, 3, 6]
    assert "nothing to delete" in cli(*common, "--yes").stdout


def test_prune_deletes_nothing_when_a_named_server_does_not_answer(models):
    (port,) = free_ports(1)
    result = cli(
        *("prune", "m", "--keep", "1", "--yes", "--base-path", models),
        *("--model-server", f"http://127.0.0.1:{port}"),
    )
    assert isinstance(result.exception, FailedError)
    assert "nothing is deleted" in str(result.exception)
    assert version_numbers.versions(models / "m") == [1, 2, 3]


def test_quarantine_lets_a_server_start_that_a_broken_version_would_stop(config, models, tmp_path):
    """Version 3 does not load. A server that starts beside it opens no port."""
    path = config("model_version_policy { latest { num_versions: 1 } }")
    quarantine = ("quarantine", "m", 3, "--base-path", models, "--config", path)
    flags = (
        *(f"--model_config_file={path}", "--max_num_load_retries=0"),
        "--file_system_poll_wait_seconds=1",
    )
    with running_model_server(tmp_path, *flags, is_awaited=False) as server:
        wait_until(lambda: "does not appear to contain a SavedModel" in server.output)
        assert not server.is_listening
        done = said(*quarantine)
        assert (done["versions"], done["quarantined"]) == ([1, 2], [3])
        wait_until(lambda: server.is_listening)
    with running_model_server(tmp_path, *flags):
        pass  # it comes up beside the version in quarantine
    assert said(*quarantine, "--back")["path"] == str(models / "m" / "3")
    assert version_numbers.versions(models / "m") == [1, 2, 3]


@pytest.mark.parametrize(
    ("policy", "arguments", "why"),
    [
        ("", ("m", 7), "m has no version 7; there: 1, 2, 3"),
        ("", ("nothing", 1), "nothing has no version 1; there: none"),
        ("", ("m", 1, "--back"), "m has no version 1; in quarantine: none"),
        (STABLE, ("m", 1), "names version 1 of m (specific { versions: 1 })"),
    ],
)
def test_quarantine_refuses_what_is_not_there_and_what_the_file_names(
    config, models, policy, arguments, why
):
    result = cli(
        *("quarantine", *arguments, "--base-path", models, "--config", config(policy)),
    )
    assert isinstance(result.exception, UsageError)
    assert why in str(result.exception)
    assert sorted(path.name for path in models.rglob("m/*")) == ["1", "2", "3"]
    assert not (models / "nothing").exists()


def test_quarantine_takes_the_last_version_only_if_it_is_meant(config, models):
    for number in (1, 2):
        shutil.rmtree(models / "m" / str(number))
    common = ("quarantine", "m", 3, "--base-path", models, "--config", config(""))
    assert "--even-the-last" in str(cli(*common).exception)
    assert version_numbers.versions(models / "m") == [3]
    assert said(*common, "--even-the-last")["versions"] == []
