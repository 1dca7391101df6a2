"""`serve --tuned`: what `tune` writes is what it reads, and nothing else."""

import pytest

from exporter.tune import files
from exporter.tune.configuration import Configuration, ModelServerSettings
from sightserve.serve import stack, tuned
from sightserve.serve.errors import TargetError
from sightserve.serve.ports import Ports
from sightserve.serve.targets import Target

OPENVINO = Configuration(ModelServerSettings("openvino", "bf16", 2, 2), 1, 4)
TENSORFLOW = Configuration(ModelServerSettings("tensorflow", "float32", 2, 1, 64), 8, 3)


@pytest.fixture
def written(tmp_path):
    def write(configuration):
        folder = tmp_path / "tuned"
        files.write(files.contents(configuration, folder, 2, {}), folder)
        return folder

    return write


def test_flags_variables_and_engine(written):
    assert tuned.read(written(OPENVINO)) == tuned.Tuned(
        (
            "--openvino_precision=bf16",
            "--openvino_streams=2",
            "--openvino_threads=2",
            "--grpc_max_threads=64",
        ),
        {"GATEWAY_MAX_BATCH_SIZE": "1", "GATEWAY_MAX_IN_FLIGHT_BATCHES": "4"},
        "openvino",
    )


def test_flags_without_an_engine_are_tensorflows(written):
    folder = written(TENSORFLOW)
    found = tuned.read(folder)
    assert found.engine == "tensorflow"
    assert f"--batching_parameters_file={folder}/batching.config" in found.flags


def test_no_folder_no_settings():
    assert tuned.read(None) == tuned.Tuned()
    assert tuned.engine_of(tuned.Tuned(), "openvino") == "openvino"


def test_both_servers_get_them(written, tmp_path):
    class Processes:
        started = {}  # noqa: RUF012 - of one test

        def start(self, name, command, **environment):
            self.started[name] = (command, environment)

    found = tuned.read(written(OPENVINO))
    served = [Target("published", "tiny", tmp_path, "tiny")]
    ports = Ports(8000, 8500, 8501)
    stack.start(Processes(), served, ports, tmp_path, print, found.engine, found)
    command, _ = Processes.started["model server"]
    assert "--engine=openvino" in command
    assert command[-4:] == list(found.flags)
    _, environment = Processes.started["gateway"]
    assert environment["GATEWAY_MAX_IN_FLIGHT_BATCHES"] == "4"
    assert environment["GATEWAY_MODEL_NAME"] == "tiny"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (tuned.FLAGS_FILE, "--engine openvino; rm -r /\n"),
        (tuned.FLAGS_FILE, "engine=openvino\n"),
        (tuned.VARIABLES_FILE, "PATH=/tmp\n"),
        (tuned.VARIABLES_FILE, "GATEWAY_MAX_BATCH_SIZE=\n"),
        (tuned.VARIABLES_FILE, b"\xff\xfe"),
    ],
)
def test_anything_else_is_named(written, file, text):
    folder = written(OPENVINO)
    (folder / file).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(TargetError, match=rf"--tuned: .*{file}.*`tune` writes"):
        tuned.read(folder)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(TargetError, match=r"nowhere/model-server\.flags cannot be read"):
        tuned.read(tmp_path / "nowhere")


def test_another_engine_contradicts(written):
    found = tuned.read(written(OPENVINO))
    assert tuned.engine_of(found, "auto") == "openvino"
    with pytest.raises(TargetError, match="is for the engine openvino, not tensorflow"):
        tuned.engine_of(found, "tensorflow")
