from __future__ import annotations

import pytest

from serving import config
from serving.core.errors import Code, ServingError
from serving.core.policy import VersionPolicy, VersionPolicyKind
from serving.options import Options

MODEL = 'name: "m" base_path: "/models/m" model_platform: "tensorflow"'


def read(tmp_path, text):
    path = tmp_path / "models.config"
    path.write_text(text)
    return config.from_file(str(path))


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
                "ModelServerConfig::model_platform."
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


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(ServingError) as caught:
        config.from_file(str(tmp_path / "none"))
    assert caught.value.code is Code.NOT_FOUND


def test_flags_make_a_config_of_one_model():
    chosen = config.from_options(Options(model_name="digits", model_base_path="/models/digits"))
    assert [(m.name, m.base_path) for m in chosen.models] == [("digits", "/models/digits")]


def test_no_model_at_all_is_refused():
    with pytest.raises(ServingError, match=r"model_base_path and .* are empty"):
        config.from_options(Options())


def test_remote_base_paths_are_refused_in_words(tmp_path):
    text = one('name: "m" base_path: "gs://bucket/m" model_platform: "tensorflow"')
    with pytest.raises(ServingError, match="local directories only"):
        read(tmp_path, text)
