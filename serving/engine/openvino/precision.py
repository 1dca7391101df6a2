"""Which precision a version is served in: proven by its gate, known to the CPU, and the fastest."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import numpy as np
import openvino as ov

from protocol.codes import Code
from serving.core.errors import ServingError
from serving.engine import AUTO, OpenVinoOptions, choices, machine
from serving.engine.openvino.network import Network
from serving.engine.openvino.version_files import FOLDER, PROVEN_FILE, VersionFiles

_log = logging.getLogger(__name__)

_BATCH_SIZE: Final = 8
_ROUNDS: Final = 5
_MOST_SECONDS: Final = 3.0
_SEED: Final = 20


def open_network(files: VersionFiles, options: OpenVinoOptions) -> Network:
    """The network of a proven version, in the precision that was asked for or is the fastest.

    Raises:
        ServingError: FAILED_PRECONDITION for a precision that is not proven; DATA_LOSS for a
            damaged IR.
    """

    def compiled(precision: str) -> Network:
        try:
            return Network(str(files.ir(precision)), precision, options)
        except ServingError as error:
            raise ServingError(
                Code.DATA_LOSS, f"{files.ir(precision)} cannot be read by OpenVINO"
            ) from error

    if options.precision != AUTO:
        require_proven(files, options.precision)
        return compiled(options.precision)
    usable = [each for each in files.precisions if each != "bf16" or machine.has_bfloat16()]
    if len(usable) == 1:
        return compiled(usable[0])
    key = choices.key_of(
        "precision",
        machine.processor(),
        ov.get_version(),
        options.threads,
        options.streams,
        machine.cores(),
        (files.path / FOLDER / PROVEN_FILE).read_bytes(),
        files.ir("f32").stat().st_size,
    )
    known = choices.recall(options.cache_dir, key)
    if known in usable:
        return compiled(known)
    network = _fastest({each: compiled(each) for each in usable}, files)
    choices.remember(options.cache_dir, key, network.precision)
    return network


def require_proven(files: VersionFiles, precision: str) -> None:
    """Refuse a precision that the gate has not passed.

    Raises:
        ServingError: FAILED_PRECONDITION.
    """
    if precision not in files.precisions:
        proven = ", ".join(files.precisions) or "none"
        raise ServingError(
            Code.FAILED_PRECONDITION,
            f"{files.path} is not proven in {precision} on the engine openvino (proven: {proven})",
        )


def _fastest(networks: Mapping[str, Network], files: VersionFiles) -> Network:
    """Of several, measured in turns on noise; the others are freed."""
    card = files.card
    assert card is not None  # noqa: S101 - a proven version has one; for the type checker
    random = np.random.default_rng(_SEED)
    shape = (_BATCH_SIZE, card.image.height, card.image.width, 3)
    images = random.integers(0, 256, shape, np.uint8)
    seconds = in_turns({name: partial(each.run, [images]) for name, each in networks.items()})
    best = min(seconds, key=lambda name: seconds[name])
    figures = ", ".join(f"{name} {1000 * each:.1f} ms" for name, each in seconds.items())
    _log.info("%s: %s of %s for %d images", files.path, best, figures, _BATCH_SIZE)
    for name, network in networks.items():
        if name != best:
            network.close()
    return networks[best]


def in_turns(calls: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of each call, so that a busy moment slows all alike."""
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    end = time.monotonic() + _MOST_SECONDS
    for done in range(_ROUNDS):
        if done and time.monotonic() > end:
            break
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            samples[name].append(time.perf_counter() - started)
    return {name: statistics.median(each) for name, each in samples.items()}
