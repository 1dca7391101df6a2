"""The names of the signatures and tensors that every exported model carries, written once.

| signature         | input                       | output                              |
|-------------------|-----------------------------|-------------------------------------|
| `serving_default` | `images` uint8 [N,H,W,3]    | `probabilities` float32 [N,C]       |
| `top_k`           | `images` uint8 [N,H,W,3]    | `probabilities` float32 [N,K],      |
|                   |                             | `class_indices` int32 [N,K],        |
|                   |                             | `labels` string [N,K]; descending,  |
|                   |                             | ties to the lower index             |
| `top_k_raw`       | `pixels` string [N], H*W*3  | as `top_k`                          |
|                   | bytes each                  |                                     |
| `top_k_encoded`   | `image_bytes` string [N],   | as `top_k`                          |
|                   | JPEG, PNG, GIF or BMP files |                                     |
| `model_card`      | `query` int32 [N]           | `card` string [N]: JSON, N times    |
"""

from __future__ import annotations

from typing import Final

SERVING_DEFAULT: Final = "serving_default"
TOP_K: Final = "top_k"
TOP_K_RAW: Final = "top_k_raw"
TOP_K_ENCODED: Final = "top_k_encoded"
MODEL_CARD: Final = "model_card"

SIGNATURE_NAMES: Final = (SERVING_DEFAULT, TOP_K, TOP_K_RAW, TOP_K_ENCODED, MODEL_CARD)

IMAGES: Final = "images"
PIXELS: Final = "pixels"
# TensorFlow Serving writes outputs whose names end in "_bytes" as {"b64": ...}; this is an input.
IMAGE_BYTES: Final = "image_bytes"
QUERY: Final = "query"

PROBABILITIES: Final = "probabilities"
CLASS_INDICES: Final = "class_indices"
LABELS: Final = "labels"
CARD: Final = "card"

DEFAULT_K: Final = 10
"""K = min(C, DEFAULT_K) unless the exporter is told otherwise."""
