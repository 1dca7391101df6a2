"""Decoding and a gRPC call to our model server in one process: the shortest way to an answer.

As `bench.race.floor`, told what to do line by line.

    python -m bench.race.direct 127.0.0.1:8500 FOLDER
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from bench.race.prepare import NAME
from contract.image_spec import ImageSpec
from contract.pixels import decode
from protocol.client import Input
from protocol.grpc_client import GrpcClient
from protocol.models import ModelSpec
from sightserve.bench.load import Ask, closed_loop, event_loop, open_loop

_SPEC = ModelSpec(NAME, signature_name="top_k")
_IMAGE = ImageSpec(height=224, width=224)
_WARM_SECONDS = 0.5


def asker(client: GrpcClient, contents: list[bytes], pool: ThreadPoolExecutor) -> Ask:
    """Decodes in a thread, then asks."""

    async def ask(number: int) -> str:
        data = contents[number % len(contents)]
        loop = asyncio.get_running_loop()
        pixels = await loop.run_in_executor(pool, decode, data, _IMAGE)
        images = Input.of_array("images", np.asarray(pixels)[np.newaxis], client)
        await client.predict(_SPEC, images, timeout_seconds=60)
        return ""

    return ask


async def run(address: str, folder: Path) -> None:
    """Answer line by line."""
    contents = [
        file.read_bytes() for file in sorted((folder / "pictures" / "500x375").glob("*.jpg"))
    ]
    client = GrpcClient(address)
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool, ThreadPoolExecutor(1) as reader:
        ask = asker(client, contents, pool)
        await ask(0)
        print(json.dumps({"ready": address}), flush=True)
        while line := await loop.run_in_executor(reader, sys.stdin.readline):
            print(json.dumps(await _answer(json.loads(line), ask)), flush=True)
    await client.aclose()


async def _answer(order: dict[str, Any], ask: Ask) -> dict[str, Any]:
    if order["do"] == "one":
        sample = await closed_loop(ask, 1, order["seconds"], _WARM_SECONDS)
    else:
        sample = await open_loop(ask, order["rate"], order["seconds"], _WARM_SECONDS)
    return sample.to_json()


def main() -> None:
    """Read the command line."""
    with asyncio.Runner(loop_factory=event_loop) as runner:
        runner.run(run(sys.argv[1], Path(sys.argv[2])))


if __name__ == "__main__":
    main()
