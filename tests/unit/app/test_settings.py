"""Settings: read from the environment, refused in one line."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from app.model_server.addresses import Address
from app.settings.gateway import SettingsError, load_settings


@pytest.fixture(autouse=True)
def _model_name(monkeypatch):
    monkeypatch.setenv("GATEWAY_MODEL_NAME", "digits")


def test_the_environment_is_read_and_options_win(monkeypatch):
    monkeypatch.setenv("GATEWAY_PORT", "9000")
    monkeypatch.setenv("GATEWAY_REQUIRED_MODELS", "a, b,digits")
    settings = load_settings(port=9001, host=None)
    assert (settings.port, settings.host) == (9001, "127.0.0.1")
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
        ("GATEWAY_SPLIT", "a:50%", r"GATEWAY_SPLIT: the shares add up to 50%.*'a:50%'"),
        ("GATEWAY_SHADOW", "canary", "GATEWAY_SHADOW: 'canary' is not label:percent%"),
        ("GATEWAY_RATE_LIMIT_PER_ADDRESS", "fast", "PER_ADDRESS: write images per time, such as"),
        ("GATEWAY_RATE_LIMIT_PER_KEY", "1/s", "GATEWAY_RATE_LIMIT_PER_KEY needs GATEWAY_API_KEYS"),
        ("GATEWAY_TRUSTED_PROXIES", "10/8x", "TRUSTED_PROXIES: '10/8x' is no network such as"),
        ("GATEWAY_ALLOWED_HOSTS", "http://a", "ALLOWED_HOSTS: 'http://a' is no host name"),
        ("GATEWAY_CORS_ORIGINS", "https://a/", "CORS_ORIGINS: 'https://a/' is no origin"),
        ("GATEWAY_FORWARDING_HEADER", "X-Real-IP", "FORWARDING_HEADER: Input should be 'X-Forw"),
        ("GATEWAY_MODEL_SERVER_CA_FILE", "/ca.pem", "MODEL_SERVER_URL is not encrypted: write"),
        ("GATEWAY_MODEL_SERVER_CLIENT_KEY_FILE", "/key.pem", "CLIENT_KEY_FILE needs GATEWAY_MODEL"),
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


def test_traces_without_their_libraries_are_refused_in_one_line(monkeypatch):
    monkeypatch.setenv("GATEWAY_OTEL", "true")
    assert load_settings().otel
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match="GATEWAY_OTEL: the extra otel is not installed"):
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


def test_certificates_that_cannot_be_used_are_named_at_the_start(monkeypatch, tmp_path):
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("no certificate")
    monkeypatch.setenv("GATEWAY_MODEL_SERVER_URL", "grpcs://localhost:1")
    assert load_settings().load_model_server_tls() is not None
    for variable in ("CA_FILE", "CLIENT_CERTIFICATE_FILE"):
        for path in (nonsense, tmp_path / "missing.pem"):
            with monkeypatch.context() as change:
                change.setenv(f"GATEWAY_MODEL_SERVER_{variable}", str(path))
                message = f"^GATEWAY_MODEL_SERVER_{variable}: {path}: ."
                with pytest.raises(SettingsError, match=message):
                    load_settings()
    monkeypatch.setenv("GATEWAY_MODEL_SERVER_CLIENT_CERTIFICATE_FILE", str(nonsense))
    monkeypatch.setenv("GATEWAY_MODEL_SERVER_CLIENT_KEY_FILE", str(tmp_path / "missing.pem"))
    with pytest.raises(SettingsError, match=r"^GATEWAY_MODEL_SERVER_CLIENT_KEY_FILE: /"):
        load_settings()


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch):
    for variable in ("API_KEYS_FILE", "RATE_LIMIT_PER_KEY", "TRUSTED_PROXIES", "ALLOWED_HOSTS",
                     "CORS_ORIGINS", "MODEL_SERVER_CA_FILE", "MODEL_SERVER_NAME"):  # fmt: skip
        monkeypatch.setenv(f"GATEWAY_{variable}", "")
    settings = load_settings()
    assert settings.api_keys_file is settings.rate_limit_per_key is None
    assert settings.trusted_proxies == settings.allowed_hosts == settings.cors_origins == ()


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        (
            "GATEWAY_MAX_BATCHSIZE",
            "BATCHSIZE is no setting of the gateway: did you mean GATEWAY_MAX_BATCH_SIZE?",
        ),
        (
            "gateway_modelname",
            "gateway_modelname is no setting .* did you mean GATEWAY_MODEL_NAME?",
        ),
        ("GATEWAY_ZEBRA", "GATEWAY_ZEBRA is no setting of the gateway: docs/configuration.md has"),
        ("GATEWAY_" + "X" * 10_000, "^GATEWAY_X{56} is no setting"),
    ],
)
def test_a_variable_that_is_no_setting_is_refused(monkeypatch, variable, message):
    monkeypatch.setenv(variable, "1")
    with pytest.raises(SettingsError, match=message.replace("?", r"\?")):
        load_settings()


def test_what_kubernetes_says_of_a_service_named_gateway_is_no_setting(monkeypatch):
    for variable, value in {
        "GATEWAY_SERVICE_HOST": "10.0.0.1",
        "GATEWAY_SERVICE_PORT": "80",
        "GATEWAY_SERVICE_PORT_HTTP": "80",
        "GATEWAY_PORT": "tcp://10.0.0.1:80",
        "GATEWAY_PORT_80_TCP": "tcp://10.0.0.1:80",
        "GATEWAY_PORT_80_TCP_PROTO": "tcp",
        "GATEWAY_PORT_80_TCP_PORT": "80",
        "GATEWAY_PORT_80_TCP_ADDR": "10.0.0.1",
        "GATEWAY_ADMIN_PORT": "tcp://10.0.0.2:81",
        "GATEWAY_BLUE_SERVICE_HOST": "10.0.0.3",
        "GATEWAY_BLUE_PORT": "tcp://10.0.0.3:80",
    }.items():
        monkeypatch.setenv(variable, value)
    settings = load_settings()
    assert (settings.port, settings.admin_port) == (8000, None)
    assert load_settings(port=9001).port == 9001


def test_every_variable_that_our_files_give_the_gateway_is_a_setting(monkeypatch):
    root = Path(__file__).resolve().parents[3]
    compose = yaml.safe_load((root / "docker-compose.yml").read_text())
    given = set(compose["services"]["gateway"]["environment"])
    for path in (root / "k8s").rglob("*.yaml"):
        given |= set(re.findall(r"name: (GATEWAY_\w+)", path.read_text()))
    given |= set(re.findall(r"GATEWAY_\w+(?==)", (root / "Dockerfile").read_text()))
    given -= {"GATEWAY_LOCK"}  # an argument of the image's build
    assert len(given) > 5
    for variable in given:
        monkeypatch.setenv(variable, "")
    with pytest.raises(SettingsError) as refused:
        load_settings()  # for what they are empty, not for what they are
    assert "is no setting" not in str(refused.value)
