"""The digits model, trained, published and served once for all tests here."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import stack


@dataclass(frozen=True)
class Digits:
    """What `python -m exporter demo` left behind."""

    models: Path
    keras_file: Path
    held_out: list[tuple[bytes, str]]
    """The held-out handwriting: PNG file and true label."""
    accuracy: float
    """As the exporter printed it."""


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    output = stack.export(
        "demo",
        "--openvino", "auto",
        "--base-path", str(folder / "models"),
        "--save-keras", str(folder / "digits.keras"),
        "--write-held-out", str(folder / "held-out"),
    )  # fmt: skip
    lines = (folder / "held-out" / "labels.txt").read_text().splitlines()
    return Digits(
        models=folder / "models",
        keras_file=folder / "digits.keras",
        held_out=[
            ((folder / "held-out" / name).read_bytes(), label)
            for name, label in (line.split(" ", 1) for line in lines)
        ],
        accuracy=float(re.search(r"top-1 ([01]\.\d+)", output).group(1)),
    )


@pytest.fixture(scope="session")
def digits_server(digits):
    with stack.model_server(digits.models) as server:
        yield server


@pytest.fixture(scope="session", params=["grpc", "http"])
def digits_gateway(request, digits_server, tmp_path_factory):
    """The gateway in front of the digits, over each protocol in turn."""
    log = tmp_path_factory.mktemp("gateway") / f"{request.param}.log"
    with stack.gateway(digits_server.url(request.param), "digits", log) as running:
        yield running


@pytest.fixture(scope="module")
def site(digits_server, tmp_path_factory):
    log = tmp_path_factory.mktemp("page") / "gateway.log"
    with stack.gateway(digits_server.url("grpc"), "digits", log) as gateway:
        yield gateway


@pytest.fixture
def page(browser, site):
    context = browser.new_context()
    opened = context.new_page()
    complaints = []
    opened.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    outside = []
    opened.on("request", lambda request: outside.append(request.url))
    opened.goto(site.url)
    yield opened
    context.close()
    # A problem answer shows as a network error in the console; nothing else may.
    assert [each for each in complaints if "Failed to load resource" not in each] == []
    assert [url for url in outside if not url.startswith((site.url, "blob:", "data:"))] == []
