"""Both clients against a real gateway over real sockets."""

import asyncio
import threading

import numpy as np
import pytest

import sightserve
from tests.support.api_keys import KEY, hash_line
from tests.support.gateway import running_gateway


class Blocking:
    """AsyncClient with Client's face, so that one suite holds for both."""

    def __init__(self, *arguments, **options):
        self._client = sightserve.AsyncClient(*arguments, **options)
        self._runner = asyncio.Runner()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._runner.run(self._client.aclose())
        self._runner.close()

    def classify_many(self, *arguments, **options):
        async def collected():
            return [item async for item in self._client.classify_many(*arguments, **options)]

        return self._runner.run(collected())

    def __getattr__(self, name):
        return lambda *arguments, **options: self._runner.run(
            getattr(self._client, name)(*arguments, **options)
        )


@pytest.fixture(params=[sightserve.Client, Blocking], ids=["threads", "asyncio"])
def kind(request):
    return request.param


@pytest.fixture
def client(kind, gateway):
    with kind(gateway.url) as made:
        yield made


def test_an_image_becomes_a_typed_result(client, photo):
    result = client.classify(photo, top_k=2)
    assert result.best == sightserve.Prediction(3, "label-3", 0.5, "id3")
    assert len(result.predictions) == 2
    assert result.model == sightserve.ModelVersion("demo", 1)
    assert result.image == sightserve.ImageInfo("JPEG", 80, 60)
    assert result.timing_ms.total > 0
    assert len(result.request_id) == 16


def test_an_array_is_the_same_image(client):
    assert client.classify(np.full((60, 80, 3), 200, np.uint8)).best.class_index == 3


def test_no_class_may_be_probable_enough(client, photo):
    assert client.classify(photo, min_probability=0.9).best is None


def test_models_readiness_and_statistics(client, photo):
    (model,) = client.models()
    assert (model.name, model.is_default) == ("demo", True)
    assert [(each.version, each.state) for each in model.versions] == [(1, "AVAILABLE")]
    assert client.model("demo").versions[0].labels == tuple(f"label-{i}" for i in range(4))
    assert client.ready()
    assert client.ready().models == (("demo", 1),)
    client.classify(photo)
    stages = {each.stage: each for each in client.stats().stages}
    assert stages["total"].version == 1
    assert stages["total"].count >= 1


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"model": "other"}, sightserve.UnknownModelError),
        ({"version": 9}, sightserve.UnknownVersionError),
        ({"top_k": 99}, sightserve.InvalidParameterError),
        ({"version": 1, "version_label": "canary"}, sightserve.InvalidParameterError),
    ],
)
def test_a_problem_is_an_exception_of_its_own(client, photo, arguments, error):
    with pytest.raises(error) as raised:
        client.classify(photo, **arguments)
    assert type(raised.value) is error
    assert len(raised.value.request_id) == 16


def test_a_model_s_name_is_quoted(client):
    with pytest.raises(sightserve.UnknownModelError, match=r"a b\?c"):
        client.model("a b?c")


def test_many_images_keep_their_order_and_their_errors(client, photo):
    seen = []
    items = list(
        client.classify_many([photo, b"broken", "/nowhere", photo] * 5, progress=seen.append)
    )
    assert [item.index for item in items] == list(range(20))
    kinds = [type(item.error) for item in items[:4]]
    none = type(None)
    assert kinds == [none, sightserve.InvalidImageError, FileNotFoundError, none]
    assert items[3].unwrap().best.class_index == 3
    assert seen[-1] == sightserve.Progress(done=20, failed=10, total=20)


def test_a_refused_heic_says_what_to_do(client):
    with pytest.raises(sightserve.InvalidImageError, match="Most Compatible"):
        client.classify(b"\0\0\0\x18ftypheic" + bytes(100))


def test_a_file_that_is_too_large_is_a_problem_and_no_broken_pipe(kind, fake):
    with running_gateway(fake.url, max_body_bytes=2000) as small, kind(small.url) as client:
        for _ in range(3):
            with pytest.raises(sightserve.ImageTooLargeError):
                client.classify(bytes(30_000_000))


def test_the_deadline_is_the_gateway_s_too(kind, fake, gateway, photo):
    with kind(gateway.url) as client, fake.held(), pytest.raises(sightserve.DeadlineError):
        client.classify(photo, timeout=0.3)


def test_an_api_key_opens_from_the_argument_or_the_environment(
    kind, fake, photo, tmp_path, monkeypatch
):
    path = tmp_path / "keys"
    path.write_text(hash_line("alice", KEY))
    with running_gateway(fake.url, api_keys_file=path) as locked:
        with kind(locked.url) as client, pytest.raises(sightserve.UnauthorizedError):
            client.classify(photo)
        with kind(locked.url, api_key=KEY) as client:
            assert client.classify(photo).best.class_index == 3
        monkeypatch.setenv("SIGHTSERVE_API_KEY", KEY)
        monkeypatch.setenv("SIGHTSERVE_URL", locked.url)
        with kind() as client:
            assert client.classify(photo).best.class_index == 3


def test_a_gateway_that_is_not_ready_says_why(kind):
    with running_gateway("grpc://127.0.0.1:1") as lost, kind(lost.url) as client:
        ready = client.ready()
        assert not ready
        assert ready.detail


def test_threads_share_a_client(gateway, photo):
    answers = []
    with sightserve.Client(gateway.url) as client:

        def ask(number):
            data = photo if number % 2 else np.zeros((9, 9), np.uint8)
            answers.extend((number % 2, client.classify(data)) for _ in range(20))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(answers) == 320
    assert all(each.best.class_index == (3 if is_bright else 0) for is_bright, each in answers)
    assert len({each.request_id for _, each in answers}) == 320


@pytest.mark.parametrize(
    "arguments",
    [
        {"url": "localhost:8000"},
        {"url": "http://"},
        {"url": "http://me:secret@host"},
        {"timeout": 0},
        {"timeout": float("nan")},
        {"api_key": "a\r\nb"},
    ],
)
def test_what_cannot_be_a_client_is_refused(kind, arguments):
    with pytest.raises(ValueError, match=r"url|timeout|API key") as refused:
        kind(**arguments)
    assert "secret" not in str(refused.value)
