"""A torch.export archive turned into ONNX and answered, as a program of its own.

`torch_runtime.py FILE.pt2 MODEL.onnx`: writes the ONNX file, says so, then answers until its
standard input ends. Its interpreter may be another than the exporter's (PyTorch is as large as all
the rest), so it imports PyTorch, NumPy and nothing of ours.

    it says   one line of JSON: {"error": text or null}
    it hears  one line: the index of the output that is wanted
    it hears  a line with a number of bytes, and so many: an array in NumPy's file format, as the
              program takes it; any number of times
    it says   one line of JSON as above, and without error the scores, float32, the same way
"""

from __future__ import annotations

import json
import os
import sys
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np


def main(program_file: str, onnx_file: str) -> None:
    """Write the ONNX file and serve until standard input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what PyTorch prints goes to the log, never between the answers
    try:
        module, dtype = _load(program_file, onnx_file)
    except Exception as error:  # noqa: BLE001 - any of PyTorch's, told to who asked
        _say(answers, error)
        return
    _say(answers, None)
    questions = sys.stdin.buffer
    index = int(questions.readline() or b"0")
    while size := questions.readline():
        images = np.load(BytesIO(questions.read(int(size))), allow_pickle=False)
        _answer(answers, module, dtype, images, index)


def _load(program_file: str, onnx_file: str) -> tuple[Any, Any]:
    import torch  # noqa: PLC0415 - seconds

    program = torch.export.load(program_file)
    inputs = program.graph_signature.user_inputs
    images = [node for node in program.graph.nodes if node.name in inputs]
    dtype = images[0].meta["val"].dtype
    exported = torch.onnx.export(program, dynamo=True, external_data=False)
    exported.save(onnx_file)
    return program.module(), dtype


def _answer(
    answers: BinaryIO, module: Any, dtype: Any, images: np.ndarray[Any, Any], index: int
) -> None:
    import torch  # noqa: PLC0415 - loaded already

    try:
        with torch.no_grad():
            found = _leaves(module(torch.from_numpy(images).to(dtype)))[index]
            scores = found.float().contiguous().numpy()
    except Exception as error:  # noqa: BLE001 - as above
        _say(answers, error)
        return
    _say(answers, None, flush=False)
    buffer = BytesIO()
    np.save(buffer, scores, allow_pickle=False)
    answers.write(b"%d\n" % len(buffer.getvalue()))
    answers.write(buffer.getvalue())
    answers.flush()


def _leaves(answer: Any) -> list[Any]:
    """The tensors of an answer in the order of ONNX's outputs."""
    if isinstance(answer, dict):
        answer = list(answer.values())
    if isinstance(answer, list | tuple):
        return [leaf for each in answer for leaf in _leaves(each)]
    return [answer]


def _say(answers: BinaryIO, error: Exception | None, *, flush: bool = True) -> None:
    text = None
    if error is not None:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    answers.write(json.dumps({"error": text}).encode() + b"\n")
    if flush:
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
