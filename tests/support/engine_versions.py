"""A small classifier with an IR for OpenVINO, published by the exporter as users do."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.support import stack
from tests.support.exporter_models import CLASSES, SIDE, tiny_keras

LABELS = [f"größe {number}" if number == 3 else f"label {number}" for number in range(CLASSES)]


def publish(base_path: Path, name: str = "tiny") -> Path:
    """Publish version 1 of `name` below `base_path`; its directory."""
    base_path.mkdir(parents=True, exist_ok=True)
    file = base_path.parent / f"{base_path.name}-{name}.keras"
    tiny_keras().save(file)
    stack.export(
        "export",
        *("--keras", str(file), "--name", name, "--base-path", str(base_path)),
        *("--labels", ",".join(LABELS), "--preprocess", "none", "--openvino", "always"),
    )
    return base_path / name / "1"


def pictures(count: int) -> np.ndarray:
    """Noise and flat colours: uint8 [count,SIDE,SIDE,3]."""
    random = np.random.default_rng(5)
    noise = random.integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)
    noise[::3] = (noise[::3] // 86) * 86
    return noise
