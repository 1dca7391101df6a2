"""What a client takes from a model server: so long, so much, and of the version it asked for."""

import asyncio
import gzip
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager

import grpc
import numpy as np
import pytest

from protocol.client import AnswerError, CallError, Input
from protocol.codes import Code
from protocol.grpc_client import GrpcClient
from protocol.messages import inference_pb2
from protocol.models import ModelSpec
from protocol.rest_client import RestClient
from tests.support.broken_front import Break, front_of
from tests.support.fake_model_server import PREDICTION, FakeVersion, running_fake
from tests.support.fake_rest import rest_face
from tests.support.garbage_kind import Garbage, Reply

pytestmark = pytest.mark.anyio

CARD = ModelSpec("demo", version=1, signature_name="model_card")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"


@pytest.fixture
def fake():
    with running_fake(demo={1: FakeVersion()}) as running:
        yield running


@pytest.fixture
def rest_port(fake):
    with rest_face(fake) as url:
        yield int(url.rpartition(":")[2])


async def card(client, spec=CARD, seconds=10):
    query = Input.of_array("query", np.zeros(1, np.int32), client)
    return await client.predict(spec, query, outputs=("card",), timeout_seconds=seconds)


@pytest.mark.parametrize(
    "how",
    [
        Break(reply=HEAD, end="drip"),
        Break(reply=HEAD, end="hang"),
        Break(reply=b"HTTP/1.1 200 OK\r\nX: ", end="drip"),
        Break(end="drip", drop=b"HTTP/1.1 102 Processing\r\n\r\n"),
    ],
    ids=["a body that drips", "a body that hangs", "a head that drips", "1xx without end"],
)
async def test_the_deadline_is_of_the_whole_call_over_rest(rest_port, how):
    with front_of(rest_port) as front:
        front.break_with(how)
        async with aclosing(RestClient(f"127.0.0.1:{front.port}")) as client:
            async with asyncio.timeout(30):
                with pytest.raises(CallError) as late:
                    await client.statuses("demo", timeout_seconds=0.5)
            assert late.value.code is Code.DEADLINE_EXCEEDED
            front.break_with(None)
            assert len(await client.statuses("demo", timeout_seconds=10)) == 1


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(b" " * (17 << 20)), "more than 16777216 bytes"),
        (Reply(b" " * (17 << 20), 500), "more than 16777216 bytes"),
        (Reply(gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"}), "compressed"),
        (Reply(b"[" * 100_000), "not JSON"),
    ],
    ids=["large", "a large error", "compressed", "nested"],
)
async def test_an_answer_over_rest_is_plain_and_bounded(fake, rest_port, reply, words):
    fake.garbage = Garbage("bounds", "model_card", rest=lambda _: reply)
    async with aclosing(RestClient(f"127.0.0.1:{rest_port}")) as client:
        with pytest.raises(AnswerError, match=words):
            await card(client)
        fake.garbage = None
        assert len((await card(client)).outputs["card"]) == 1


async def test_no_cookies_are_kept(fake, rest_port):
    reply = Reply(b"{}", headers={"Set-Cookie": "a=b"})
    fake.garbage = Garbage("cookies", "status", rest=lambda _: reply)
    async with aclosing(RestClient(f"127.0.0.1:{rest_port}")) as client:
        with pytest.raises(AnswerError):
            await client.statuses("demo", timeout_seconds=10)
        assert not client._client.cookies


def large(message):
    message.outputs["other"].string_val.append(bytes(17 << 20))
    return message.SerializeToString()


@pytest.mark.parametrize(
    ("garble", "words"),
    [(large, "larger than max"), (lambda _: b"\xff" * 9, "no message of its kind")],
    ids=["large", "unparsable"],
)
async def test_an_answer_over_grpc_is_a_message_and_bounded(fake, garble, words):
    fake.garbage = Garbage("bounds", "model_card", grpc=garble)
    async with aclosing(GrpcClient(f"127.0.0.1:{fake.port}")) as client:
        with pytest.raises(AnswerError, match=words):
            await card(client)
        fake.garbage = None
        assert len((await card(client)).outputs["card"]) == 1


async def test_outputs_that_nobody_asked_for_are_not_read(fake):
    def another(message):
        message.outputs["other"].dtype = 1
        message.outputs["other"].tensor_shape.dim.add(size=1 << 40)
        return message.SerializeToString()

    fake.garbage = Garbage("more", "model_card", grpc=another)
    async with aclosing(GrpcClient(f"127.0.0.1:{fake.port}")) as client:
        assert list((await card(client)).outputs) == ["card"]


async def test_an_answer_of_another_version_is_none(fake):
    def another(message):
        message.model_spec.version.value = 7
        return message.SerializeToString()

    async with aclosing(GrpcClient(f"127.0.0.1:{fake.port}")) as client:
        fake.garbage = Garbage("other version", "model_card", grpc=another)
        with pytest.raises(AnswerError, match="version 7 answers for version 1"):
            await card(client)
        served = ModelSpec("demo", signature_name="model_card")
        assert (await card(client, served)).version == 7
        fake.garbage = Garbage("other version", "metadata", grpc=another)
        with pytest.raises(AnswerError, match="version 7 answers for version 1"):
            await client.metadata(ModelSpec("demo", version=1), timeout_seconds=10)


async def test_a_call_of_a_closed_client_is_unavailable(fake):
    client = GrpcClient(f"127.0.0.1:{fake.port}")
    await client.aclose()
    with pytest.raises(CallError) as closed:
        await client.statuses("demo", timeout_seconds=10)
    assert closed.value.code is Code.UNAVAILABLE


@contextmanager
def compressing_server(content):
    """Answers Predict with these bytes, compressed, whoever asked for what."""

    def predict(_, context):
        context.set_compression(grpc.Compression.Gzip)
        return content

    server = grpc.server(ThreadPoolExecutor(1), compression=grpc.Compression.Gzip)
    handler = grpc.unary_unary_rpc_method_handler(predict)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(PREDICTION, {"Predict": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None).wait()


async def test_compressed_messages_are_not_unpacked():
    message = inference_pb2.PredictResponse()
    message.model_spec.version.value = 1
    message.outputs["card"].string_val.append(bytes(100_000_000))
    with compressing_server(message.SerializeToString()) as port:
        async with aclosing(GrpcClient(f"127.0.0.1:{port}")) as client:
            with pytest.raises((AnswerError, CallError)):
                await card(client)
