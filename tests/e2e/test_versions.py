"""Two versions on a real model server: shadowed, split, promoted, rolled back without a restart."""

from __future__ import annotations

import httpx
import pytest

from tests.support import fixture_models, stack
from tests.support.model_server import running_model_server
from tests.support.pictures import encoded, photographs
from tests.support.processes import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PHOTO = encoded(photographs()["cat"])
SETTINGS = {
    "GATEWAY_SPLIT": "stable:70%,canary:30%",
    "GATEWAY_SHADOW": "canary:100%",
    "GATEWAY_CACHE_BYTES": "1000000",
    "GATEWAY_SHARE_IN_FLIGHT": "true",
}


def write_config(path, models, **labels):
    """Both versions, with these labels; the file is written in place, as a mount wants it."""
    assigned = "".join(
        f'version_labels {{ key: "{label}" value: {number} }} ' for label, number in labels.items()
    )
    path.write_text(
        f'model_config_list {{ config {{ name: "m" base_path: "{models / "m"}" '
        'model_platform: "tensorflow" '
        "model_version_policy { specific { versions: 1 versions: 2 } } "
        f"{assigned} }} }}"
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory, worker_id):
    return fixture_models.shared(tmp_path_factory, worker_id)


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_canary_from_its_first_photo_to_its_promotion(models, tmp_path, protocol):
    config = tmp_path / "models.config"
    write_config(config, models, stable=1, canary=2)
    flags = (f"--model_config_file={config}", "--model_config_file_poll_wait_seconds=1")
    with (
        running_model_server(tmp_path, *flags) as server,
        stack.gateway(server.url(protocol), "m", tmp_path / "gateway.log", **SETTINGS) as gateway,
        httpx.Client(base_url=gateway.url, timeout=30) as client,
    ):

        def ask(key, photo=PHOTO):
            headers = {"Content-Type": "image/jpeg", "X-Sticky-Key": key}
            response = client.post("/classify", content=photo, headers=headers)
            assert response.status_code == 200, response.text
            version, best = response.json()["model"]["version"], response.json()["predictions"][0]
            assert version <= best["probability"] < version + 2  # the fixture adds its version
            return version

        def metric(line):
            return line in client.get("/metrics").text

        keys = [f"user-{number}" for number in range(20)]
        versions = [ask(key) for key in keys]
        assert set(versions) == {1, 2}
        assert versions == [ask(key) for key in keys]
        wait_until(
            lambda: ask("user-0", encoded(photographs()["cat"][::2])) and metric(
                'gateway_shadow_agreement_total{is_agreed="true",mirrored_version="2",model="m",'
                'version="1"}'
            ),
            "a photo is mirrored",
        )  # fmt: skip
        write_config(config, models, stable=2, canary=2)
        wait_until(lambda: {ask(key) for key in keys} == {2}, "the canary is promoted")
        write_config(config, models, stable=1, canary=1)
        wait_until(lambda: {ask(key) for key in keys} == {1}, "and rolled back")
        assert metric('gateway_cache_total{result="hit"}')
