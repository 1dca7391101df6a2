"""Settings: read from the environment, refused in one line."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from app.model_server.addresses import Address
from app.settings import SettingsError, load_settings


@pytest.fixture(autouse=True)
def _model_name(monkeypatch):
    monkeypatch.setenv("GATEWAY_MODEL_NAME", "digits")


def test_the_environment_is_read_and_options_win(monkeypatch):
    monkeypatch.setenv("GATEWAY_PORT", "9000")
    monkeypatch.setenv("GATEWAY_REQUIRED_MODELS", "a, b,digits")
    settings = load_settings(port=9001, host=None)
    assert (settings.port, settings.host) == (9001, "0.0.0.0")
    assert settings.models == ("digits", "a", "b")


def test_settings_are_frozen():
    with pytest.raises(ValidationError):
        load_settings().port = 1


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("GATEWAY_PORT", "eighty", "GATEWAY_PORT: .*integer.*'eighty'"),
        ("GATEWAY_MODEL_SERVER_URL", "localhost", "GATEWAY_MODEL_SERVER_URL: 'localhost' is not"),
        ("GATEWAY_MAX_BATCH_SIZE", "0", "GATEWAY_MAX_BATCH_SIZE: .*greater"),
        ("GATEWAY_MODELS_FILE", "/no/such.toml", "GATEWAY_MODELS_FILE: /no/such.toml: No such"),
        ("GATEWAY_DEFAULT_TIMEOUT_SECONDS", "70", "is above GATEWAY_MAX_TIMEOUT_SECONDS"),
        ("GATEWAY_MAX_BODY_BYTES", "999999999", "GATEWAY_MAX_BUFFERED_BYTES must hold"),
        ("GATEWAY_LOG_FORMAT", "xml", "GATEWAY_LOG_FORMAT: Input should be 'auto'"),
    ],
)
def test_a_wrong_value_names_its_variable(monkeypatch, variable, value, message):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=message):
        load_settings()


def test_the_model_name_is_required(monkeypatch):
    monkeypatch.delenv("GATEWAY_MODEL_NAME")
    with pytest.raises(SettingsError, match="GATEWAY_MODEL_NAME is not set: The model that"):
        load_settings()


def test_the_url_and_the_models_file_are_read_once_and_kept(monkeypatch, tmp_path):
    path = tmp_path / "models.toml"
    path.write_text("[models.theirs]\nsoftmax = true\n")
    monkeypatch.setenv("GATEWAY_MODELS_FILE", str(path))
    monkeypatch.setenv("GATEWAY_MODEL_SERVER_URL", "http://a:1,http://dns:b:2")
    settings = load_settings()
    path.unlink()
    assert settings.models_file["theirs"].softmax
    targets = settings.model_server_url
    assert (targets.scheme, str(targets)) == ("http", "http://a:1,http://dns:b:2")
    assert (targets.fixed, targets.names) == ((Address("a", 1),), (Address("b", 2),))


def test_an_impossible_image_in_the_models_file_is_refused_at_the_start(monkeypatch, tmp_path):
    path = tmp_path / "models.toml"
    path.write_text('[models.a]\nimage = { filter = "lanczos", antialias = false }\n')
    monkeypatch.setenv("GATEWAY_MODELS_FILE", str(path))
    with pytest.raises(SettingsError, match="filter lanczos exists only with antialias") as error:
        load_settings()
    assert "\n" not in str(error.value)
