"""The metrics of a real server: what clients invent makes no series, and promtool can read them."""

from __future__ import annotations

import subprocess

import grpc
import httpx
import pytest

from tests.support.model_server import running_model_server

COUNT = ":tensorflow:serving:request_count"
OF_THE_NAMES = {
    "metric names should not contain ':'",
    'counter metrics should have "_total" suffix',
    'non-histogram and non-summary metrics should not have "_count" suffix',
}
"""What promtool says of the names, which are TensorFlow Serving's; of anything else nothing."""


@pytest.fixture(scope="module")
def server(tmp_path_factory, models):
    folder = tmp_path_factory.mktemp("monitoring")
    config = folder / "monitoring.config"
    config.write_text('prometheus_config { enable: true path: "/metrics" }\n')
    with running_model_server(
        folder,
        "--model_name=m",
        f"--model_base_path={models}/m",
        f"--monitoring_config_file={config}",
    ) as running:
        yield running


def exposition(server):
    return httpx.get(f"{server.rest_url}/metrics", timeout=30).text


def test_invented_names_make_no_series(server, connect):
    client = connect(server.grpc_address)
    names = [f"invented-{number}" for number in range(40)]

    def ask(which):
        for name in which:
            with pytest.raises(grpc.RpcError):
                client.predict(name, x=1)
            with httpx.Client(base_url=server.rest_url, timeout=30) as rest:
                assert rest.post(f"/v1/models/{name}:predict", json={"instances": [1]}).is_error
                assert rest.post(f"/v1/models/{name}:classify", json={"examples": [{}]}).is_error
                assert rest.get(f"/v1/models/{name}").is_error
                assert rest.get(f"/v1/models/{name}/metadata").is_error

    ask(names[:2])
    before = exposition(server)
    ask(names[2:])
    after = exposition(server)
    assert "invented" not in after
    assert len(after.splitlines()) == len(before.splitlines())
    (line,) = (each for each in after.splitlines() if f'{COUNT}{{model_name="",' in each)
    assert line == f'{COUNT}{{model_name="",status="NOT_FOUND"}} {5 * len(names)}'


def test_promtool_has_nothing_to_say_but_about_the_names(server, promtool):
    httpx.get(f"{server.rest_url}/v1/models/m", timeout=30)
    done = subprocess.run(
        [promtool, "check", "metrics"],
        input=exposition(server),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = {line.split(" ", 1)[1] for line in (done.stdout + done.stderr).splitlines()}
    assert said <= OF_THE_NAMES
    assert said
