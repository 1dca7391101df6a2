"""(c) LitServe with batching, on the frozen graph that we serve.

After https://lightning.ai/docs/litserve/features/batching and .../speed-up-serving-by-200x: base64
in JSON, decoding in `decode_request`, one stacked call in `predict`.
"""

from __future__ import annotations

import base64
import os
from typing import Any

import litserve
import numpy as np

from bench.race.baselines.answers import answer_of, pixels_of


class Classifier(litserve.LitAPI):
    """Load, decode, stack, ask, answer."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's signature
        """Load the SavedModel, with as many threads as the setting says."""
        import tensorflow as tf  # noqa: PLC0415 - in the workers only

        if threads := int(os.environ["RACE_THREADS"]):
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        self.model = tf.saved_model.load(os.environ["RACE_VERSION"])
        self.call = self.model.signatures["serving_default"]
        self.constant = tf.constant

    def decode_request(self, request: dict[str, str]) -> np.ndarray:
        """JSON to uint8 [224,224,3]."""
        return pixels_of(base64.b64decode(request["image_data"]))

    def batch(self, inputs: list[np.ndarray]) -> np.ndarray:
        """Pictures to [N,224,224,3]."""
        return np.stack(inputs)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Probabilities [N,C]."""
        return self.call(images=self.constant(x))["probabilities"].numpy()

    def unbatch(self, output: np.ndarray) -> list[np.ndarray]:
        """A row a picture."""
        return list(output)

    def encode_response(self, output: np.ndarray) -> dict[str, Any]:
        """The five best."""
        return answer_of(output)


if __name__ == "__main__":
    api = Classifier(
        max_batch_size=int(os.environ["RACE_BATCH"]), batch_timeout=0.005, api_path="/classify"
    )
    litserve.LitServer(
        api,
        accelerator="cpu",
        workers_per_device=int(os.environ["RACE_WORKERS"]),
        fast_queue=bool(int(os.environ["RACE_FAST_QUEUE"])),
    ).run(
        host="127.0.0.1",
        port=int(os.environ["RACE_PORT"]),
        generate_client_file=False,
        access_log=False,
    )
