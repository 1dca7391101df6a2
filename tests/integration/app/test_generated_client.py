"""A client that a tool makes of /openapi.json, against a running gateway."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest

PROGRAM = """
import sys
from io import BytesIO
from sightserve_api import Client
from sightserve_api.api.classify import classify, classify_batch
from sightserve_api.api.health import healthz
from sightserve_api.api.models import get_model
from sightserve_api.api.observe import metrics, stats
from sightserve_api.models import (
    BatchProblem, Base64Image, ImageForm, ImageJson, ImagesForm, Problem,
)
from sightserve_api.types import File

photo = open(sys.argv[2], "rb").read()
client = Client(base_url=sys.argv[1], httpx_args={"trust_env": False})

def file(data):
    return File(payload=BytesIO(data), file_name="a.jpg", mime_type="image/jpeg")

found = classify.sync(client=client, body=ImageForm(file=file(photo)), top_k=1)
assert [each.label for each in found.predictions] == ["label-3"], found
assert found.model.version == 1
from base64 import b64encode
body = ImageJson(image=Base64Image(b64=b64encode(photo).decode()))
assert classify.sync(client=client, body=body, top_k=1).predictions == found.predictions
problem = classify.sync(client=client, body=ImageForm(file=file(b"junk")))
assert isinstance(problem, Problem) and problem.type_ == "/problems/invalid-image", problem
both = classify_batch.sync(client=client, body=ImagesForm(files=[file(photo), file(b"junk")]))
assert both.results[0].predictions[0].label == "label-3"
assert isinstance(both.results[1], BatchProblem)
assert healthz.sync(client=client).models[0].ready is True
assert get_model.sync("demo", client=client).versions[0].state == "AVAILABLE"
assert isinstance(get_model.sync("gone", client=client), Problem)
assert stats.sync(client=client).answered == 3
assert metrics.sync_detailed(client=client).status_code == 200
print("classified")
"""


@pytest.fixture
def client_folder(gateway, tmp_path):
    document = tmp_path / "openapi.json"
    document.write_bytes(gateway.client.get("/openapi.json").content)
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"post_hooks": []}))
    folder = tmp_path / "sightserve_api"
    made = run(
        "-m", "openapi_python_client", "generate", "--path", document, "--meta", "none",
        "--output-path", folder, "--config", settings,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    # The document's one feature that the tool does not have; it reads the other three bodies.
    said = made.stdout + made.stderr
    assert said.count("WARNING") == said.count("Unsupported content type image/*") == 1
    return tmp_path


def run(*arguments, **options):
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, **options
    )


def test_it_classifies(gateway, client_folder, photo):
    (client_folder / "photo.jpg").write_bytes(photo)
    program = textwrap.dedent(PROGRAM)
    ran = run("-c", program, gateway.url, client_folder / "photo.jpg", cwd=client_folder)
    assert (ran.returncode, ran.stdout) == (0, "classified\n"), ran.stderr
