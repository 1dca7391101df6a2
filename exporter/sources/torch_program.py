"""A PyTorch program (torch.export) as a source: by way of ONNX, asked through PyTorch itself."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import weakref
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from exporter.batches import ask_in_batches, images_at_once
from exporter.children import dying_with_us
from exporter.errors import FailedError
from exporter.sources import onnx_graph
from exporter.sources.network import Network
from exporter.sources.onnx_file import digest, in_layout, to_network
from exporter.sources.onnx_graph import OnnxImages
from exporter.sources.torch_archive import ONLY_TENSORS, inspect_archive

_RUNTIME: Final = Path(__file__).with_name("torch_runtime.py")
_PREDICT_BATCH_SIZE: Final = 8
_STOP_TIMEOUT_SECONDS: Final = 10.0


def load_torch(
    path: Path,
    *,
    output: str | None = None,
    image_size: tuple[int, int] | None = None,
    python: str,
    timeout_seconds: float,
) -> Network:
    """Load a classifier that torch.export.save wrote.

    Args:
        path: the .pt2 file.
        output: which output holds the scores, by its name in the ONNX graph; None: the only one.
        image_size: height, width, where the program leaves them open.
        python: an interpreter that has PyTorch, onnx and onnxscript.
        timeout_seconds: how long the conversion from ONNX may take.

    Raises:
        UsageError: no such archive, no RGB classifier, or operators that cannot be converted.
        FailedError: PyTorch or the converter fails.
        RefusedError: the converted graph answers something else, or one image only.
    """
    inspect_archive(path)
    with tempfile.TemporaryDirectory(prefix="sightserve-torch-") as scratch:
        onnx_file = Path(scratch) / "program.onnx"
        runtime = _Runtime(python, path, onnx_file)
        model = onnx_graph.read_model(onnx_file, "--torch")
    try:
        images = onnx_graph.find_images(model, path.name)
        index = onnx_graph.choose_output(model, output, path.name)
        runtime.begin(images, index)
        return to_network(
            model,
            images,
            runtime,
            kind="torch",
            name=path.name,
            sha256=digest([path]),
            output=index,
            image_size=image_size,
            timeout_seconds=timeout_seconds,
        )
    except BaseException:
        runtime.close()
        raise


class _Runtime:
    """PyTorch in a child, which ends with this object: float32 [N,H,W,3] to float32 [N,C]."""

    def __init__(self, python: str, path: Path, onnx_file: Path) -> None:
        self._name = f"--torch {path}"
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the child
        command = [python, "-P", str(_RUNTIME), str(path.resolve()), str(onnx_file)]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the operator's own interpreter
                dying_with_us(command),
                env={**os.environ, **ONLY_TENSORS},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                process_group=0,  # a Ctrl-C is ours to handle
            )
        except OSError as error:
            raise FailedError(f"{self._name}: cannot start {python}: {error}") from error
        self.close = weakref.finalize(self, _stop, self._process, self._log)
        try:
            self._hear()
        except BaseException:
            self.close()
            raise

    def begin(self, images: OnnxImages, output: int) -> None:
        """Say what is asked from now on."""
        self._images = images
        self._stdin.write(f"{output}\n".encode())

    def __call__(self, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        size = self._images.batch or images_at_once(_PREDICT_BATCH_SIZE, *pixels.shape[1:3])
        return ask_in_batches(self._ask, pixels, size)

    def _ask(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        buffer = BytesIO()
        np.save(buffer, in_layout(batch, self._images), allow_pickle=False)
        with suppress(BrokenPipeError):  # it is gone; what it said last tells why
            self._stdin.write(b"%d\n" % len(buffer.getvalue()))
            self._stdin.write(buffer.getvalue())
            self._stdin.flush()
        self._hear()
        scores = self._stdout.read(int(self._stdout.readline()))
        answer: npt.NDArray[np.float32] = np.load(BytesIO(scores), allow_pickle=False)
        return answer

    def _hear(self) -> None:
        line = self._stdout.readline()
        if not line:
            raise FailedError(f"{self._name}: {self._last_words()}")
        error = json.loads(line)["error"]
        if error and error.startswith("ModuleNotFoundError"):
            raise FailedError(
                f"{self._name}: {error.partition(': ')[2]}; PyTorch, onnx and onnxscript are "
                "needed: `make torch`, then EXPORTER_TORCH_PYTHON=.venv-torch/bin/python"
            )
        if error:
            raise FailedError(f"{self._name}: PyTorch fails: {error}")

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return f"PyTorch's process ended: {said[-1] if said else 'it said nothing'}"

    @property
    def _stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None  # noqa: S101 - for the type checker
        return self._process.stdin

    @property
    def _stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        return self._process.stdout


def _stop(process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            _close(pipe)
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    log.close()


def _close(pipe: IO[Any]) -> None:
    with suppress(BrokenPipeError):  # what was buffered has nobody to read it
        pipe.close()
