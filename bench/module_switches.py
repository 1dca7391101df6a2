"""How many turns one photo takes through our modules: what a reader of the hot path must follow.

    python -m bench.module_switches            (another tree: PYTHONPATH=TREE python FILE)

One photo is posted to a gateway in this process (no socket before it, a fake model server behind
it). Counted is how often the module changes from one call of a Python function of ours to the
next, in the event loop and the decode threads, resumed coroutines included: a property of the
code, so the number is the same on every machine, but for a timer's tick that falls into it.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import threading
from collections import Counter
from types import FrameType
from typing import Any

import httpx
import numpy as np

from app.main import create_app
from app.settings.gateway import Settings
from tests.support.fake_model_server import FakeVersion, running_fake
from tests.support.pictures import encoded

_PACKAGES = ("app", "contract", "protocol")
_WARM_UP = 5


class Recorder:
    """Notes the module of every function of ours that is entered while it is on."""

    def __init__(self) -> None:
        self.is_on = False
        self.modules: list[str] = []

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        """A profile function of `sys.setprofile`."""
        if not self.is_on or event != "call":
            return
        if frame.f_code.co_filename == "<string>":
            return  # a dataclass's generated method: there is nothing to read
        module = frame.f_globals.get("__name__", "")
        # The fake model server has threads of its own in this process: not ours to count.
        is_gateway = threading.current_thread().name.startswith(("MainThread", "decode"))
        if is_gateway and module.partition(".")[0] in _PACKAGES:
            self.modules.append(module)


async def post(url: str, recorder: Recorder) -> None:
    """Post one photo until everything is warm, then once more with the recorder on."""
    app = create_app(Settings(model_server_url=url, model_name="demo", decode_workers=1))
    photo = encoded(np.full((60, 80, 3), 200, np.uint8))
    headers = {"Content-Type": "image/jpeg"}
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://gateway") as client,
    ):
        for number in range(_WARM_UP + 1):
            recorder.is_on = number == _WARM_UP
            response = await client.post("/classify", content=photo, headers=headers)
            recorder.is_on = False
            response.raise_for_status()


def main() -> None:
    """Count and print."""
    recorder = Recorder()
    with running_fake(demo={1: FakeVersion()}) as fake:
        threading.setprofile(recorder)
        sys.setprofile(recorder)
        asyncio.run(post(fake.url, recorder))
        sys.setprofile(None)
        threading.setprofile(None)
    turns = [module for module, _ in itertools.groupby(recorder.modules)]
    print(f"{len(turns) - 1} switches between {len(set(turns))} modules, one photo")
    for module, count in Counter(turns).most_common():
        print(f"{count:4}  {module}")
    if "--trace" in sys.argv[1:]:
        print(*turns, sep="\n")


if __name__ == "__main__":
    main()
