"""How much the embedded server adds to TensorFlow, as ratios measured in one run.

    python bench/serving_speed.py single     one client, a trivial graph, one 224x224x3 image
    python bench/serving_speed.py batched    MobileNetV2 frozen, 32 clients, batching on

`single` compares Predict with the in-process run of the same signature plus a bare grpcio echo of
the same bytes; `batched` compares images per second with the in-process ones at the best batch
size. The second needs a frozen SavedModel with a uint8 images input: `--model DIRECTORY/VERSION`,
by default one is made (random weights).
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import grpc
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from protocol.messages.inference_pb2 import PredictRequest
from protocol.tensors import write_proto
from tests.support.model_server import running_model_server

SIDE = 224
PREDICT = "/tensorflow.serving.PredictionService/Predict"


def main() -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["single", "batched"])
    parser.add_argument("--model", type=Path, help="directory of a version, for `batched`")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        if arguments.what == "single":
            single(Path(directory))
        else:
            batched(Path(directory), arguments)


def request_bytes(
    name: str, images: np.ndarray, alias: str = "images", signature_name: str = ""
) -> bytes:
    """A serialized PredictRequest for one input."""
    request = PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature_name
    write_proto(images, request.inputs[alias], as_content=True)
    return request.SerializeToString()


def single(directory: Path) -> None:
    """Medians over interleaved rounds, so that a busy machine slows all three alike."""
    isolated(save_trivial, directory / "trivial" / "1")
    image = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    body = request_bytes("trivial", image)
    flags = ["--model_name=trivial", f"--model_base_path={directory}/trivial"]
    with running_model_server(directory, *flags) as server, echo_server() as echo_address:
        in_process = signature_call(directory / "trivial" / "1")
        predict = grpc.insecure_channel(server.grpc_address).unary_unary(PREDICT)
        echo = grpc.insecure_channel(echo_address).unary_unary("/echo/Echo")
        calls = {
            "signature call": lambda: in_process(image),
            "bare echo": lambda: echo(body),
            "Predict": lambda: predict(body),
        }
        rounds = {name: [] for name in calls}
        for _ in range(20):
            for name, call in calls.items():
                rounds[name].append(median_seconds(call))
    times = {name: statistics.median(samples) for name, samples in rounds.items()}
    for name, seconds in times.items():
        print(f"{name:16} {seconds * 1e6:8.0f} us")
    floor = times["signature call"] + times["bare echo"]
    print(f"ratio            {times['Predict'] / floor:8.2f}    (wanted: below 2)")


def median_seconds(call: Callable[[], Any], count: int = 100) -> float:
    """The median time of a call."""
    samples = []
    for _ in range(count):
        started = time.perf_counter()
        call()
        samples.append(time.perf_counter() - started)
    return statistics.median(samples)


def save_trivial(path: Path) -> None:
    """A model that reads three bytes of its image."""
    import tensorflow as tf  # noqa: PLC0415 - only in the processes that need it

    module = tf.Module()
    spec = tf.TensorSpec([None, SIDE, SIDE, 3], tf.uint8, name="images")

    @tf.function(input_signature=[spec])
    def mean(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"mean": tf.reduce_mean(tf.cast(images[:, 0, 0], tf.float32), 1)}

    module.mean = mean
    tf.saved_model.save(module, str(path), signatures=mean)


def signature_call(path: Path) -> Callable[[np.ndarray], Any]:
    """The default signature of a SavedModel, in this process."""
    import tensorflow as tf  # noqa: PLC0415 - only in the processes that need it

    loaded = tf.saved_model.load(str(path))
    signature = loaded.signatures["serving_default"]

    def call(image: np.ndarray) -> Any:
        loaded  # noqa: B018 - signatures do not keep their model alive
        return signature(images=tf.constant(image))

    call(np.zeros((1, SIDE, SIDE, 3), np.uint8))
    return call


@contextmanager
def echo_server() -> Iterator[str]:
    """A process of its own that answers every request with its bytes; its address."""
    receiver, sender = multiprocessing.get_context("spawn").Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=run_echo, args=(sender,))
    process.start()
    try:
        yield f"127.0.0.1:{receiver.recv()}"
    finally:
        process.terminate()
        process.join()


def run_echo(sender: Connection) -> None:
    """Serve echoes; sends the port."""
    handler = grpc.unary_unary_rpc_method_handler(lambda body, _: body)
    server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("echo", {"Echo": handler})]
    )
    sender.send(server.add_insecure_port("127.0.0.1:0"))
    server.start()
    server.wait_for_termination()


def batched(directory: Path, arguments: argparse.Namespace) -> None:
    """Throughput of a real network, served in batches and in process."""
    version = arguments.model or directory / "mobilenet" / "1"
    if not arguments.model:
        isolated(save_mobilenet, version)
    best_size, in_process = isolated(in_process_throughput, version)
    print(f"in process       {in_process:8.1f} images/s at batch {best_size}")
    config = directory / "batching.config"
    config.write_text(
        f"max_batch_size {{ value: {best_size} }} batch_timeout_micros {{ value: 5000 }} "
        "max_enqueued_batches { value: 100 } num_batch_threads { value: 2 }"
    )
    flags = [
        "--model_name=net",
        f"--model_base_path={version.parent}",
        "--enable_batching",
        f"--batching_parameters_file={config}",
        f"--grpc_max_threads={2 * arguments.clients}",
        # Two batches at a time, each on one thread: fastest on two cores (docs/serving.md).
        "--tensorflow_intra_op_parallelism=1",
        "--tensorflow_inter_op_parallelism=2",
    ]
    with running_model_server(directory, *flags) as server:
        load(server.grpc_address, arguments.clients, 5.0)
        served = load(server.grpc_address, arguments.clients, arguments.seconds)
    _, afterwards = isolated(in_process_throughput, version, (best_size,))
    in_process = (in_process + afterwards) / 2
    print(f"in process again {afterwards:8.1f} images/s")
    print(f"served           {served:8.1f} images/s to {arguments.clients} clients")
    print(f"ratio            {served / in_process:8.2f}    (wanted: 0.85 or more)")


def load(address: str, clients: int, seconds: float) -> float:
    """Answers per second to `clients` closed-loop clients in a process of their own."""
    return isolated(run_clients, address, clients, seconds)


def run_clients(address: str, clients: int, seconds: float) -> float:
    """As load, in this process."""
    body = request_bytes("net", np.zeros((1, SIDE, SIDE, 3), np.uint8))
    return closed_loop(address, body, clients, seconds)


def closed_loop(address: str, body: bytes, clients: int, seconds: float) -> float:
    """Predict calls per second of clients in threads of this process, each waiting for its own."""
    started = time.monotonic()

    def run(_: int) -> int:
        with grpc.insecure_channel(address) as channel:
            predict = channel.unary_unary(PREDICT)
            count = 0
            while time.monotonic() < started + seconds:
                predict(body, timeout=60)
                count += 1
            return count

    with futures.ThreadPoolExecutor(clients) as pool:
        return sum(pool.map(run, range(clients))) / (time.monotonic() - started)


def in_process_throughput(version: Path, sizes: tuple[int, ...] = (8, 16, 32)) -> tuple[int, float]:
    """The best batch size of a few and its images per second."""
    import tensorflow as tf  # noqa: PLC0415 - only in the processes that need it

    loaded = tf.saved_model.load(str(version))
    signature = loaded.signatures["serving_default"]
    rates = {}
    for size in sizes:
        images = tf.zeros((size, SIDE, SIDE, 3), tf.uint8)
        signature(images=images)
        started, count = time.perf_counter(), 0
        while time.perf_counter() - started < 5:
            signature(images=images)
            count += size
        rates[size] = count / (time.perf_counter() - started)
    best = max(rates, key=rates.__getitem__)
    return best, rates[best]


def save_mobilenet(version: Path) -> None:
    """MobileNetV2 with random weights, uint8 in, its variables frozen to constants."""
    import keras  # noqa: PLC0415 - only in the processes that need it
    import tensorflow as tf  # noqa: PLC0415 - only in the processes that need it
    from tensorflow.python.framework import convert_to_constants  # noqa: PLC0415 - as above

    model = keras.applications.MobileNetV2(weights=None)

    @tf.function(input_signature=[tf.TensorSpec([None, SIDE, SIDE, 3], tf.uint8, name="images")])
    def predict(images: tf.Tensor) -> tf.Tensor:
        return model(tf.cast(images, tf.float32) / 127.5 - 1.0, training=False)

    frozen = convert_to_constants.convert_variables_to_constants_v2(predict.get_concrete_function())
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, SIDE, SIDE, 3], tf.uint8, name="images")])
    def serve(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": frozen(images)[0]}

    module.serve = serve
    tf.saved_model.save(module, str(version), signatures=serve)


def isolated(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call in a fresh process: TensorFlow keeps its threads and memory."""
    with futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


if __name__ == "__main__":
    main()
