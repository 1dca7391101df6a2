"""Signatures by key, with the library of the extra `sign`."""

import json
import shutil
import socket
import subprocess

import pytest
from typer.testing import CliRunner

from exporter.cli.app import create_app
from exporter.errors import FailedError, RefusedError, UsageError
from exporter.release import republish
from exporter.store import manifest, publish, signature


def cli(*arguments):
    return CliRunner().invoke(create_app(), [str(argument) for argument in arguments])


def test_without_the_extra_one_line_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "model_signing", None)
    with pytest.raises(FailedError, match="pip install model-signing pyopenssl"):
        signature.sign(tmp_path, tmp_path / "key")


@pytest.fixture
def library():
    import model_signing  # noqa: PLC0415 - half a second

    return model_signing


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Two pairs of keys, made as the help says."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("one", "other"):
        private, public = folder / f"{name}.key", folder / f"{name}.pub"
        make = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", private]
        subprocess.run(make, check=True, capture_output=True)
        subprocess.run(
            ["openssl", "ec", "-in", private, "-pubout", "-out", public],
            check=True,
            capture_output=True,
        )
    return folder


@pytest.fixture
def models(tmp_path):
    with publish.staging(tmp_path / "models" / "m") as staged:
        (staged.version_path / "assets.extra").mkdir(parents=True)
        (staged.version_path / "saved_model.pb").write_text("graph")
        (staged.version_path / "assets.extra" / "model_card.json").write_text("{}")
        manifest.write(staged.version_path)
        staged.publish()
    return tmp_path / "models"


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.usefixtures("library", "no_network")
def test_a_signed_version_is_verified_offline_and_is_still_as_published(models, keys):
    result = cli("sign", "m", "--key", keys / "one.key", "--base-path", models, "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["size_bytes"] == (models / "m/1/model.sig").stat().st_size
    assert manifest.differences(models / "m/1") == []
    verify = ("verify", "m", "--signature", "--base-path", models, "--public-key")
    result = cli(*verify, keys / "one.pub")
    assert (result.exit_code, "unchanged since" in result.output) == (0, True)
    refused = cli(*verify, keys / "other.pub").exception
    assert isinstance(refused, RefusedError)
    assert (refused.step, "another key" in str(refused)) == ("signature", True)


def change(version):
    (version / "saved_model.pb").write_text("GRAPH")


def add(version):
    (version / ".git").mkdir()
    (version / ".git" / "hook").write_text("new")


def drop(version):
    (version / "assets.extra" / "model_card.json").unlink()


def forge(version):
    change(version)
    manifest.write(version)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("tamper", [change, add, drop, forge])
def test_whatever_changes_afterwards_is_found(models, keys, tamper):
    version = models / "m" / "1"
    signature.sign(version, keys / "one.key")
    signature.verify_signature(version, keys / "one.pub")
    tamper(version)
    with pytest.raises(RefusedError, match="changed since it was signed") as refused:
        signature.verify_signature(version, keys / "one.pub")
    assert refused.value.step == "signature"


@pytest.mark.usefixtures("library")
def test_a_signature_goes_with_its_files_to_another_number(models, keys):
    signature.sign(models / "m" / "1", keys / "one.key")
    again = republish.republish(models / "m", 1)
    signature.verify_signature(again, keys / "one.pub")
    copy = shutil.copytree(again, models.parent / "elsewhere" / "77")
    signature.verify_signature(copy, keys / "one.pub")


@pytest.mark.usefixtures("library")
def test_what_cannot_be_signed_or_verified_says_why(models, keys):
    version = models / "m" / "1"
    with pytest.raises(RefusedError, match="is not signed"):
        signature.verify_signature(version, keys / "one.pub")
    with pytest.raises(UsageError, match="there is no key"):
        signature.sign(version, keys / "none.key")
    with pytest.raises(UsageError, match="elliptic curve"):
        signature.sign(version, version / "saved_model.pb")
    (version / "model.sig").write_text("{}")
    with pytest.raises(RefusedError, match="does not hold"):
        signature.verify_signature(version, keys / "one.pub")
    change(version)
    with pytest.raises(RefusedError, match="not as it was published"):
        signature.sign(version, keys / "one.key")
    assert sorted(path.name for path in (models / "m").iterdir()) == ["1"]


def test_usage_of_the_options(models):
    assert isinstance(cli("sign", "m", "--base-path", models).exception, UsageError)
    lone = cli("verify", "m", "--signature", "--base-path", models).exception
    assert "--public-key" in str(lone)


def test_an_export_that_is_to_be_signed_checks_first_whether_it_can_be(tmp_path, monkeypatch):
    from exporter.export import export  # noqa: PLC0415 - TensorFlow
    from exporter.options import ExportOptions  # noqa: PLC0415
    from exporter.progress import SilentReporter  # noqa: PLC0415
    from exporter.settings import Settings  # noqa: PLC0415

    def load(_):
        pytest.fail("work was done")

    options = ExportOptions(name="m", base_path=tmp_path / "models", parity_bound=1e-4)
    settings = Settings(signing_key=str(tmp_path / "no.key"))
    monkeypatch.setattr(signature, "_library", object)
    with pytest.raises(UsageError, match="there is no key"):
        export(load, options, settings, SilentReporter())
    assert not (tmp_path / "models").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("library")
def test_an_export_is_signed_before_it_is_visible(tiny, keys, tmp_path):
    from exporter.export import export  # noqa: PLC0415 - TensorFlow
    from exporter.options import ExportOptions  # noqa: PLC0415
    from exporter.progress import SilentReporter  # noqa: PLC0415
    from exporter.settings import Settings  # noqa: PLC0415
    from exporter.sources.keras_file import load_keras  # noqa: PLC0415

    options = ExportOptions(name="m", base_path=tmp_path, parity_bound=1e-4)
    settings = Settings(max_batch_size=1, signing_key=str(keys / "one.key"))
    published = export(lambda _: load_keras(tiny[1]), options, settings, SilentReporter())
    signature.verify_signature(published.path, keys / "one.pub")
    assert manifest.differences(published.path) == []
