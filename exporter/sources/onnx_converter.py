"""ONNX to a SavedModel, as a program of its own: `onnx_converter.py MODEL.onnx LAYOUT FOLDER`.

A process, because the converter fills memory, prints, leaves with `sys.exit`, and brings the Keras
of old, which cannot be set beside the new one. It imports nothing of ours, and its log goes to
whoever started it.

    MODEL.onnx   one image input with a free batch dimension, one output; rewritten on the way
    LAYOUT       of that input: nchw or nhwc
    FOLDER       for the SavedModel, whose function `scores` takes [N,H,W,3] whatever the layout was
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


def convert(model_file: Path, layout: str, folder: Path) -> None:
    """Write the SavedModel; ends the process where the converter does."""
    import onnx  # noqa: PLC0415 - as below
    import onnx2tf  # noqa: PLC0415 - brings TensorFlow
    import tensorflow as tf  # noqa: PLC0415 - seconds

    name = onnx.load(model_file, load_external_data=False).graph.input[0].name
    model = onnx2tf.convert(
        input_onnx_file_path=str(model_file),
        output_folder_path=str(folder),
        not_use_onnxsim=True,
        disable_model_save=True,  # else it writes .tflite files
        keep_nwc_or_nhwc_or_ndhwc_input_names=[name] if layout == "nhwc" else None,
        verbosity="error",
    )

    def scores(images: Any) -> Any:
        answer = model(images, training=False)
        return answer[0] if isinstance(answer, list | tuple) else answer

    spec = tf.TensorSpec(model.inputs[0].shape, model.inputs[0].dtype, "images")
    module = tf.Module()
    module.weights = list(model.variables)  # not the model: each of its layers would be traced
    module.scores = tf.function(scores, input_signature=[spec], autograph=False)
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, str(folder), options=options)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
