"""`tune` with real model servers and gateways, on a tiny model and with little time."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from contract import signatures as names
from exporter.cli.app import create_app
from exporter.openvino import files
from exporter.progress import SilentReporter
from exporter.proof import goldens
from exporter.proof.model_server_process import embedded_command, running_model_server
from exporter.settings import Settings
from protocol.blocking import BlockingClient
from protocol.models import ModelSpec
from tests.support.processes import ROOT, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),  # each search starts a dozen servers
]

SHORT = ("--seconds", "1", "--engine", "tensorflow")


def tune(exported, output, *options):
    words = ["tune", "tiny", "--base-path", exported.base_path, "--output", output, *options]
    return CliRunner().invoke(create_app(), [str(word) for word in words])


@pytest.fixture(scope="module")
def tuned(exported, tmp_path_factory):
    """What a short search within an easy target says and leaves."""
    folder = tmp_path_factory.mktemp("out") / "tuned"
    return tune(exported, folder, "--p99", "20s", "--json", *SHORT), folder


@pytest.fixture(scope="module")
def for_both(tiny, tmp_path_factory):
    """A version for both engines."""
    from exporter.export import export  # noqa: PLC0415 - TensorFlow takes seconds to import
    from exporter.options import ExportOptions  # noqa: PLC0415 - as above
    from exporter.sources.keras_file import load_keras  # noqa: PLC0415 - as above

    pytest.importorskip("openvino")
    base_path = tmp_path_factory.mktemp("both")
    options = ExportOptions(name="tiny", base_path=base_path, parity_bound=1e-4, openvino="always")
    export(lambda _: load_keras(tiny[1]), options, Settings(max_batch_size=4), SilentReporter())
    return base_path


@pytest.fixture
def wrong(exported, tmp_path):
    """A copy of the version whose source is said to have answered otherwise."""
    path = tmp_path / "models" / "tiny" / "1"
    shutil.copytree(exported.path, path)
    with np.load(path / goldens.ARRAYS) as arrays:
        kept = dict(arrays)
    kept["probabilities"] = np.roll(kept["probabilities"], 1, axis=1)
    np.savez_compressed(path / goldens.ARRAYS, **kept)
    return tmp_path / "models"


class TestWhatIsWritten:
    def test_a_model_server_that_answers_starts_with_the_flags(self, tuned, exported):
        result, folder = tuned
        assert result.exit_code == 0, result.output
        flags = (folder / "model-server.flags").read_text().split()
        kept = goldens.read(exported.path)
        with (
            running_model_server(
                embedded_command(),
                exported.base_path / "tiny",
                "tiny",
                start_timeout_seconds=120,
                further_flags=flags,
            ) as endpoints,
            BlockingClient(endpoints.grpc_url, timeout_seconds=60) as client,
        ):
            outputs = client.predict(ModelSpec("tiny"), names.IMAGES, kept.pixels).outputs
        assert np.abs(outputs[names.PROBABILITIES] - kept.probabilities).max() < 1e-4

    def test_a_gateway_takes_the_variables(self, tuned):
        from app.settings.gateway import load_settings  # noqa: PLC0415 - the exporter has no need

        _, folder = tuned
        lines = (folder / "gateway.env").read_text().splitlines()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (line.split("=") for line in lines):
                patch.setenv(name, value)
            assert load_settings(model_name="tiny").max_in_flight_batches >= 1

    def test_the_json_has_every_row_the_best_first(self, tuned):
        result, folder = tuned
        content = json.loads((folder / "tuned.json").read_text())
        assert json.loads(result.stdout) == content
        assert content["model"] == {"name": "tiny", "version": 1}
        assert content["target_p99_ms"] == 20_000
        assert content["machine"]["cores"] >= 1
        best, *others = content["rows"]
        assert best == {**content["chosen"], "verdict": "chosen"}
        assert best["gateway"]["p99_ms"] <= 20_000
        assert best["gateway"]["n"] > 0
        assert others
        assert all(row["verdict"] != "chosen" for row in others)
        assert content["default"]["gateway"]["requests_per_second"] > 0
        assert [each["what"] for each in content["ruled_out"]] == []

    def test_nothing_else_is_left(self, tuned):
        _, folder = tuned
        left = {each.name for each in folder.parent.iterdir()}
        assert left == {"tuned"}


class TestRefused:
    def test_a_target_that_nothing_keeps_names_the_nearest_and_writes_nothing(
        self, exported, tmp_path
    ):
        result = tune(exported, tmp_path / "tuned", "--p99", "0.01ms", *SHORT)
        assert result.exit_code == 1  # an exception here; 4 as a program, below
        assert type(result.exception).__name__ == "RefusedError"
        assert "no configuration keeps p99 within 0.010 ms" in str(result.exception)
        assert "nearest: " in str(result.exception)
        assert "ms at 30% of" in str(result.exception)
        assert "tensorflow float32" in result.stdout
        assert list(tmp_path.iterdir()) == []

    def test_answers_that_are_not_the_sources(self, wrong, tmp_path):
        words = ["tune", "tiny", "--base-path", wrong, "--output", tmp_path / "tuned", *SHORT]
        ended = program(*words)
        assert ended.returncode == 4
        last = ended.stderr.splitlines()[-1]
        assert last.startswith("error: refused (tune): nothing can be served safely: tensorflow")
        assert "on golden images, bound" in last
        assert not (tmp_path / "tuned").exists()


class TestSecondEngine:
    def test_both_are_tried_and_what_is_chosen_serves(self, for_both, tmp_path):
        ended = self.tune(for_both, tmp_path, "--json")
        assert ended.returncode == 0, ended.stderr
        content = json.loads(ended.stdout)
        tried = {(row["engine"], row["precision"]) for row in content["rows"]}
        assert {("tensorflow", "float32"), ("openvino", "f32")} <= tried
        flags = (tmp_path / "tuned" / "model-server.flags").read_text().splitlines()
        is_openvino = content["chosen"]["engine"] == "openvino"
        assert ("--engine=openvino" in flags) == is_openvino

    def test_weights_that_were_damaged_since_the_export_are_ruled_out(self, for_both, tmp_path):
        shutil.copytree(for_both, tmp_path / "models")
        weights = tmp_path / "models" / "tiny" / "1" / files.FOLDER / "model.bin"
        values = np.fromfile(weights, np.float32)
        is_weight = (np.abs(values) > 1e-6) & (np.abs(values) < 10)  # others are shapes and axes
        np.where(is_weight, -values, values).astype(np.float32).tofile(weights)
        ended = self.tune(tmp_path / "models", tmp_path, "--engine", "openvino")
        assert ended.returncode == 4, ended.stderr
        last = ended.stderr.splitlines()[-1]
        assert last.startswith("error: refused (tune): nothing can be served safely: openvino f32")
        assert "on golden images" in last
        assert not (tmp_path / "tuned").exists()

    def tune(self, base_path, folder, *options):
        where = ("--base-path", base_path, "--output", folder / "tuned", "--seconds", "1")
        return program("tune", "tiny", *where, *options)


def program(*words):
    command = [sys.executable, "-m", "exporter", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["none"], "there is no version of 'none'"),
        (["tiny", "--p99", "20"], "--p99 20: write a time above 0 with its unit, such as 20ms"),
        (["tiny:1", "--version", "2"], "tiny:1 and --version 2 contradict each other"),
        (["tiny", "--images", "nowhere"], "nowhere: there is no such folder"),
        (["tiny", "--engine", "openvino"], "--engine openvino: the version was not exported for"),
        (["tiny", "--output", "none/tuned"], "--output none/tuned: there is no folder none"),
        (["tiny", "--min-agreement", "2"], "Invalid value for '--min-agreement'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(options, said, exported):
    ended = program("tune", *options, "--base-path", exported.base_path)
    assert ended.returncode == 2, ended.stderr
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize("seconds_later", [0.5, 6.0])
def test_ctrl_c_ends_every_process_and_leaves_no_file(seconds_later, exported, tmp_path):
    """Early, while the first server starts, and later, under load."""
    words = ["tune", "tiny", "--base-path", exported.base_path, "--output", tmp_path / "tuned"]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "exporter", *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(lambda: len(below(process.pid)) >= 2, what="a generator and a server")
        time.sleep(seconds_later)
        children = below(process.pid)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "interrupted, nothing was published"
    wait_until(lambda: not any(map(is_running, children)), what="the children's end")
    assert list(scratch.iterdir()) == []
    assert [each.name for each in tmp_path.iterdir()] == ["scratch"]


def below(pid):
    """Every process that a process has started, by id."""
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += [int(child), *below(int(child))]
    return found


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
