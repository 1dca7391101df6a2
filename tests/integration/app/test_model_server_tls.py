"""TLS between gateway and model server: what connects, and that nothing else does or hangs."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from protocol.blocking import BlockingClient
from protocol.client import CallError
from protocol.codes import Code
from protocol.tls import Tls
from tests.support.certificates import Authority
from tests.support.fake_rest import rest_face
from tests.support.gateway import gateway_process, running_gateway
from tests.support.tls_proxy import tls_proxy

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")

NAME = "model-server.test"
PROTOCOLS = ("grpc", "http")


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """Ours and another authority, and certificates of them."""
    directory = tmp_path_factory.mktemp("pki")
    ours, other = Authority(directory, "ours"), Authority(directory, "other")
    return SimpleNamespace(
        ca=ours.certificate,
        other_ca=other.certificate,
        server=ours.sign("server", "DNS:localhost", f"DNS:{NAME}"),
        expired=ours.sign("expired", "DNS:localhost", days=-1),
        misnamed=ours.sign("misnamed", "DNS:elsewhere.test"),
        client=ours.sign("client"),
        strange_client=other.sign("strange-client"),
    )


@pytest.fixture(params=PROTOCOLS)
def plain(request, fake):
    """A plain model server: scheme and address."""
    if request.param == "grpc":
        yield "grpc", fake.url.removeprefix("grpc://")
        return
    with rest_face(fake) as url:
        yield "http", url.removeprefix("http://")


@pytest.fixture
def behind(plain):
    """Puts TLS in front of it; the URL."""
    scheme, address = plain
    with ExitStack() as stack:

        def start(shown, host="localhost", **options):
            port = stack.enter_context(tls_proxy(address, shown, **options))
            return f"{scheme}s://{host}:{port}"

        yield start


def classified(url, photo, **settings):
    with running_gateway(url, **settings) as gateway:
        answer = gateway.classify(photo)
        return answer.status_code, answer.json()


def test_a_server_of_the_named_authority_answers(behind, pki, photo):
    status, body = classified(behind(pki.server), photo, model_server_ca_file=pki.ca)
    assert (status, body["predictions"][0]["class_index"]) == (200, 3)


@pytest.mark.parametrize("host", ["127.0.0.1", "dns:localhost"])
def test_an_address_may_be_checked_by_another_name(behind, pki, photo, host):
    url = behind(pki.server, host)
    named = {"model_server_ca_file": pki.ca, "model_server_name": NAME}
    assert classified(url, photo, **named)[0] == 200


def test_what_dns_resolves_is_checked_by_the_name_that_was_resolved(behind, pki, photo):
    url = behind(pki.server, "dns:localhost")
    assert classified(url, photo, model_server_ca_file=pki.ca)[0] == 200


def test_a_server_that_asks_for_a_certificate_gets_it(behind, pki, photo, tmp_path):
    url = behind(pki.server, client_ca=pki.ca)
    both = tmp_path / "both.pem"
    both.write_bytes(pki.client.key.read_bytes() + pki.client.certificate.read_bytes())
    for files in (
        {
            "model_server_client_certificate_file": pki.client.certificate,
            "model_server_client_key_file": pki.client.key,
        },
        {"model_server_client_certificate_file": both},
    ):
        assert classified(url, photo, model_server_ca_file=pki.ca, **files)[0] == 200


CASES = {
    "another authority": ("server", {"CA_FILE": "other_ca"}, {}),
    "the public authorities": ("server", {}, {}),
    "expired": ("expired", {"CA_FILE": "ca"}, {}),
    "another name": ("misnamed", {"CA_FILE": "ca"}, {}),
    "no certificate of ours": ("server", {"CA_FILE": "ca"}, {"client_ca": "ca"}),
    "a strange certificate of ours": (
        "server",
        {"CA_FILE": "ca", "CLIENT": "strange_client"},
        {"client_ca": "ca"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_anything_else_is_503_soon_with_the_reason_in_the_log(behind, pki, photo, case):
    shown, files, options = CASES[case]
    url = behind(getattr(pki, shown), **{key: getattr(pki, at) for key, at in options.items()})
    environment = {}
    for name, attribute in files.items():
        value = getattr(pki, attribute)
        if name == "CLIENT":
            environment["GATEWAY_MODEL_SERVER_CLIENT_CERTIFICATE_FILE"] = str(value.certificate)
            environment["GATEWAY_MODEL_SERVER_CLIENT_KEY_FILE"] = str(value.key)
        else:
            environment[f"GATEWAY_MODEL_SERVER_{name}"] = str(value)
    with gateway_process(url, **environment) as gateway:
        headers = {"X-Request-Timeout-Ms": "50000"}
        answer = gateway.client.post("/classify", files={"file": photo}, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (
            503,
            "/problems/model-server-unavailable",
        )
        assert answer.elapsed.total_seconds() < 20
        gateway.terminate()
    (line,) = [each for each in map(json.loads, gateway.log) if each["event"] == "request"]
    assert line["reason"].startswith("UNAVAILABLE: ")
    assert len(line["reason"]) > len("UNAVAILABLE: ") + 10, line["reason"]


@pytest.mark.parametrize("case", ["another authority", "expired", "another name"])
def test_the_reason_is_the_certificate(behind, pki, case):
    shown, files, _ = CASES[case]
    tls = Tls.load(getattr(pki, files["CA_FILE"]))
    with (
        BlockingClient(behind(getattr(pki, shown)), timeout_seconds=10, tls=tls) as client,
        pytest.raises(CallError) as caught,
    ):
        client.statuses("demo")
    assert caught.value.code is Code.UNAVAILABLE
    text = caught.value.message.lower()
    assert "certificate" in text or "hostname" in text, text


def test_plain_and_encrypted_do_not_mix_and_do_not_hang(plain, behind, pki, photo):
    scheme, address = plain
    encrypted = behind(pki.server)
    tls = {"model_server_ca_file": pki.ca}
    assert classified(f"{scheme}s://{address}", photo, **tls)[0] == 503
    assert classified(encrypted.replace(f"{scheme}s", scheme, 1), photo)[0] in {502, 503}
