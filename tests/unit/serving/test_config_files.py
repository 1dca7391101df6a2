from __future__ import annotations

import pytest

from protocol.codes import Code
from serving.config_files import (
    read_batching_parameters,
    read_metrics_path,
    read_server_config,
    read_ssl_config,
    server_config,
)
from serving.core.errors import ServingError
from serving.core.policy import VersionPolicy, VersionPolicyKind
from serving.engine import BatchingParameters
from serving.monitoring import DEFAULT_METRICS_PATH
from serving.options import Options

MODEL = 'name: "m" base_path: "/models/m" model_platform: "tensorflow"'


def read(tmp_path, text):
    path = tmp_path / "models.config"
    path.write_text(text)
    return read_server_config(str(path))


def one(fields):
    return f"model_config_list {{ config {{ {fields} }} }}"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("", VersionPolicy()),
        ("model_version_policy { latest { num_versions: 2 } }", VersionPolicy(num_versions=2)),
        ("model_version_policy { latest { } }", VersionPolicy()),
        ("model_version_policy { all { } }", VersionPolicy(VersionPolicyKind.ALL)),
        (
            "model_version_policy { specific { versions: 1 versions: 4 } }",
            VersionPolicy(VersionPolicyKind.SPECIFIC, versions=frozenset({1, 4})),
        ),
    ],
)
def test_version_policies(tmp_path, fields, expected):
    (model,) = read(tmp_path, one(f"{MODEL} {fields}")).models
    assert (model.name, model.base_path, model.policy) == ("m", "/models/m", expected)


def test_labels(tmp_path):
    text = one(f'{MODEL} version_labels {{ key: "stable" value: 3 }}')
    assert read(tmp_path, text).labels == {"m": {"stable": 3}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            one('name: "m" base_path: "models/m" model_platform: "tensorflow"'),
            "Expected model m to have an absolute path or URI; got base_path()=models/m",
        ),
        (
            f"model_config_list {{ config {{ {MODEL} }} config {{ {MODEL} }} }}",
            "Illegal to list model m multiple times in config list",
        ),
        (
            one('name: "q" base_path: "/q" model_platform: "onnx"'),
            "Model q requests unsupported platform onnx",
        ),
        (
            one('name: "q" base_path: "/q"'),
            (
                "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
                "ModelServerConfig::model_platform, model name is q"
            ),
        ),
        (
            one(f"{MODEL} model_type: TENSORFLOW"),
            (
                "Illegal setting both ModelServerConfig::model_type (deprecated) and "
                "ModelServerConfig::model_platform."
            ),
        ),
        (
            one('name: "q" base_path: "/q" model_type: OTHER'),
            "ModelServerConfig::model_type choice 2 not supported.",
        ),
        (
            one(f"{MODEL} model_version_policy {{ specific {{ }} }}"),
            "Model m has a specific version policy without versions",
        ),
    ],
)
def test_configs_that_cannot_be_served(tmp_path, text, message):
    with pytest.raises(ServingError) as caught:
        read(tmp_path, text)
    assert (caught.value.code, caught.value.message) == (Code.INVALID_ARGUMENT, message)


@pytest.mark.parametrize(("text", "start"), [("", "empty"), ("nonsense { }", "Invalid protobuf")])
def test_files_that_are_no_config(tmp_path, text, start):
    with pytest.raises(ServingError, match=start):
        read(tmp_path, text)


def test_flags_make_a_config_of_one_model():
    chosen = server_config(Options(model_name="digits", model_base_path="/models/digits"))
    assert [(m.name, m.base_path) for m in chosen.models] == [("digits", "/models/digits")]


def test_no_model_at_all_is_refused():
    with pytest.raises(ServingError, match=r"model_base_path and .* are empty"):
        server_config(Options())


def test_remote_base_paths_are_refused_in_words(tmp_path):
    text = one('name: "m" base_path: "gs://bucket/m" model_platform: "tensorflow"')
    with pytest.raises(ServingError, match="local directories only"):
        read(tmp_path, text)


def test_parameters_come_from_a_text_file(tmp_path):
    path = tmp_path / "batching.config"
    path.write_text(
        "max_batch_size { value: 8 } batch_timeout_micros { value: 500 } "
        "num_batch_threads { value: 3 } max_enqueued_batches { value: 7 } "
        "allowed_batch_sizes: 4 allowed_batch_sizes: 8 pad_variable_length_inputs: true "
        'thread_pool_name { value: "ignored" }'
    )
    assert read_batching_parameters(str(path)) == BatchingParameters(
        max_batch_size=8,
        batch_timeout_micros=500,
        num_batch_threads=3,
        max_enqueued_batches=7,
        allowed_batch_sizes=(4, 8),
        pad_variable_length_inputs=True,
    )


@pytest.mark.parametrize("text", ["max_batch_size { value: 0 }", "nonsense: 1"])
def test_bad_parameters_are_refused(tmp_path, text):
    path = tmp_path / "batching.config"
    path.write_text(text)
    with pytest.raises(ServingError):
        read_batching_parameters(str(path))


def test_without_a_file_the_defaults_are_those_of_tensorflow_serving():
    parameters = read_batching_parameters("")
    assert (parameters.max_batch_size, parameters.max_enqueued_batches) == (1000, 10)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('prometheus_config { enable: true path: "/p" }', "/p"),
        ("prometheus_config: { enable: true }", DEFAULT_METRICS_PATH),
        ('prometheus_config { path: "/p" }', None),
    ],
)
def test_the_config_says_where_metrics_are_served(tmp_path, text, path):
    file = tmp_path / "monitoring.config"
    file.write_text(text)
    assert path == read_metrics_path(str(file))


def test_without_a_monitoring_config_metrics_are_served_nowhere():
    assert read_metrics_path("") is None


def test_keys_and_certificates_are_text_within_the_file(tmp_path):
    file = tmp_path / "ssl.config"
    file.write_text('server_key: "K\\n" server_cert: "C" client_verify: true')
    config = read_ssl_config(str(file))
    assert (config.server_key, config.server_cert, config.client_verify) == ("K\n", "C", True)


@pytest.mark.parametrize(
    "read", [read_server_config, read_batching_parameters, read_metrics_path, read_ssl_config]
)
def test_every_file_is_named_when_it_cannot_be_read(tmp_path, read):
    wrong = tmp_path / "wrong.config"
    wrong.write_text("nonsense { }")
    with pytest.raises(ServingError, match=f"Invalid protobuf file: '{wrong}'"):
        read(str(wrong))
    with pytest.raises(ServingError, match="No such file") as caught:
        read(str(tmp_path / "none"))
    assert caught.value.code is Code.NOT_FOUND
