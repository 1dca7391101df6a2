"""The engine OpenVINO: versions that the exporter has converted, and what else it can convert.

Of a classifier only the network is OpenVINO's: files, strings and ranks are answered around it, as
TensorFlow's graph would.

    pixels ─► unpack ─┐
                      ├─► images ─► network (OpenVINO) ─► probabilities ─► top k, labels
    image_bytes ─► decode
"""

from __future__ import annotations

from serving.engine.openvino.engine import OpenVinoEngine


def create_engine() -> OpenVinoEngine:
    """What `import_engine` looks for."""
    return OpenVinoEngine()
