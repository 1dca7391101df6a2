"""What a gateway may answer to a picture, besides its classes."""

from datetime import UTC, datetime

import httpx
import pytest

from contract.card import ClassInfo, ModelCard, Source
from contract.image_spec import ImageSpec
from contract.pixels import ImageError
from exporter.accuracy import gateway
from exporter.errors import FailedError, UsageError
from exporter.proof.gateway import Gateway, kind_of

CARD = ModelCard(
    model_name="m",
    classes=tuple(ClassInfo(index=i, label=f"c{i}") for i in range(3)),
    k=2,
    image=ImageSpec(height=4, width=4),
    source=Source(kind="keras", name="m.keras"),
    exported_at=datetime(2026, 1, 1, tzinfo=UTC),
)
VERSIONS = {
    "versions": [
        {"version": 3, "state": "LOADING"},
        {"version": 1, "state": "AVAILABLE", "card": CARD.model_dump(mode="json")},
        {"version": 2, "state": "AVAILABLE", "card": CARD.model_dump(mode="json")},
    ]
}
PREDICTIONS = {
    "model": {"name": "m", "version": 2},
    "predictions": [
        {"class_index": 2, "label": "c2", "id": None, "probability": 0.75},
        {"class_index": 0, "label": "c0", "id": None, "probability": 0.25},
    ],
}


def client(*answers):
    """A gateway that answers these in turn; the requests that it got are its `seen`."""
    waiting, seen = list(answers), []

    def handle(request):
        seen.append(request)
        return waiting.pop(0)

    made = Gateway(
        "http://gateway", api_key="k", timeout_seconds=1, transport=httpx.MockTransport(handle)
    )
    made.seen = seen
    return made


def asked(*answers):
    found = client(*answers)
    return found, gateway.GatewayVersion(found, "m", 2, CARD)


def problem(status, detail, *, slug="other", **headers):
    content = {"type": f"/problems/{slug}", "detail": detail, "status": status}
    return httpx.Response(status, json=content, headers=headers)


def test_a_picture_goes_as_it_is_to_one_version():
    http, asked_gateway = asked(httpx.Response(200, json=PREDICTIONS))
    row = asked_gateway.prepare(b"the file")
    answers = asked_gateway.answer([row, row])
    assert answers.class_indices.tolist() == [[2, 0], [2, 0]]
    assert answers.probabilities.tolist() == [[0.75, 0.25], [0.75, 0.25]]
    (request,) = http.seen
    assert request.content == b"the file"
    assert request.headers["x-api-key"] == "k"
    assert dict(request.url.params) == {"top_k": "2", "model": "m", "version": "2"}


@pytest.mark.parametrize(
    ("status", "slug"),
    [
        (400, "invalid-image"),
        (413, "payload-too-large"),
        (422, "image-too-large"),
        (422, "image-too-costly"),
    ],
)
def test_what_is_said_of_the_picture_makes_it_broken(status, slug):
    with pytest.raises(ImageError, match="truncated"):
        asked(problem(status, "truncated", slug=slug))[1].prepare(b"x")


def test_an_empty_file_is_broken_and_not_sent():
    http, asked_gateway = asked()
    with pytest.raises(ImageError, match="empty"):
        asked_gateway.prepare(b"")
    assert http.seen == []


def test_a_busy_gateway_is_asked_again():
    busy = {"Retry-After": "0"}
    http, asked_gateway = asked(
        problem(429, "later", **busy), problem(503, "later", **busy),
        httpx.Response(200, json=PREDICTIONS),
    )  # fmt: skip
    assert [each.class_index for each in asked_gateway.prepare(b"x")] == [2, 0]
    assert len(http.seen) == 3


def test_one_that_stays_busy_is_given_up():
    http, asked_gateway = asked(*[problem(429, "later", **{"Retry-After": "0"})] * 9)
    with pytest.raises(FailedError, match="429, later"):
        asked_gateway.prepare(b"x")
    assert len(http.seen) == 8


@pytest.mark.parametrize(
    "answer",
    [
        problem(500, "defect"),
        problem(404, "gone"),
        httpx.Response(200, json={**PREDICTIONS, "predictions": PREDICTIONS["predictions"][:1]}),
        httpx.Response(200, json={**PREDICTIONS, "predictions": None}),
        problem(422, "top_k", slug="validation"),
        httpx.Response(200, text="<html>"),
    ],
    ids=["500", "404", "too few", "none", "bad question", "html"],
)
def test_anything_else_is_a_failure(answer):
    with pytest.raises(FailedError):
        asked(answer)[1].prepare(b"x")


def test_the_highest_available_version_of_the_default_model_is_asked():
    names = {"models": [{"name": "a", "is_default": False}, {"name": "m", "is_default": True}]}
    http = client(httpx.Response(200, json=names), httpx.Response(200, json=VERSIONS))
    found = gateway.ask_for(http, None, None)
    assert (found.model_name, found.version, found.card) == ("m", 2, CARD)
    assert [request.url.path for request in http.seen] == ["/models", "/models/m"]


def test_another_version_can_be_asked_if_it_is_available():
    assert gateway.ask_for(client(httpx.Response(200, json=VERSIONS)), "m", 1).version == 1
    with pytest.raises(UsageError, match="available: 1, 2"):
        gateway.ask_for(client(httpx.Response(200, json=VERSIONS)), "m", 3)


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (
            problem(401, "no key"),
            "EXPORTER_GATEWAY_API_KEY or --api-key",
        ),
        (httpx.Response(200, json={"a": 1}), "is it a gateway"),
        (httpx.Response(200, text="hello"), "GET /models/m: 200"),
        (
            httpx.Response(200, json={"versions": [{"version": 1, "state": "AVAILABLE"}]}),
            "version 1 has no model card: was it exported by us",
        ),
    ],
)
def test_a_gateway_that_does_not_tell(answer, complaint):
    with pytest.raises(FailedError, match=complaint):
        gateway.ask_for(client(answer), "m", None)


def test_a_gateway_without_a_default_model_must_be_told_one():
    with pytest.raises(UsageError, match="say which"):
        gateway.ask_for(client(httpx.Response(200, json={"models": []})), None, None)


def test_a_url_that_is_none():
    with pytest.raises(UsageError, match="http://host:port"):
        kind_of("http://host:port")
