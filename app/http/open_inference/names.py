"""The protocol's words for our tensors, and which paths are its own."""

from __future__ import annotations

from typing import Final

PREFIX: Final = "/v2"
LIVE: Final = "/v2/health/live"
READY: Final = "/v2/health/ready"
INFER: Final = "/v2/models/{name}/infer"

HEADER_LENGTH: Final = "Inference-Header-Content-Length"
"""Of the JSON before the binary data; without it the whole body is JSON."""
BINARY_EXTENSION: Final = "binary_tensor_data"

IMAGES: Final = "images"
LABELS: Final = "labels"
PROBABILITIES: Final = "probabilities"
CLASS_INDICES: Final = "class_indices"

DATATYPES: Final = {LABELS: "BYTES", PROBABILITIES: "FP32", CLASS_INDICES: "INT32"}
"""Of the outputs, in the order in which they are answered where none is asked for."""


def is_open_inference(path: str) -> bool:
    """Whether the protocol says what an answer at this path looks like, errors too."""
    return path == PREFIX or path.startswith(PREFIX + "/")
