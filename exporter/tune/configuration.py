"""What is tried: settings of the model server and of the gateway before it, as values.

Zero is always "as the server chooses", and gives no flag.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal, Self

Engine = Literal["tensorflow", "openvino"]

GRPC_THREADS: Final = 64
"""Requests that the model server works on at a time: as many as a gateway may have in flight."""
_BATCH_TIMEOUT_MICROS: Final = 1000
"""The longest wait of the model server's own batching for a fuller batch."""


@dataclass(frozen=True, slots=True)
class ModelServerSettings:
    """One way to start the model server."""

    engine: Engine = "tensorflow"
    precision: str = "float32"
    """Of TensorFlow what the version was exported in, of OpenVINO f32, bf16 or int8."""
    parallel: int = 0
    """Requests computed at a time: inter-op threads of TensorFlow, streams of OpenVINO."""
    threads: int = 0
    """Threads for one of them with TensorFlow (intra-op), for all together with OpenVINO."""
    server_batch_size: int = 0
    """Of the model server's own batching; 0: off."""

    @property
    def proof(self) -> tuple[Engine, str]:
        """What the gate proves: an engine in a precision, however many threads it has."""
        return self.engine, self.precision

    def flags(self, batching_file: str) -> Iterator[str]:
        """Of the command line, without what and where it serves."""
        if self.engine == "openvino":
            yield "--engine=openvino"
            yield f"--openvino_precision={self.precision}"
            names = ("openvino_streams", "openvino_threads")
        else:  # no --engine: TensorFlow's own server does not know the flag
            names = ("tensorflow_inter_op_parallelism", "tensorflow_intra_op_parallelism")
        for name, value in zip(names, (self.parallel, self.threads), strict=True):
            if value:
                yield f"--{name}={value}"
        if self.server_batch_size:
            yield "--enable_batching"
            yield f"--batching_parameters_file={batching_file}"
        yield f"--grpc_max_threads={GRPC_THREADS}"

    def batching_parameters(self, cores: int) -> str:
        """The file that --batching_parameters_file names; empty where batching is off."""
        if not self.server_batch_size:
            return ""
        return (
            f"max_batch_size {{ value: {self.server_batch_size} }}\n"
            f"batch_timeout_micros {{ value: {_BATCH_TIMEOUT_MICROS} }}\n"
            f"max_enqueued_batches {{ value: {GRPC_THREADS} }}\n"
            f"num_batch_threads {{ value: {self.parallel or cores} }}\n"
        )

    def __str__(self) -> str:
        batching = f", server batches of {self.server_batch_size}" if self.server_batch_size else ""
        return f"{self.engine} {self.precision}, {self.threads_text}{batching}"

    @property
    def threads_text(self) -> str:
        """In the words of the engine's flags."""
        if not (self.parallel or self.threads):
            return "default threads"
        if self.engine == "openvino":
            return f"streams {self.parallel}, threads {self.threads}"
        return f"inter-op {self.parallel}, intra-op {self.threads}"


@dataclass(frozen=True, slots=True)
class Configuration:
    """The model server's settings, and how the gateway asks it."""

    server: ModelServerSettings
    batch_size: int
    """Images per call at most."""
    in_flight: int
    """Calls at a time."""

    def gateway_environment(self) -> dict[str, str]:
        """The gateway's variables."""
        return {
            "GATEWAY_MAX_BATCH_SIZE": str(self.batch_size),
            "GATEWAY_MAX_IN_FLIGHT_BATCHES": str(self.in_flight),
        }

    def asked(self, batch_size: int, in_flight: int) -> Self:
        """The same model server, asked otherwise."""
        return replace(self, batch_size=batch_size, in_flight=in_flight)

    def __str__(self) -> str:
        return f"{self.server}; batches of {self.batch_size}, {self.in_flight} in flight"


DEFAULT_BATCH_SIZE: Final = 32
DEFAULT_IN_FLIGHT: Final = 2
"""The gateway's own defaults."""


def default(precision: str) -> Configuration:
    """What runs where nobody has tuned: the yardstick of the others."""
    return Configuration(
        ModelServerSettings(precision=precision), DEFAULT_BATCH_SIZE, DEFAULT_IN_FLIGHT
    )
